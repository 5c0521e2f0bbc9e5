resource "aws_launch_template" "web" {
  count = var.auto_scaling == null ? 0 : 1

  name_prefix            = "${var.name}-"
  image_id               = local.ami_id
  instance_type          = var.instance_type
  vpc_security_group_ids = [aws_security_group.instances.id]
  user_data              = base64encode(var.user_data)
  update_default_version = true
  tags                   = var.tags

  iam_instance_profile {
    name = aws_iam_instance_profile.instance.name
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  block_device_mappings {
    device_name = var.root_device_name

    ebs {
      encrypted   = true
      volume_size = var.root_volume_gb
      volume_type = "gp3"
    }
  }

  depends_on = [aws_iam_role_policy_attachment.node_agent, aws_iam_role_policy_attachment.ssm]
}

resource "aws_autoscaling_group" "web" {
  count = var.auto_scaling == null ? 0 : 1

  name                = var.name
  min_size            = var.auto_scaling.min_size
  max_size            = var.auto_scaling.max_size
  desired_capacity    = var.auto_scaling.desired_capacity
  vpc_zone_identifier = var.instance_subnet_ids
  # With ELB health checks, the group could replace a node whose service is down for maintenance.
  health_check_type         = "EC2"
  enabled_metrics           = values(local.group_metrics)
  wait_for_capacity_timeout = "10m"

  launch_template {
    id      = aws_launch_template.web[0].id
    version = aws_launch_template.web[0].latest_version
  }

  dynamic "tag" {
    for_each = merge(var.tags, { Name = var.name, (var.fleet_tag.key) = var.fleet_tag.value })

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }

  lifecycle {
    # Scaling and nodes in standby change the capacity. The attachment below sets the target group.
    ignore_changes = [desired_capacity, target_group_arns]
  }
}

# Not an argument of the group, which would leave the old target group before it enters the new one.
resource "aws_autoscaling_attachment" "web" {
  count = var.auto_scaling == null ? 0 : 1

  autoscaling_group_name = aws_autoscaling_group.web[0].name
  lb_target_group_arn    = aws_lb_target_group.web.arn

  lifecycle {
    create_before_destroy = true
  }
}
