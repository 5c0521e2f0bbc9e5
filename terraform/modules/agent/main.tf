data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

locals {
  # The maintenance window and the association select instances by this tag.
  fleet_tag = { key = "node-agent-fleet", value = var.name }

  # The policy is stored on the target group, where every node reads it. Nodes and operators write the leases
  # (node-agent/lease/...) and node-agent/paused; Terraform never does.
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
    "aws", "sns", "publish", "--region", data.aws_region.current.id, "--topic-arn", aws_sns_topic.notifications.arn,
    "--subject", "node-agent: ${var.name}", "--message", "file:///dev/stdin",
  ]

  # /etc/node-agent/config.toml. Strings and lists encoded as JSON are valid TOML.
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

  # One script for user data, running nodes and image builds. The lines before it set its inputs.
  install_script = join("\n", concat(
    [
      "#!/usr/bin/env bash",
      "export PACKAGES='${join(" ", [for object in aws_s3_object.package : "s3://${object.bucket}/${object.key}"])}'",
      "export CONFIG_BASE64='${base64encode(local.config)}'",
    ],
    var.service_name == null ? [] : ["export SERVICE='${var.service_name}'"],
    [file("${path.module}/scripts/install")],
  ))
}
