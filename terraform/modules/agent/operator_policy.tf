# For operators: read the state, pause the fleet, repair leases that no agent will release, and send the documents that run no
# command of theirs. Attach it to their role. Whoever may send maintain or install is root on the nodes, so it leaves them out.
resource "aws_iam_policy" "operator" {
  name        = "${var.name}-node-agent-operator-${data.aws_region.current.id}"
  description = "node-agent status, pause, unpause, lease break, clear and gc for ${var.name}, and its documents that run no command"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      local.read_target_groups,
      {
        Sid      = "PauseAndLeases"
        Effect   = "Allow"
        Action   = ["elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"]
        Resource = var.target_group_arns
        Condition = {
          "ForAllValues:StringLike" = { "aws:TagKeys" = ["node-agent/lease/*", "node-agent/paused"] }
          Null                      = { "aws:TagKeys" = "false" }
        }
      },
      {
        Sid      = "SeeWhichInstancesAreTerminated"
        Effect   = "Allow"
        Action   = "ec2:DescribeInstances"
        Resource = "*"
      },
      {
        Sid      = "SendDocumentsThatRunNoCommand"
        Effect   = "Allow"
        Action   = "ssm:SendCommand"
        Resource = [for what in ["check", "drain", "reboot", "rejoin"] : aws_ssm_document.node_agent[what].arn]
      },
      {
        Sid       = "ToNodesOfTheFleet"
        Effect    = "Allow"
        Action    = "ssm:SendCommand"
        Resource  = "arn:${local.partition}:ec2:${data.aws_region.current.id}:${data.aws_caller_identity.current.account_id}:instance/*"
        Condition = { StringEquals = { "ssm:resourceTag/${local.fleet_tag.key}" = local.fleet_tag.value } }
      },
      {
        Sid      = "FollowCommands"
        Effect   = "Allow"
        Action   = ["ssm:GetCommandInvocation", "ssm:ListCommandInvocations", "ssm:ListCommands"]
        Resource = "*"
      },
    ]
  })
}
