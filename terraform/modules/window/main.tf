data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.id

  # What the documents of modules/agent need to know of the window: when it opens, for how many hours, and where the clock is.
  # at(2026-11-24T02:00:00) and cron(0 2 ? * TUE *)
  at     = can(regex("^at", var.schedule))
  clock  = local.at ? reverse(regex("T([0-9]{2}):([0-9]{2})", var.schedule)) : regex("^cron\\(([0-9]+) ([0-9]+) ", var.schedule)
  window = "${format("%02d:%02d", local.clock[1], local.clock[0])} ${var.duration} ${var.timezone}"

  execution_timeout = coalesce(var.execution_timeout, min(14400, var.duration * 3600))

  hooks = var.document == "AWS-RunPatchBaselineWithHooks"

  parameters = merge(
    local.hooks ? { PreInstallHookDocName = [aws_ssm_document.drain[0].name] } : {},
    startswith(var.document, "AWS-") ? {} : {
      executionTimeout = [tostring(local.execution_timeout)]
      window           = [local.window]
    },
    var.parameters,
  )

  # Documents owned by AWS have no account in their ARN.
  document_owner = startswith(var.document, "AWS-") ? "" : local.account
}

resource "aws_ssm_maintenance_window" "nodes" {
  name                       = var.name
  schedule                   = var.schedule
  schedule_timezone          = var.timezone
  duration                   = var.duration
  cutoff                     = var.cutoff
  enabled                    = var.enabled
  allow_unassociated_targets = false
}

resource "aws_ssm_maintenance_window_target" "nodes" {
  window_id     = aws_ssm_maintenance_window.nodes.id
  name          = var.name
  resource_type = "INSTANCE"

  targets {
    key    = "tag:${var.target_tag.key}"
    values = [var.target_tag.value]
  }
}

resource "aws_ssm_maintenance_window_task" "maintenance" {
  window_id        = aws_ssm_maintenance_window.nodes.id
  name             = var.name
  task_type        = "RUN_COMMAND"
  task_arn         = var.document
  service_role_arn = aws_iam_role.window.arn
  priority         = 1
  max_concurrency  = var.max_concurrency
  max_errors       = var.max_errors
  # Cancelling only kills the script (SIGKILL): a node that is out would finish its maintenance without a report. So a task that
  # has begun goes on after the cutoff, with nodes that have not started as well. They stay in service, because the document
  # knows when the window ends.
  cutoff_behavior = "CONTINUE_TASK"

  targets {
    key    = "WindowTargetIds"
    values = [aws_ssm_maintenance_window_target.nodes.id]
  }

  task_invocation_parameters {
    run_command_parameters {
      comment          = var.name
      document_version = "$DEFAULT"
      service_role_arn = aws_iam_role.notifier.arn
      # Time for a node to accept the command; the document's own parameter limits how long it may run.
      timeout_seconds = 600

      cloudwatch_config {
        cloudwatch_log_group_name = var.log_group_name
        cloudwatch_output_enabled = true
      }

      notification_config {
        notification_arn    = var.topic_arn
        notification_events = ["Cancelled", "Failed", "TimedOut"]
        notification_type   = "Invocation"
      }

      dynamic "parameter" {
        for_each = local.parameters

        content {
          name   = parameter.key
          values = parameter.value
        }
      }
    }
  }
}
