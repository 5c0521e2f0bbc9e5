resource "aws_lb" "web" {
  name                       = var.name
  load_balancer_type         = "application"
  internal                   = var.internal
  subnets                    = var.load_balancer_subnet_ids
  security_groups            = [aws_security_group.load_balancer.id]
  drop_invalid_header_fields = true
  enable_deletion_protection = var.deletion_protection
  idle_timeout               = var.idle_timeout
  tags                       = var.tags

  dynamic "access_logs" {
    for_each = var.access_logs[*]

    content {
      enabled = true
      bucket  = access_logs.value.bucket
      prefix  = access_logs.value.prefix
    }
  }
}

# A change of port or protocol needs a new group. It is filled before the listeners move to it. Make no such change while nodes
# are out of service: the leases are tags on the group.
resource "aws_lb_target_group" "web" {
  # Two groups exist for a moment, so AWS must accept both names. A prefix has at most 6 characters.
  name_prefix          = "${substr(var.name, 0, 5)}-"
  target_type          = "instance"
  vpc_id               = var.vpc_id
  protocol             = var.service_protocol
  port                 = var.service_port
  deregistration_delay = var.deregistration_delay
  tags                 = merge(var.tags, var.target_group_tags)

  health_check {
    path                = var.health_check_path
    interval            = 6
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 2
    matcher             = "200"
    protocol            = var.service_protocol
  }

  lifecycle {
    create_before_destroy = true

    # Terraform must not lift an operator's pause. The keys of leases vary, so only ignore_tags of the provider can cover
    # them: see the examples. A group that has a name keeps it.
    ignore_changes = [name_prefix, tags["node-agent/paused"], tags_all["node-agent/paused"]]
  }
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.web.arn
  protocol          = "HTTP"
  port              = 80

  default_action {
    type             = var.certificate_arn == null ? "forward" : "redirect"
    target_group_arn = var.certificate_arn == null ? aws_lb_target_group.web.arn : null

    dynamic "redirect" {
      for_each = var.certificate_arn == null ? [] : [443]

      content {
        protocol    = "HTTPS"
        port        = redirect.value
        status_code = "HTTP_301"
      }
    }
  }

  # Nodes are registered, and can be reached, before users come.
  depends_on = [
    aws_autoscaling_attachment.web,
    aws_lb_target_group_attachment.web,
    aws_vpc_security_group_egress_rule.load_balancer_to_instances,
    aws_vpc_security_group_ingress_rule.instances_from_load_balancer,
    # Port 80 redirects there.
    aws_lb_listener.https,
    aws_vpc_security_group_ingress_rule.users,
  ]
}

resource "aws_lb_listener" "https" {
  count = var.certificate_arn == null ? 0 : 1

  load_balancer_arn = aws_lb.web.arn
  protocol          = "HTTPS"
  port              = 443
  certificate_arn   = var.certificate_arn
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.web.arn
  }

  lifecycle {
    # When the certificate is taken away, the redirect ends first.
    create_before_destroy = true
  }

  # Nodes are registered, and can be reached, before users come.
  depends_on = [
    aws_autoscaling_attachment.web,
    aws_lb_target_group_attachment.web,
    aws_vpc_security_group_egress_rule.load_balancer_to_instances,
    aws_vpc_security_group_ingress_rule.instances_from_load_balancer,
  ]
}
