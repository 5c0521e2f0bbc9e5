data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.name

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
  # Cancelling only kills the script (SIGKILL): a node that is out would finish its maintenance without a report.
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
        for_each = var.parameters

        content {
          name   = parameter.key
          values = parameter.value
        }
      }
    }
  }
}
