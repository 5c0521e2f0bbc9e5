provider "aws" {
  region = var.region

  # Leases and the pause are tags on the target group that nodes and operators write. Without this block, an apply during a
  # maintenance would remove them. Only a provider block can say so, not a module.
  ignore_tags {
    key_prefixes = ["node-agent/lease/"]
    keys         = ["node-agent/paused"]
  }
}
