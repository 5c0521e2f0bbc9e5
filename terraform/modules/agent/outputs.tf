output "artefact_bucket" {
  description = "Name of the bucket with the packages."
  value       = aws_s3_bucket.artefacts.id
}

output "config" {
  description = "The agent's settings, for /etc/node-agent/config.toml."
  value       = local.config
}

output "document_names" {
  description = "Names of the SSM documents, by what they do: drain, install, maintain, rejoin."
  value       = { for what, document in aws_ssm_document.node_agent : what => document.name }
}

output "fleet_tag" {
  description = "The tag that instances of the fleet carry."
  value       = local.fleet_tag
}

output "install_script" {
  description = "User data that installs the packages and writes the settings. Safe to run again."
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
  description = "Log group of the commands' output."
  value       = aws_cloudwatch_log_group.commands.name
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
  description = "Tags for the target groups: what the nodes go by."
  value       = local.target_group_tags
}

output "topic_arn" {
  description = "SNS topic that hears of halted and failed nodes."
  value       = aws_sns_topic.notifications.arn
}
