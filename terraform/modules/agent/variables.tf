variable "artefact_prefix" {
  description = "Folder of the packages in the artefact bucket."
  type        = string
  default     = "packages/"
  nullable    = false

  validation {
    condition     = can(regex("^([A-Za-z0-9._-]+/)+$", var.artefact_prefix))
    error_message = "artefact_prefix is one or more folder names, each followed by a slash."
  }
}

variable "auto_scaling_group_name" {
  description = "The Auto Scaling group that the nodes belong to; its members are moved with EnterStandby and ExitStandby. Null: there is none."
  type        = string
  default     = null
}

variable "drain_floor" {
  description = "Seconds between DeregisterTargets and the end of a drain, at the least: requests still arrive for seconds after the call."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.drain_floor >= 30 && var.drain_floor <= 3600
    error_message = "drain_floor is 30 to 3600 seconds: a load balancer may send requests for that long after DeregisterTargets."
  }
}

variable "in_flight_url" {
  description = "A URL of the service that answers with its number of requests in flight; with it a drain may end before the deregistration delay. Null: there is none."
  type        = string
  default     = null

  validation {
    condition     = var.in_flight_url == null || can(regex("^https?://[^'\"\\\\[:space:]]+$", var.in_flight_url))
    error_message = "in_flight_url is an http:// or https:// URL."
  }
}

variable "lease_role_id" {
  description = "The unique id (AROA...) of the nodes' role, for leases that IAM pins to their owner. Null: a node's role may write the lease of any node of its groups."
  type        = string
  default     = null

  validation {
    condition     = var.lease_role_id == null || can(regex("^[A-Z0-9]{16,128}$", var.lease_role_id))
    error_message = "lease_role_id is the unique_id of an aws_iam_role, not its name or ARN."
  }
}

variable "log_retention_days" {
  description = "Days that command output stays in CloudWatch Logs."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days is one of the numbers that CloudWatch Logs accepts, such as 30, 90 or 365."
  }
}

variable "name" {
  description = "Name of the fleet; begins the name of everything made here."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,22}[a-z0-9])?$", var.name)) && !can(regex("^(aws|amazon|amzn)", var.name))
    error_message = "name is 1 to 24 lower-case letters, digits and hyphens, begins with a letter and not with aws, amazon or amzn (reserved for SSM documents of AWS)."
  }
}

variable "notification_emails" {
  description = "Addresses that hear of halted and failed nodes; each has to confirm a message from AWS."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "package_files" {
  description = "Packages on this machine to put into the artefact bucket, such as node-agent.rpm; nodes install them from there. Empty: install them in the image."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for file in var.package_files : can(regex("^[A-Za-z0-9._~+-]+\\.(rpm|deb)$", basename(file)))])
    error_message = "package_files are paths of .rpm or .deb files."
  }

  validation {
    condition     = length(distinct([for file in var.package_files : regex("[^.]+$", file)])) <= 1
    error_message = "package_files are of one kind: all .rpm or all .deb."
  }
}

variable "target_group_arns" {
  description = "ARNs of the target groups that the nodes leave and enter. Each needs the tag node-agent/managed = true (output target_group_tags)."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.target_group_arns) > 0
    error_message = "target_group_arns names at least one target group."
  }
}

variable "target_group_policy" {
  description = "How many nodes may be out. fleet_size: how many there should be, null where Auto Scaling decides; min_healthy: never fewer healthy nodes than this, null for no such limit; max_failures: failed or halted nodes before nobody starts."
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
    error_message = "max_unavailable is a whole number from 1 to 20."
  }

  validation {
    condition     = var.target_group_policy.max_failures >= 0 && floor(var.target_group_policy.max_failures) == var.target_group_policy.max_failures
    error_message = "max_failures is a whole number, 0 or more."
  }

  validation {
    condition     = var.target_group_policy.fleet_size == null || var.auto_scaling_group_name == null
    error_message = "fleet_size and Auto Scaling exclude each other: after the next scaling the number would be wrong, and nodes would wait for ever or leave too early."
  }

  validation {
    condition     = var.target_group_policy.fleet_size == null ? true : var.target_group_policy.fleet_size > var.target_group_policy.max_unavailable
    error_message = "max_unavailable is smaller than fleet_size, or nobody would be left to serve."
  }

  validation {
    condition     = var.target_group_policy.min_healthy == null || var.target_group_policy.fleet_size == null ? true : var.target_group_policy.min_healthy < var.target_group_policy.fleet_size
    error_message = "min_healthy is smaller than fleet_size, or no node could ever leave."
  }
}

variable "update_ssm_agent" {
  description = "Keep the SSM agent of the fleet's nodes up to date with a State Manager association."
  type        = bool
  default     = true
  nullable    = false
}
