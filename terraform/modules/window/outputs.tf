output "policy_json" {
  description = "IAM policy of the window."
  value       = aws_iam_role_policy.window.policy
}

output "role_arn" {
  description = "ARN of the window's role."
  value       = aws_iam_role.window.arn
}

output "window_id" {
  description = "ID of the maintenance window."
  value       = aws_ssm_maintenance_window.nodes.id
}
