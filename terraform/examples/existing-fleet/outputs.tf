output "agent" {
  description = "Documents, policies and settings."
  value       = module.agent
}

output "tag_commands" {
  description = "What puts the target groups into the agent's care, where their tags are not Terraform's. Where they are, add output target_group_tags there."
  value = [
    for arn in var.target_group_arns :
    "aws elbv2 add-tags --region ${var.region} --resource-arns ${arn} --tags ${join(" ", [for key, value in module.agent.target_group_tags : "Key=${key},Value=${value}"])}"
  ]
}
