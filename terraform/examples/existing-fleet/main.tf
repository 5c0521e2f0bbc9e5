# The agent for an existing fleet. Its target groups, instances and role stay as they are.
module "agent" {
  source = "../../modules/agent"

  auto_scaling_group_name = var.auto_scaling_group_name
  drain_floor             = var.drain_floor
  name                    = var.name
  package_files           = var.package_files
  target_group_arns       = var.target_group_arns
  target_group_policy     = var.target_group_policy
  update_ssm_agent        = var.update_ssm_agent
}

resource "aws_iam_role_policy_attachment" "node_agent" {
  role       = var.instance_role_name
  policy_arn = module.agent.instance_policy_arn
}

module "window" {
  source = "../../modules/window"

  document       = module.agent.document_names["maintain"]
  log_group_name = module.agent.log_group_name
  name           = "${var.name}-maintenance"
  parameters     = { reboot = ["always"] }
  schedule       = var.schedule
  target_tag     = module.agent.fleet_tag
  topic_arn      = module.agent.topic_arn
}
