output "agent" {
  description = "Documents, policies and settings."
  value       = module.agent
}

output "window_policy_json" {
  description = "What the maintenance window may do."
  value       = module.window.policy_json
}
