output "artefact_bucket" {
  description = "Name of the bucket with the packages."
  value       = module.agent.artefact_bucket
}

output "auto_scaling_group_name" {
  description = "Name of the Auto Scaling group; null with fixed instances."
  value       = module.fleet.auto_scaling_group_name
}

output "config" {
  description = "The agent's settings, as the nodes have them."
  value       = module.agent.config
}

output "dashboard_name" {
  description = "Name of the CloudWatch dashboard."
  value       = module.fleet.dashboard_name
}

output "document_names" {
  description = "Names of the SSM documents, by what they do: drain, install, maintain, rejoin."
  value       = module.agent.document_names
}

output "install_script" {
  description = "User data of the instances."
  value       = module.agent.install_script
}

output "instance_ids" {
  description = "Ids of the fixed instances."
  value       = module.fleet.instance_ids
}

output "instance_policy_json" {
  description = "What the nodes may do."
  value       = module.agent.instance_policy_json
}

output "operator_policy_arn" {
  description = "ARN of the policy for operators."
  value       = module.agent.operator_policy_arn
}

output "operator_policy_json" {
  description = "What operators may do."
  value       = module.agent.operator_policy_json
}

output "target_group_arn" {
  description = "ARN of the target group."
  value       = module.fleet.target_group_arn
}

output "topic_arn" {
  description = "SNS topic that hears of halted and failed nodes, and of alarms."
  value       = module.agent.topic_arn
}

output "url" {
  description = "Where the load balancer answers."
  value       = module.fleet.url
}

output "window_id" {
  description = "Id of the maintenance window; null without one."
  value       = one(module.window[*].window_id)
}

output "window_policy_json" {
  description = "What the maintenance window may do; null without one."
  value       = one(module.window[*].policy_json)
}
