output "agent" {
  description = "Documents, policies and settings."
  value       = module.agent
}

output "window_policy_json" {
  description = "IAM policy of the maintenance window."
  value       = module.window.policy_json
}
