# One target, registered by Terraform against local-alb.
variable "target" {
  description = "The group and the target in it."
  type        = object({ group = string, id = string, port = number })
}

provider "aws" {
  region                      = "us-east-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

resource "aws_lb_target_group_attachment" "node" {
  target_group_arn = var.target.group
  target_id        = var.target.id
  port             = var.target.port
}
