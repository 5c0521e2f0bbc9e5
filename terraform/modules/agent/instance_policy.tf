locals {
  lease_keys = var.lease_role_id == null ? "node-agent/lease/*" : "node-agent/lease/$${aws:userid}"
  managed    = { StringEquals = { "aws:ResourceTag/node-agent/managed" = "true" } }

  # Describe calls have no resource-level permissions.
  read_target_groups = {
    Sid    = "ReadTargetGroups"
    Effect = "Allow"
    Action = [
      "elasticloadbalancing:DescribeTags",
      "elasticloadbalancing:DescribeTargetGroupAttributes",
      "elasticloadbalancing:DescribeTargetGroups",
      "elasticloadbalancing:DescribeTargetHealth",
    ]
    Resource = "*"
  }

  # IAM has no condition on the target of a call. The agent itself ensures that a node moves only itself.
  instance_statements = concat(
    [
      local.read_target_groups,
      {
        Sid       = "MoveTargetsOfManagedGroups"
        Effect    = "Allow"
        Action    = ["elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"]
        Resource  = var.target_group_arns
        Condition = local.managed
      },
      {
        Sid      = "WriteLeases"
        Effect   = "Allow"
        Action   = ["elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"]
        Resource = var.target_group_arns
        # ForAllValues also matches a request without tags; Null excludes those.
        Condition = merge(local.managed, {
          "ForAllValues:StringLike" = { "aws:TagKeys" = [local.lease_keys] }
          Null                      = { "aws:TagKeys" = "false" }
        })
      },
      {
        Sid      = "Notify"
        Effect   = "Allow"
        Action   = "sns:Publish"
        Resource = aws_sns_topic.notifications.arn
      },
      {
        Sid      = "FetchPackages"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${aws_s3_bucket.artefacts.arn}/${var.artefact_prefix}*"
      },
      {
        Sid      = "WriteCommandOutput"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = [aws_cloudwatch_log_group.commands.arn, "${aws_cloudwatch_log_group.commands.arn}:*"]
      },
      {
        Sid      = "FindLogGroup"
        Effect   = "Allow"
        Action   = "logs:DescribeLogGroups"
        Resource = "*"
      },
    ],
    var.auto_scaling_group_name == null ? [] : [
      {
        Sid      = "ReadAutoScaling"
        Effect   = "Allow"
        Action   = ["autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeAutoScalingInstances"]
        Resource = "*"
      },
      {
        Sid      = "MoveToStandbyAndBack"
        Effect   = "Allow"
        Action   = ["autoscaling:EnterStandby", "autoscaling:ExitStandby"]
        Resource = "arn:${local.partition}:autoscaling:${data.aws_region.current.id}:${data.aws_caller_identity.current.account_id}:autoScalingGroup:*:autoScalingGroupName/${var.auto_scaling_group_name}"
      },
    ],
  )

  partition = split(":", aws_s3_bucket.artefacts.arn)[1]
}

resource "aws_iam_policy" "instance" {
  # IAM is global, so the name has the region in it.
  name        = "${var.name}-node-agent-${data.aws_region.current.id}"
  description = "What node-agent on the nodes of ${var.name} may do"
  policy      = jsonencode({ Version = "2012-10-17", Statement = local.instance_statements })
}
