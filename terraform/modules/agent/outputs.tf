output "artefact_bucket" {
  description = "Name of the bucket that holds the packages."
  value       = aws_s3_bucket.artefacts.id
}

output "config" {
  description = "The agent's settings, for /etc/node-agent/config.toml."
  value       = local.config
}

output "document_names" {
  description = "Names of the SSM documents, by purpose: check, drain, install, maintain, reboot, rejoin."
  value       = { for what, document in aws_ssm_document.node_agent : what => document.name }
}

output "fleet_tag" {
  description = "Tag of the fleet's instances."
  value       = local.fleet_tag
}

output "install_script" {
  description = "User data that installs the packages and writes the settings; safe to run again."
  value       = local.install_script
}

output "instance_policy_arn" {
  description = "ARN of the policy for the role of the nodes."
  value       = aws_iam_policy.instance.arn
}

output "instance_policy_json" {
  description = "The policy for the role of the nodes."
  value       = aws_iam_policy.instance.policy
}

output "log_group_name" {
  description = "Log group for the output of commands."
  value       = aws_cloudwatch_log_group.commands.name
}

output "max_unavailable" {
  description = "How many nodes may be out of service at a time. A window that reaches more of them only makes them wait."
  value       = var.target_group_policy.max_unavailable
}

output "operator_policy_arn" {
  description = "ARN of the policy for operators."
  value       = aws_iam_policy.operator.arn
}

output "operator_policy_json" {
  description = "The policy for operators."
  value       = aws_iam_policy.operator.policy
}

output "target_group_tags" {
  description = "Tags for the target groups: the mark of managed groups, and the policy."
  value       = local.target_group_tags
}

output "topic_arn" {
  description = "SNS topic for halted and failed nodes."
  value       = aws_sns_topic.notifications.arn
}
