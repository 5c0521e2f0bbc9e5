output "window_id" {
  description = "ID of the maintenance window."
  value       = module.window.window_id
}

output "window_policy_json" {
  description = "IAM policy of the maintenance window."
  value       = module.window.policy_json
}
