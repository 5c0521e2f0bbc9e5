output "auto_scaling_group_name" {
  description = "Name of the Auto Scaling group; null with fixed instances."
  value       = one(aws_autoscaling_group.web[*].name)
}

output "dashboard_name" {
  description = "Name of the CloudWatch dashboard."
  value       = aws_cloudwatch_dashboard.web.dashboard_name
}

output "dns_name" {
  description = "DNS name of the load balancer, for an alias record."
  value       = aws_lb.web.dns_name
}

output "instance_ids" {
  description = "IDs of the fixed instances."
  value       = aws_instance.web[*].id
}

output "instance_role_id" {
  description = "Unique id (AROA...) of the nodes' role."
  value       = aws_iam_role.instance.unique_id
}

output "instance_role_name" {
  description = "Name of the nodes' role, for policies of your own."
  value       = aws_iam_role.instance.name
}

output "instance_security_group_id" {
  description = "Security group of the instances, for rules of your own."
  value       = aws_security_group.instances.id
}

output "load_balancer_arn" {
  description = "ARN of the load balancer."
  value       = aws_lb.web.arn
}

output "load_balancer_security_group_id" {
  description = "Security group of the load balancer."
  value       = aws_security_group.load_balancer.id
}

output "target_group_arn" {
  description = "ARN of the target group."
  value       = aws_lb_target_group.web.arn
}

output "url" {
  description = "URL of the fleet: with a certificate, https and domain_name."
  value       = "${var.certificate_arn == null ? "http" : "https"}://${var.certificate_arn == null ? aws_lb.web.dns_name : coalesce(var.domain_name, aws_lb.web.dns_name)}"
}

output "zone_id" {
  description = "Hosted zone ID of the load balancer, for an alias record."
  value       = aws_lb.web.zone_id
}
