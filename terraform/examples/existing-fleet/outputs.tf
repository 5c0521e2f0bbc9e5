output "agent" {
  description = "Documents, policies and settings."
  value       = module.agent
}

output "tag_commands" {
  description = "Commands that put the target groups and the running instances into the agent's care, for those whose tags Terraform does not manage. For target groups that it does, merge output target_group_tags into their tags."
  value       = concat(local.tag_groups, local.tag_instances)
}

output "target_group_tags" {
  description = "Tags that put a target group into the agent's care and set its policy, for groups that Terraform manages."
  value       = module.agent.target_group_tags
}

output "window_inputs" {
  description = "What a further window needs to know of this fleet, for variable fleet of examples/patch-window."
  value = {
    document_names  = module.agent.document_names
    fleet_tag       = module.agent.fleet_tag
    log_group_name  = module.agent.log_group_name
    max_unavailable = module.agent.max_unavailable
    topic_arn       = module.agent.topic_arn
  }
}
