locals {
  # The condition is off by default: AWS does not say that Systems Manager sends this key when it takes on these roles, and
  # without the key no window would run. Its own trust policy for this role has no condition:
  # https://docs.aws.amazon.com/systems-manager/latest/userguide/configuring-maintenance-window-permissions-cli.html
  trust_ssm = jsonencode({
    Version = "2012-10-17"
    Statement = [merge(
      {
        Effect    = "Allow"
        Principal = { Service = "ssm.amazonaws.com" }
        Action    = "sts:AssumeRole"
      },
      var.trust_source_account ? { Condition = { StringEquals = { "aws:SourceAccount" = local.account } } } : {},
    )]
  })
}

# IAM is global, so the names have the region in them.
#
# The window may send this document to these nodes, nothing else.
resource "aws_iam_role" "window" {
  name               = "${var.name}-window-${local.region}"
  assume_role_policy = local.trust_ssm
}

resource "aws_iam_role_policy" "window" {
  name = "run"
  role = aws_iam_role.window.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "SendTheDocument"
        Effect   = "Allow"
        Action   = "ssm:SendCommand"
        Resource = "arn:${local.partition}:ssm:${local.region}:${local.document_owner}:document/${var.document}"
      },
      {
        Sid       = "ToNodesOfTheFleet"
        Effect    = "Allow"
        Action    = "ssm:SendCommand"
        Resource  = "arn:${local.partition}:ec2:${local.region}:${local.account}:instance/*"
        Condition = { StringEquals = { "ssm:resourceTag/${var.target_tag.key}" = var.target_tag.value } }
      },
      {
        Sid    = "Follow"
        Effect = "Allow"
        Action = [
          "ssm:CancelCommand",
          "ssm:DescribeInstanceInformation",
          "ssm:GetCommandInvocation",
          "ssm:ListCommandInvocations",
          "ssm:ListCommands",
        ]
        Resource = "*"
      },
      {
        Sid       = "HandOverTheNotifier"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = aws_iam_role.notifier.arn
        Condition = { StringEquals = { "iam:PassedToService" = "ssm.amazonaws.com" } }
      },
    ]
  })
}

# The role with which Run Command publishes.
resource "aws_iam_role" "notifier" {
  name               = "${var.name}-notifier-${local.region}"
  assume_role_policy = local.trust_ssm
}

resource "aws_iam_role_policy" "notifier" {
  name = "publish"
  role = aws_iam_role.notifier.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Sid = "Publish", Effect = "Allow", Action = "sns:Publish", Resource = var.topic_arn }]
  })
}
