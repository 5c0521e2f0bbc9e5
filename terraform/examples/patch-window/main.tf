# Patches through Patch Manager, so that compliance is reported as usual: AWS-RunPatchBaselineWithHooks installs and reboots,
# our documents take the node out before it and bring it back after it.
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
    # Before the first patch; not run when none is missing.
    PreInstallHookDocName = [module.agent.document_names["drain"]]
    # In the end, whatever happened.
    OnExitHookDocName = [module.agent.document_names["rejoin"]]
  }
}
