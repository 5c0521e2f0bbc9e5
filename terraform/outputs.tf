output "artefact_bucket" {
  description = "Name of the bucket that holds the packages."
  value       = module.agent.artefact_bucket
}

output "auto_scaling_group_name" {
  description = "Name of the Auto Scaling group; null with fixed instances."
  value       = module.fleet.auto_scaling_group_name
}

output "config" {
  description = "The agent's settings on the nodes."
  value       = module.agent.config
}

output "dashboard_name" {
  description = "Name of the CloudWatch dashboard."
  value       = module.fleet.dashboard_name
}

output "dns_name" {
  description = "DNS name of the load balancer, for an alias record."
  value       = module.fleet.dns_name
}

output "document_names" {
  description = "Names of the SSM documents, by purpose: drain, install, maintain, rejoin."
  value       = module.agent.document_names
}

output "install_script" {
  description = "User data of the instances."
  value       = module.agent.install_script
}

output "instance_ids" {
  description = "IDs of the fixed instances."
  value       = module.fleet.instance_ids
}

output "instance_policy_json" {
  description = "IAM policy of the nodes."
  value       = module.agent.instance_policy_json
}

output "instance_role_name" {
  description = "Name of the nodes' role, for policies of your own."
  value       = module.fleet.instance_role_name
}

output "instance_security_group_id" {
  description = "Security group of the instances, for rules of your own."
  value       = module.fleet.instance_security_group_id
}

output "load_balancer_arn" {
  description = "ARN of the load balancer."
  value       = module.fleet.load_balancer_arn
}

output "load_balancer_security_group_id" {
  description = "Security group of the load balancer."
  value       = module.fleet.load_balancer_security_group_id
}

output "operator_policy_arn" {
  description = "ARN of the policy for operators."
  value       = module.agent.operator_policy_arn
}

output "operator_policy_json" {
  description = "IAM policy for operators."
  value       = module.agent.operator_policy_json
}

output "target_group_arn" {
  description = "ARN of the target group."
  value       = module.fleet.target_group_arn
}

output "topic_arn" {
  description = "SNS topic for halted and failed nodes, and for alarms."
  value       = module.agent.topic_arn
}

output "url" {
  description = "URL of the fleet: with a certificate, https and domain_name."
  value       = module.fleet.url
}

output "window_id" {
  description = "ID of the maintenance window; null without one."
  value       = one(module.window[*].window_id)
}

output "window_policy_json" {
  description = "IAM policy of the maintenance window; null without one."
  value       = one(module.window[*].policy_json)
}

output "zone_id" {
  description = "Hosted zone ID of the load balancer, for an alias record."
  value       = module.fleet.zone_id
}
