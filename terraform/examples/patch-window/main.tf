# Patches through Patch Manager, which keeps its compliance reports: AWS-RunPatchBaselineWithHooks installs and reboots, and our
# documents take the node out of service before that and bring it back after.
module "agent" {
  source = "../../modules/agent"

  auto_scaling_group_name = var.auto_scaling_group_name
  name                    = var.name
  target_group_arns       = var.target_group_arns
  target_group_policy     = var.target_group_policy
  update_ssm_agent        = var.update_ssm_agent
}

module "window" {
  source = "../../modules/window"

  document       = "AWS-RunPatchBaselineWithHooks"
  duration       = 6
  log_group_name = module.agent.log_group_name
  name           = "${var.name}-patch"
  schedule       = var.schedule
  target_tag     = module.agent.fleet_tag
  topic_arn      = module.agent.topic_arn

  parameters = {
    Operation    = ["Install"]
    RebootOption = ["RebootIfNeeded"]
    # Runs before the first patch; skipped when no patch is missing.
    PreInstallHookDocName = [module.agent.document_names["drain"]]
    # Always runs at the end.
    OnExitHookDocName = [module.agent.document_names["rejoin"]]
  }
}
