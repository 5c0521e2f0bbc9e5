# A fleet behind a load balancer, with the agent. For an existing target group, use modules/agent and modules/window without
# the rest, as examples/existing-fleet does.
module "agent" {
  source = "./modules/agent"

  # By name, because the group itself depends on this module's outputs.
  auto_scaling_group_name = var.auto_scaling == null ? null : var.name
  drain_floor             = var.drain_floor
  in_flight_url           = var.in_flight_url
  lease_role_id           = var.pin_leases ? module.fleet.instance_role_id : null
  log_retention_days      = var.log_retention_days
  name                    = var.name
  notification_emails     = var.notification_emails
  package_files           = var.package_files
  target_group_arns       = [module.fleet.target_group_arn]
  update_ssm_agent        = var.update_ssm_agent

  target_group_policy = {
    # Auto Scaling changes the number of nodes, so the agents count them.
    fleet_size      = var.auto_scaling == null ? var.instance_count : null
    max_failures    = var.max_failures
    max_unavailable = var.max_unavailable
    min_healthy     = var.min_healthy
  }
}

module "fleet" {
  source = "./modules/fleet"

  access_logs              = var.access_logs
  ami_id                   = var.ami_id
  architecture             = var.architecture
  auto_scaling             = var.auto_scaling
  certificate_arn          = var.certificate_arn
  deletion_protection      = var.deletion_protection
  deregistration_delay     = var.deregistration_delay
  domain_name              = var.domain_name
  drain_floor              = var.drain_floor
  egress_ports             = var.egress_ports
  fleet_tag                = module.agent.fleet_tag
  health_check_path        = var.health_check_path
  idle_timeout             = var.idle_timeout
  instance_count           = var.instance_count
  instance_policy_arn      = module.agent.instance_policy_arn
  instance_subnet_ids      = coalescelist(var.instance_subnet_ids == null ? [] : var.instance_subnet_ids, var.load_balancer_subnet_ids)
  instance_type            = var.instance_type
  internal                 = var.internal
  load_balancer_subnet_ids = var.load_balancer_subnet_ids
  longest_request          = var.longest_request
  max_unavailable          = var.max_unavailable
  name                     = var.name
  permissions_boundary     = var.permissions_boundary
  root_device_name         = var.root_device_name
  root_volume_gb           = var.root_volume_gb
  service_port             = var.service_port
  service_protocol         = var.service_protocol
  tags                     = var.tags
  target_group_tags        = module.agent.target_group_tags
  topic_arn                = module.agent.topic_arn
  user_cidrs               = var.user_cidrs
  user_data                = module.agent.install_script
  vpc_id                   = var.vpc_id
}

module "window" {
  source = "./modules/window"
  count  = var.window == null ? 0 : 1

  cutoff = var.window.cutoff
  # The document for reboots runs no command, so the window may run none either.
  document          = module.agent.document_names[var.window.command == "" ? "reboot" : "maintain"]
  duration          = var.window.duration
  enabled           = var.window.enabled
  execution_timeout = var.window.execution_timeout
  log_group_name    = module.agent.log_group_name
  # Beyond max_unavailable, nodes would only wait.
  max_concurrency = coalesce(var.window.max_concurrency, tostring(var.max_unavailable))
  max_errors      = var.window.max_errors
  name            = "${var.name}-maintenance"
  schedule        = var.window.schedule
  target_tag      = module.agent.fleet_tag
  timezone        = var.window.timezone
  topic_arn       = module.agent.topic_arn

  parameters = merge(
    { reboot = [var.window.reboot] },
    var.window.command == "" ? {} : { command = [var.window.command] },
  )
}
