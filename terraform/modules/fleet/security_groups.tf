resource "aws_security_group" "load_balancer" {
  name        = "${var.name}-load-balancer"
  description = "Users to the load balancer, and from there to the instances"
  vpc_id      = var.vpc_id
  tags        = var.tags
}

resource "aws_security_group" "instances" {
  name        = "${var.name}-instances"
  description = "The load balancer to the instances, and from there to the AWS API"
  vpc_id      = var.vpc_id
  tags        = var.tags
}

locals {
  # With a certificate, port 80 redirects to 443.
  user_ports = var.certificate_arn == null ? [80] : [80, 443]
  user_rules = { for pair in setproduct(var.user_cidrs, local.user_ports) : "${pair[0]} ${pair[1]}" => { cidr = pair[0], port = pair[1] } }
}

resource "aws_vpc_security_group_ingress_rule" "users" {
  for_each = local.user_rules

  security_group_id = aws_security_group.load_balancer.id
  description       = "Users"
  cidr_ipv4         = each.value.cidr
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
}

# A change of port opens the new one first, and closes the old one when users have moved.
resource "terraform_data" "service_port" {
  input = var.service_port
}

resource "aws_vpc_security_group_egress_rule" "load_balancer_to_instances" {
  security_group_id            = aws_security_group.load_balancer.id
  referenced_security_group_id = aws_security_group.instances.id
  ip_protocol                  = "tcp"
  from_port                    = var.service_port
  to_port                      = var.service_port

  lifecycle {
    create_before_destroy = true
    replace_triggered_by  = [terraform_data.service_port]
  }
}

resource "aws_vpc_security_group_ingress_rule" "instances_from_load_balancer" {
  security_group_id            = aws_security_group.instances.id
  referenced_security_group_id = aws_security_group.load_balancer.id
  ip_protocol                  = "tcp"
  from_port                    = var.service_port
  to_port                      = var.service_port

  lifecycle {
    create_before_destroy = true
    replace_triggered_by  = [terraform_data.service_port]
  }
}

resource "aws_vpc_security_group_egress_rule" "instances" {
  for_each = toset([for port in var.egress_ports : tostring(port)])

  security_group_id = aws_security_group.instances.id
  description       = "The AWS API, Systems Manager and package repositories"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = each.value
  to_port           = each.value
}

moved {
  from = aws_vpc_security_group_egress_rule.instances_to_https
  to   = aws_vpc_security_group_egress_rule.instances["443"]
}
