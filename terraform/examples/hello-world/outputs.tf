output "hello_world" {
  description = "All outputs of the fleet."
  value       = module.hello_world
}

output "operator_policy_arn" {
  description = "ARN of the policy for operators; attach it to their role."
  value       = module.hello_world.operator_policy_arn
}

output "url" {
  description = "URL of the load balancer."
  value       = module.hello_world.url
}
