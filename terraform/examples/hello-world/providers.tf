provider "aws" {
  region = var.region

  # Nodes keep their leases, and operators their pause, in tags of the target group. Without this an apply in the middle of
  # a maintenance would remove them. A module cannot say it for you.
  ignore_tags {
    key_prefixes = ["node-agent/lease/"]
    keys         = ["node-agent/paused"]
  }
}
