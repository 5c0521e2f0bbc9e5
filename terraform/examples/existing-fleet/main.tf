# The agent for an existing fleet. Its target groups, instances and role stay as they are.
module "agent" {
  source = "../../modules/agent"

  auto_scaling_group_name = var.auto_scaling_group_name
  drain_floor             = var.drain_floor
  name                    = var.name
  notification_emails     = var.notification_emails
  package_files           = var.package_files
  service_name            = var.service_name
  target_group_arns       = var.target_group_arns
  target_group_policy     = var.target_group_policy
  update_ssm_agent        = var.update_ssm_agent
}

resource "aws_iam_role_policy_attachment" "node_agent" {
  role       = var.instance_role_name
  policy_arn = module.agent.instance_policy_arn
}

# Reboots the fleet on a schedule. There is none until you set one.
module "window" {
  source = "../../modules/window"
  count  = var.schedule == null ? 0 : 1

  document        = module.agent.document_names["reboot"]
  log_group_name  = module.agent.log_group_name
  max_concurrency = tostring(module.agent.max_unavailable)
  name            = "${var.name}-maintenance"
  parameters      = { reboot = ["always"] }
  schedule        = var.schedule
  target_tag      = module.agent.fleet_tag
  timezone        = var.timezone
  topic_arn       = module.agent.topic_arn
}
