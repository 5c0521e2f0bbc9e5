# The parts by themselves, for estates that exist.
mock_provider "aws" {
  source = "./tests/mocks"
}

run "parts_against_a_group_that_exists" {
  command = plan

  module {
    source = "./modules/agent"
  }

  variables {
    name                = "web"
    target_group_arns   = ["arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef"]
    target_group_policy = { max_unavailable = 2 }
    update_ssm_agent    = false
  }

  assert {
    condition     = toset(keys(aws_ssm_document.node_agent)) == toset(["check", "drain", "install", "maintain", "reboot", "rejoin"]) && length(aws_ssm_association.ssm_agent) == 0
    error_message = "six documents, and no association where it is not wanted"
  }

  assert {
    condition     = aws_s3_bucket_public_access_block.artefacts.restrict_public_buckets && aws_s3_bucket_versioning.artefacts.versioning_configuration[0].status == "Enabled"
    error_message = "a private, versioned bucket"
  }
}

run "the_ssm_agent_is_kept_up_to_date" {
  command = plan

  module {
    source = "./modules/agent"
  }

  variables {
    name              = "web"
    target_group_arns = ["arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef"]
  }

  assert {
    condition     = aws_ssm_association.ssm_agent[0].name == "AWS-UpdateSSMAgent"
    error_message = "an association that updates the SSM agent"
  }
}

run "fleet_size_never_with_auto_scaling" {
  command = plan

  module {
    source = "./modules/agent"
  }

  variables {
    auto_scaling_group_name = "web"
    name                    = "web"
    target_group_arns       = ["arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef"]
    target_group_policy     = { fleet_size = 3 }
  }

  expect_failures = [var.target_group_policy]
}

run "patches_through_hooks" {
  command = plan

  module {
    source = "./modules/window"
  }

  variables {
    document       = "AWS-RunPatchBaselineWithHooks"
    log_group_name = "/node-agent/web"
    name           = "web-patch"
    parameters     = { OnExitHookDocName = ["web-rejoin"] }
    schedule       = "cron(30 2 ? * TUE *)"
    target_tag     = { key = "node-agent-fleet", value = "web" }
    topic_arn      = "arn:aws:sns:eu-west-1:123456789012:web"
  }

  assert {
    condition     = aws_ssm_maintenance_window_task.maintenance.max_errors == "0" && aws_ssm_maintenance_window_task.maintenance.max_concurrency == "1"
    error_message = "one at a time, and none after a failure"
  }

  assert {
    condition     = yamldecode(aws_ssm_document.drain[0].content).parameters.window.default == "02:30 4 Etc/UTC"
    error_message = "the drain before the patches knows when the window ends"
  }

  assert {
    condition     = jsonencode({ for parameter in aws_ssm_maintenance_window_task.maintenance.task_invocation_parameters[0].run_command_parameters[0].parameter : parameter.name => parameter.values[0] }) == jsonencode({ OnExitHookDocName = "web-rejoin", PreInstallHookDocName = "web-patch-drain" })
    error_message = "the hooks, and no parameter that AWS's document does not have"
  }

  assert {
    condition     = !strcontains(aws_iam_role.window.assume_role_policy, "SourceAccount") && !strcontains(aws_iam_role.notifier.assume_role_policy, "SourceAccount")
    error_message = "no condition in the trust that Systems Manager is not known to meet"
  }
}

run "the_roles_trust_this_account_only_if_asked" {
  command = plan

  module {
    source = "./modules/window"
  }

  variables {
    document             = "web-reboot"
    duration             = 3
    log_group_name       = "/node-agent/web"
    name                 = "web"
    schedule             = "at(2026-11-24T23:05:00)"
    target_tag           = { key = "node-agent-fleet", value = "web" }
    timezone             = "America/New_York"
    topic_arn            = "arn:aws:sns:eu-west-1:123456789012:web"
    trust_source_account = true
  }

  assert {
    condition     = jsondecode(aws_iam_role.window.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012"
    error_message = "the condition that was asked for"
  }

  assert {
    condition     = jsonencode({ for parameter in aws_ssm_maintenance_window_task.maintenance.task_invocation_parameters[0].run_command_parameters[0].parameter : parameter.name => parameter.values[0] }) == jsonencode({ executionTimeout = "10800", window = "23:05 3 America/New_York" })
    error_message = "the document knows when the window ends"
  }

  assert {
    condition     = aws_iam_role.window.name == "web-window-eu-west-1" && aws_iam_role.notifier.name == "web-notifier-eu-west-1"
    error_message = "the region in the names of the roles"
  }
}

run "nobody_waits_longer_than_the_window" {
  command = plan

  module {
    source = "./modules/window"
  }

  variables {
    document          = "web-reboot"
    duration          = 2
    execution_timeout = 14400
    log_group_name    = "/node-agent/web"
    name              = "web"
    schedule          = "cron(0 2 ? * TUE *)"
    target_tag        = { key = "node-agent-fleet", value = "web" }
    topic_arn         = "arn:aws:sns:eu-west-1:123456789012:web"
  }

  expect_failures = [var.execution_timeout]
}

run "no_schedule_from_which_nodes_cannot_tell_the_end" {
  command = plan

  module {
    source = "./modules/window"
  }

  variables {
    document       = "web-reboot"
    log_group_name = "/node-agent/web"
    name           = "web"
    schedule       = "rate(7 days)"
    target_tag     = { key = "node-agent-fleet", value = "web" }
    topic_arn      = "arn:aws:sns:eu-west-1:123456789012:web"
  }

  expect_failures = [var.schedule]
}

run "the_cutoff_is_within_the_window" {
  command = plan

  module {
    source = "./modules/window"
  }

  variables {
    cutoff         = 4
    document       = "web-maintain"
    duration       = 4
    log_group_name = "/node-agent/web"
    name           = "web"
    schedule       = "cron(0 2 ? * TUE *)"
    target_tag     = { key = "node-agent-fleet", value = "web" }
    topic_arn      = "arn:aws:sns:eu-west-1:123456789012:web"
  }

  expect_failures = [var.cutoff]
}

run "an_image_component" {
  command = plan

  module {
    source = "./modules/image"
  }

  variables {
    install_script = "#!/usr/bin/env bash\ntrue\n"
  }

  assert {
    condition     = yamldecode(output.component_yaml).phases[0].steps[1].name == "CleanImage"
    error_message = "the image is cleaned after the installation"
  }
}
