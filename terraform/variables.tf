variable "ami_id" {
  description = "Image of the instances. Null: Amazon Linux 2023, as it is when an instance is made."
  type        = string
  default     = null
}

variable "architecture" {
  description = "Processor architecture, where ami_id is null: x86_64 or arm64."
  type        = string
  default     = "x86_64"
  nullable    = false
}

variable "auto_scaling" {
  description = "An Auto Scaling group instead of fixed instances. min_size stays below desired_capacity, or no node may go to Standby. Null: fixed instances."
  type = object({
    desired_capacity = number
    max_size         = number
    min_size         = number
  })
  default = null

  validation {
    condition     = var.auto_scaling == null ? true : var.auto_scaling.min_size < var.auto_scaling.desired_capacity && var.auto_scaling.desired_capacity <= var.auto_scaling.max_size
    error_message = "min_size is smaller than desired_capacity (a node in Standby lowers it by one), and max_size is not smaller."
  }
}

variable "certificate_arn" {
  description = "ARN of an ACM certificate: the load balancer then answers on 443, and 80 redirects there. Null: plain HTTP on 80."
  type        = string
  default     = null
}

variable "deregistration_delay" {
  description = "Seconds that a node stays draining: at least as long as the longest request and as the drain floor."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.deregistration_delay >= var.drain_floor && var.deregistration_delay <= 3600
    error_message = "deregistration_delay is at least drain_floor and at most 3600 seconds: the load balancer still sends requests for that long."
  }

  validation {
    condition     = var.deregistration_delay >= var.longest_request
    error_message = "deregistration_delay is at least longest_request: at its end the load balancer answers 502 to what is still under way."
  }
}

variable "drain_floor" {
  description = "Seconds between DeregisterTargets and the end of a drain, at the least: requests still arrive for seconds after the call."
  type        = number
  default     = 30
  nullable    = false
}

variable "health_check_path" {
  description = "Path that the load balancer asks, and the agent before it comes back."
  type        = string
  default     = "/healthz"
  nullable    = false
}

variable "in_flight_url" {
  description = "A URL of the service that answers with its number of requests in flight; with it a drain may end before the deregistration delay. Null: there is none."
  type        = string
  default     = null
}

variable "instance_count" {
  description = "How many fixed instances, spread over instance_subnet_ids. Of no meaning with auto_scaling."
  type        = number
  default     = 3
  nullable    = false
}

variable "instance_subnet_ids" {
  description = "Subnets of the instances. Null: those of the load balancer. They need a way to the AWS API, by NAT, public addresses or VPC endpoints."
  type        = list(string)
  default     = null
}

variable "instance_type" {
  description = "Type of the instances, fit for architecture."
  type        = string
  default     = "t3.micro"
  nullable    = false
}

variable "internal" {
  description = "Whether the load balancer has private addresses only."
  type        = bool
  default     = false
  nullable    = false
}

variable "load_balancer_subnet_ids" {
  description = "Subnets of the load balancer, in two zones or more; public ones unless it is internal."
  type        = list(string)
  nullable    = false
}

variable "log_retention_days" {
  description = "Days that command output stays in CloudWatch Logs."
  type        = number
  default     = 90
  nullable    = false
}

variable "longest_request" {
  description = "Seconds that the service's longest request takes."
  type        = number
  default     = 30
  nullable    = false
}

variable "max_failures" {
  description = "Failed or halted nodes before no further one starts."
  type        = number
  default     = 0
  nullable    = false
}

variable "max_unavailable" {
  description = "How many nodes may be out at a time."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.max_unavailable < (var.auto_scaling == null ? var.instance_count : var.auto_scaling.desired_capacity)
    error_message = "max_unavailable is smaller than the number of instances, or nobody would be left to serve."
  }
}

variable "min_healthy" {
  description = "Never fewer healthy nodes than this. Null: no limit but max_unavailable."
  type        = number
  default     = null
}

variable "name" {
  description = "Name of the fleet; begins the name of everything made here."
  type        = string
  nullable    = false
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
}

variable "pin_leases" {
  description = "Let IAM pin each lease to its owner: a node may then write its own lease and no other."
  type        = bool
  default     = false
  nullable    = false
}

variable "root_volume_gb" {
  description = "Size of the root volume of an instance."
  type        = number
  default     = 8
  nullable    = false
}

variable "service_port" {
  description = "Port of the service on the instances."
  type        = number
  default     = 8080
  nullable    = false
}

variable "update_ssm_agent" {
  description = "Keep the SSM agent of the fleet's nodes up to date with a State Manager association."
  type        = bool
  default     = true
  nullable    = false
}

variable "user_cidrs" {
  description = "Who may reach the load balancer. Empty: nobody. The world, 0.0.0.0/0, only where it is written here."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "vpc_id" {
  description = "VPC of the fleet."
  type        = string
  nullable    = false
}

variable "window" {
  description = "The maintenance window. command: one line of shell to run while a node is out; reboot: always, if-required or never; execution_timeout: seconds for a node, turn-taking included. Null: none."
  type = object({
    command           = optional(string, "")
    cutoff            = optional(number, 1)
    duration          = optional(number, 4)
    enabled           = optional(bool, true)
    execution_timeout = optional(number, 14400)
    max_concurrency   = optional(string)
    max_errors        = optional(string, "0")
    reboot            = optional(string, "if-required")
    schedule          = string
    timezone          = optional(string, "Etc/UTC")
  })
  default = null

  validation {
    condition     = var.window == null ? true : contains(["always", "if-required", "never"], var.window.reboot)
    error_message = "window.reboot is always, if-required or never."
  }

  validation {
    condition     = var.window == null ? true : var.window.reboot != "never" || var.window.command != ""
    error_message = "window has nothing to do: give a command, or reboot always or if-required."
  }

  validation {
    condition     = var.window == null ? true : can(regex("^[^\\x00-\\x1f\\x7f]*$", var.window.command))
    error_message = "window.command is one line."
  }

  validation {
    condition     = var.window == null ? true : var.window.execution_timeout >= 3600 && var.window.execution_timeout <= 172800
    error_message = "window.execution_timeout is 3600 to 172800 seconds."
  }
}
