# For operators: read the state, pause the fleet, and repair leases that no agent will release. Attach it to their role.
resource "aws_iam_policy" "operator" {
  name        = "${var.name}-node-agent-operator"
  description = "node-agent status, pause, unpause, lease break, clear and gc for ${var.name}"
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
    ]
  })
}
