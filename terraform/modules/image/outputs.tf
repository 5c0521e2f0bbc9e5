output "component_arn" {
  description = "ARN of the component, for an image recipe."
  value       = aws_imagebuilder_component.node_agent.arn
}

output "component_yaml" {
  description = "The component as Image Builder receives it."
  value       = local.component
}
