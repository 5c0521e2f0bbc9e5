data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

locals {
  # Instances carry this tag; the maintenance window and the association find them by it.
  fleet_tag = { key = "node-agent-fleet", value = var.name }

  # The policy lives on the target group, one source for all nodes. Leases (node-agent/lease/...) and node-agent/paused are
  # written by nodes and operators and are never Terraform's.
  target_group_tags = merge(
    {
      "node-agent/managed"         = "true"
      "node-agent/max-failures"    = tostring(var.target_group_policy.max_failures)
      "node-agent/max-unavailable" = tostring(var.target_group_policy.max_unavailable)
    },
    var.target_group_policy.fleet_size == null ? {} : { "node-agent/fleet-size" = tostring(var.target_group_policy.fleet_size) },
    var.target_group_policy.min_healthy == null ? {} : { "node-agent/min-healthy" = tostring(var.target_group_policy.min_healthy) },
  )

  notify_command = [
    "aws", "sns", "publish", "--region", data.aws_region.current.name, "--topic-arn", aws_sns_topic.notifications.arn,
    "--subject", "node-agent: ${var.name}", "--message", "file:///dev/stdin",
  ]

  # /etc/node-agent/config.toml. What JSON escapes in strings and lists, TOML understands.
  config = join("\n", concat(
    [
      "# Written by Terraform; docs/configuration.md has every setting.",
      "target_groups = ${jsonencode(var.target_group_arns)}",
      "drain_floor = \"${var.drain_floor}s\"",
      "notify_command = ${jsonencode(local.notify_command)}",
    ],
    var.in_flight_url == null ? [] : ["in_flight_url = ${jsonencode(var.in_flight_url)}"],
    var.lease_role_id == null ? [] : ["lease_role_id = ${jsonencode(var.lease_role_id)}"],
    var.auto_scaling_group_name == null ? [] : ["asg = \"standby\""],
    [""],
  ))

  # One script for user data, running nodes and image builds; the lines above it say what to install.
  install_script = join("\n", [
    "#!/usr/bin/env bash",
    "export PACKAGES='${join(" ", [for object in aws_s3_object.package : "s3://${object.bucket}/${object.key}"])}'",
    "export CONFIG_BASE64='${base64encode(local.config)}'",
    file("${path.module}/scripts/install"),
  ])
}
