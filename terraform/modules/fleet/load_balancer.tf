resource "aws_lb" "web" {
  name                       = var.name
  load_balancer_type         = "application"
  internal                   = var.internal
  subnets                    = var.load_balancer_subnet_ids
  security_groups            = [aws_security_group.load_balancer.id]
  drop_invalid_header_fields = true
}

# Never `terraform apply -replace` a target group while nodes are out of service: the leases are tags on it.
resource "aws_lb_target_group" "web" {
  name                 = var.name
  target_type          = "instance"
  vpc_id               = var.vpc_id
  protocol             = "HTTP"
  port                 = var.service_port
  deregistration_delay = var.deregistration_delay
  tags                 = var.target_group_tags

  health_check {
    path                = var.health_check_path
    interval            = 6
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 2
    matcher             = "200"
  }

  lifecycle {
    # Terraform must not lift an operator's pause. The keys of leases vary, so only ignore_tags of the provider can cover
    # them: see the examples.
    ignore_changes = [tags["node-agent/paused"], tags_all["node-agent/paused"]]
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
}
