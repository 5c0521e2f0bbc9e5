# Patches through Patch Manager, which keeps its compliance reports: AWS-RunPatchBaselineWithHooks installs and reboots, and our
# documents take the node out of service before that and bring it back after. This adds a window to a fleet that has the agent,
# from examples/existing-fleet for instance. It makes nothing that the fleet already has.
module "window" {
  source = "../../modules/window"

  document        = "AWS-RunPatchBaselineWithHooks"
  duration        = 6
  log_group_name  = var.fleet.log_group_name
  max_concurrency = tostring(var.fleet.max_unavailable)
  name            = "${var.fleet.fleet_tag.value}-patch"
  schedule        = var.schedule
  target_tag      = var.fleet.fleet_tag
  timezone        = var.timezone
  topic_arn       = var.fleet.topic_arn

  # Before the first patch, the window's own drain runs; it is skipped when no patch is missing.
  parameters = {
    Operation    = ["Install"]
    RebootOption = ["RebootIfNeeded"]
    # Always runs at the end.
    OnExitHookDocName = [var.fleet.document_names["rejoin"]]
  }
}
