output "auto_scaling_group_name" {
  description = "Name of the Auto Scaling group; null with fixed instances."
  value       = one(aws_autoscaling_group.web[*].name)
}

output "dashboard_name" {
  description = "Name of the CloudWatch dashboard."
  value       = aws_cloudwatch_dashboard.web.dashboard_name
}

output "instance_ids" {
  description = "IDs of the fixed instances."
  value       = aws_instance.web[*].id
}

output "instance_role_id" {
  description = "Unique id (AROA...) of the nodes' role."
  value       = aws_iam_role.instance.unique_id
}

output "target_group_arn" {
  description = "ARN of the target group."
  value       = aws_lb_target_group.web.arn
}

output "url" {
  description = "URL of the load balancer."
  value       = "${var.certificate_arn == null ? "http" : "https"}://${aws_lb.web.dns_name}"
}
