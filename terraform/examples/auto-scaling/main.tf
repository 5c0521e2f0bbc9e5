# The hello-world fleet in an Auto Scaling group. Nodes enter standby for their maintenance, so the group neither replaces
# nor registers them meanwhile. min_size is below the desired capacity, which leaves room for one node in standby.
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

  auto_scaling             = var.auto_scaling
  in_flight_url            = "http://127.0.0.1:8080/in-flight"
  load_balancer_subnet_ids = sort(data.aws_subnets.default.ids)
  name                     = "hello-scaling"
  package_files            = var.package_files
  update_ssm_agent         = var.update_ssm_agent
  user_cidrs               = var.user_cidrs
  vpc_id                   = data.aws_vpc.default.id

  window = {
    reboot   = "always"
    schedule = "cron(0 2 ? * TUE *)"
  }
}
