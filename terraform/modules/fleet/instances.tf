data "aws_ssm_parameter" "amazon_linux" {
  count = var.ami_id == null ? 1 : 0

  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${var.architecture}"
}

locals {
  ami_id         = var.ami_id == null ? nonsensitive(data.aws_ssm_parameter.amazon_linux[0].value) : var.ami_id
  instance_count = var.auto_scaling == null ? var.instance_count : 0
}

resource "aws_instance" "web" {
  count = local.instance_count

  ami                    = local.ami_id
  instance_type          = var.instance_type
  subnet_id              = var.instance_subnet_ids[count.index % length(var.instance_subnet_ids)]
  vpc_security_group_ids = [aws_security_group.instances.id]
  iam_instance_profile   = aws_iam_instance_profile.instance.name
  user_data              = var.user_data
  tags                   = merge(var.tags, { Name = "${var.name}-${count.index + 1}", (var.fleet_tag.key) = var.fleet_tag.value })

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    encrypted   = true
    volume_size = var.root_volume_gb
    volume_type = "gp3"
  }

  lifecycle {
    # These apply to new instances only. Applied to instances that run, they would replace or stop all of them at once.
    ignore_changes = [ami, instance_type, root_block_device, subnet_id, user_data]
  }

  depends_on = [aws_iam_role_policy_attachment.node_agent, aws_iam_role_policy_attachment.ssm]
}

# While a node is out of service, an apply finds its attachment missing and registers the node. The agent drains it again, at
# most three times, then turns back. Do not apply during a maintenance.
resource "aws_lb_target_group_attachment" "web" {
  count = local.instance_count

  target_group_arn = aws_lb_target_group.web.arn
  target_id        = aws_instance.web[count.index].id
  port             = var.service_port

  lifecycle {
    create_before_destroy = true
  }
}
