# Three instances with the demo service behind a load balancer, and a maintenance window every Tuesday night.
data "aws_vpc" "default" {
  default = true
}

data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }

  filter {
    name   = "default-for-az"
    values = ["true"]
  }
}

module "hello_world" {
  source = "../.."

  in_flight_url            = "http://127.0.0.1:8080/in-flight"
  load_balancer_subnet_ids = sort(data.aws_subnets.default.ids)
  name                     = "hello-world"
  notification_emails      = var.notification_emails
  package_files            = var.package_files
  update_ssm_agent         = var.update_ssm_agent
  user_cidrs               = var.user_cidrs
  vpc_id                   = data.aws_vpc.default.id

  # A tested release of Amazon Linux, never "latest": every node gets the same packages, on whichever day the window opens.
  window = {
    command  = "dnf -y upgrade --releasever=${var.releasever}"
    schedule = "cron(0 2 ? * TUE *)"
  }
}
