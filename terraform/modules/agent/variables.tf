variable "artefact_prefix" {
  description = "Folder for the packages in the artefact bucket."
  type        = string
  default     = "packages/"
  nullable    = false

  validation {
    condition     = can(regex("^([A-Za-z0-9._-]+/)+$", var.artefact_prefix))
    error_message = "artefact_prefix must be one or more folder names, each followed by a slash."
  }
}

variable "auto_scaling_group_name" {
  description = "Auto Scaling group of the nodes; the agent moves them with EnterStandby and ExitStandby. Null: none."
  type        = string
  default     = null
}

variable "drain_floor" {
  description = "Minimum seconds from DeregisterTargets to the end of a drain; requests still arrive for seconds after the call."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.drain_floor >= 30 && var.drain_floor <= 3600
    error_message = "drain_floor must be 30 to 3600 seconds; a load balancer still sends requests for seconds after DeregisterTargets."
  }
}

variable "in_flight_url" {
  description = "URL at which the service returns its number of requests in flight. With it, a drain can end before the deregistration delay. Null: none."
  type        = string
  default     = null

  validation {
    condition     = var.in_flight_url == null || can(regex("^https?://[^'\"\\\\[:space:]]+$", var.in_flight_url))
    error_message = "in_flight_url must be an http:// or https:// URL."
  }
}

variable "lease_role_id" {
  description = "Unique id (AROA...) of the nodes' role, for leases that IAM pins to their owner. Null: a node can write the lease of any node in its target groups."
  type        = string
  default     = null

  validation {
    condition     = var.lease_role_id == null || can(regex("^[A-Z0-9]{16,128}$", var.lease_role_id))
    error_message = "lease_role_id must be the unique_id of an aws_iam_role, not its name or ARN."
  }
}

variable "log_retention_days" {
  description = "Days that CloudWatch Logs keeps the output of commands."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a number that CloudWatch Logs accepts, such as 30, 90 or 365."
  }
}

variable "name" {
  description = "Name of the fleet; prefix of the names of all resources."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,22}[a-z0-9])?$", var.name)) && !can(regex("^(aws|amazon|amzn)", var.name))
    error_message = "name must be 1 to 24 lower-case letters, digits and hyphens, must begin with a letter, and must not begin with aws, amazon or amzn, which AWS reserves for its SSM documents."
  }
}

variable "notification_emails" {
  description = "Email addresses to notify of halted and failed nodes. AWS asks each address to confirm."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "package_files" {
  description = "Local packages to upload to the artefact bucket, such as node-agent.rpm; nodes install them from there. Of several versions of a package, nodes install the newest for their architecture. Empty: the image already has them."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for file in var.package_files : can(regex("^[A-Za-z0-9._~+-]+\\.(rpm|deb)$", basename(file)))])
    error_message = "package_files must be paths of .rpm or .deb files."
  }

  validation {
    condition     = length(distinct([for file in var.package_files : regex("[^.]+$", file)])) <= 1
    error_message = "package_files must be all .rpm or all .deb."
  }
}

variable "service_name" {
  description = "systemd unit of the service behind the load balancer, such as shop.service. The install script orders it so that it stops after the node has drained when the machine goes down. Null: order it yourself."
  type        = string
  default     = null

  validation {
    condition     = var.service_name == null || can(regex("^[A-Za-z0-9_.-]+(@[A-Za-z0-9_.-]*)?\\.service$", var.service_name))
    error_message = "service_name must be the name of a systemd unit such as shop.service."
  }
}

variable "target_group_arns" {
  description = "ARNs of the nodes' target groups. Each needs the tag node-agent/managed = true (see output target_group_tags)."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.target_group_arns) > 0
    error_message = "target_group_arns must name at least one target group."
  }
}

variable "target_group_policy" {
  description = "Limits on how many nodes may be out of service. max_unavailable: nodes out at a time. fleet_size: expected number of nodes, null with Auto Scaling. min_healthy: minimum number of healthy nodes, null for none. max_failures: no node starts while more nodes than this are failed or halted."
  type = object({
    fleet_size      = optional(number)
    max_failures    = optional(number, 0)
    max_unavailable = optional(number, 1)
    min_healthy     = optional(number)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.target_group_policy.max_unavailable >= 1 && var.target_group_policy.max_unavailable <= 20 && floor(var.target_group_policy.max_unavailable) == var.target_group_policy.max_unavailable
    error_message = "max_unavailable must be a whole number from 1 to 20."
  }

  validation {
    condition     = var.target_group_policy.max_failures >= 0 && floor(var.target_group_policy.max_failures) == var.target_group_policy.max_failures
    error_message = "max_failures must be a whole number, 0 or more."
  }

  validation {
    condition     = var.target_group_policy.fleet_size == null || var.auto_scaling_group_name == null
    error_message = "fleet_size cannot be set with Auto Scaling: after the next scaling the number would be wrong, and nodes would wait forever or leave too early."
  }

  validation {
    condition     = var.target_group_policy.fleet_size == null ? true : var.target_group_policy.fleet_size > var.target_group_policy.max_unavailable
    error_message = "max_unavailable must be smaller than fleet_size, or no node would be left in service."
  }

  validation {
    condition     = var.target_group_policy.min_healthy == null || var.target_group_policy.fleet_size == null ? true : var.target_group_policy.min_healthy < var.target_group_policy.fleet_size
    error_message = "min_healthy must be smaller than fleet_size, or no node could ever leave service."
  }
}

variable "update_ssm_agent" {
  description = "Keep the SSM agent of the fleet's nodes up to date with a State Manager association."
  type        = bool
  default     = true
  nullable    = false
}
