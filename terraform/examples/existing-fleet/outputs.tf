output "agent" {
  description = "Documents, policies and settings."
  value       = module.agent
}

output "tag_commands" {
  description = "Commands that put the target groups into the agent's care, for groups whose tags Terraform does not manage. For the others, merge output target_group_tags into their tags."
  value = [
    for arn in var.target_group_arns :
    "aws elbv2 add-tags --region ${var.region} --resource-arns ${arn} --tags ${join(" ", [for key, value in module.agent.target_group_tags : "Key=${key},Value=${value}"])}"
  ]
}

output "target_group_tags" {
  description = "Tags that put a target group into the agent's care and set its policy, for groups that Terraform manages."
  value       = module.agent.target_group_tags
}
