variable "access_logs" {
  description = "S3 bucket for the load balancer's access logs, and a prefix for their names. The bucket's policy must let Elastic Load Balancing write there. Null: no access logs."
  type        = object({ bucket = string, prefix = optional(string) })
  default     = null
}

variable "ami_id" {
  description = "AMI of the instances. Null: the newest Amazon Linux 2023 AMI at the time an instance is created."
  type        = string
  default     = null
}

variable "architecture" {
  description = "Processor architecture of the default AMI, x86_64 or arm64; ignored when ami_id is set."
  type        = string
  default     = "x86_64"
  nullable    = false
}

variable "auto_scaling" {
  description = "Use an Auto Scaling group instead of fixed instances. Keep min_size below desired_capacity, or no node can enter standby. Null: fixed instances."
  type = object({
    desired_capacity = number
    max_size         = number
    min_size         = number
  })
  default = null

  validation {
    condition     = var.auto_scaling == null ? true : var.auto_scaling.min_size < var.auto_scaling.desired_capacity && var.auto_scaling.desired_capacity <= var.auto_scaling.max_size
    error_message = "min_size must be below desired_capacity, because each node in standby lowers the desired capacity by one; max_size must be at least desired_capacity."
  }
}

variable "certificate_arn" {
  description = "ARN of an ACM certificate. With it the load balancer serves HTTPS on port 443 and redirects port 80 there. Null: plain HTTP on port 80."
  type        = string
  default     = null
}

variable "deletion_protection" {
  description = "Protect the load balancer from deletion, also from terraform destroy."
  type        = bool
  default     = false
  nullable    = false
}

variable "deregistration_delay" {
  description = "Deregistration delay in seconds; at least longest_request and at least drain_floor."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.deregistration_delay >= var.drain_floor && var.deregistration_delay <= 3600
    error_message = "deregistration_delay must be between drain_floor and 3600 seconds; the load balancer still sends requests during the drain floor."
  }

  validation {
    condition     = var.deregistration_delay >= var.longest_request
    error_message = "deregistration_delay must be at least longest_request; when it ends, the load balancer answers 502 to requests in flight."
  }
}

variable "domain_name" {
  description = "Name in the certificate by which users reach the fleet, for output url. Its DNS record, an alias to outputs dns_name and zone_id, is yours. Null: output url has the name of the load balancer, which is in no certificate of yours."
  type        = string
  default     = null
}

variable "drain_floor" {
  description = "Minimum seconds from DeregisterTargets to the end of a drain; requests still arrive for seconds after the call."
  type        = number
  default     = 30
  nullable    = false
}

variable "egress_ports" {
  description = "TCP ports that instances may connect to. 443 serves the AWS API and the repositories of Amazon Linux; mirrors of Debian and Ubuntu need 80, too."
  type        = set(number)
  default     = [443]
  nullable    = false

  validation {
    condition     = contains(var.egress_ports, 443) && alltrue([for port in var.egress_ports : port >= 1 && port <= 65535])
    error_message = "egress_ports must contain 443, for the AWS API, and only ports from 1 to 65535."
  }
}

variable "health_check_path" {
  description = "Path of the health check. The load balancer uses it, and so does the agent before it registers the node."
  type        = string
  default     = "/healthz"
  nullable    = false
}

variable "idle_timeout" {
  description = "Idle timeout of the load balancer in seconds, 1 to 4000; longer than longest_request."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.idle_timeout >= 1 && var.idle_timeout <= 4000
    error_message = "idle_timeout must be 1 to 4000 seconds."
  }

  validation {
    condition     = var.idle_timeout > var.longest_request
    error_message = "idle_timeout must be longer than longest_request; when no byte arrives for so long, the load balancer answers 504."
  }
}

variable "in_flight_url" {
  description = "URL at which the service returns its number of requests in flight. With it, a drain can end before the deregistration delay. Null: none."
  type        = string
  default     = null
}

variable "instance_count" {
  description = "Number of fixed instances, spread over instance_subnet_ids. Ignored with auto_scaling."
  type        = number
  default     = 3
  nullable    = false
}

variable "instance_subnet_ids" {
  description = "Subnets of the instances. Null: the load balancer's. They must reach the AWS API through NAT, public addresses or VPC endpoints."
  type        = list(string)
  default     = null
}

variable "instance_type" {
  description = "Instance type; must match the architecture."
  type        = string
  default     = "t3.micro"
  nullable    = false
}

variable "internal" {
  description = "Give the load balancer private addresses only."
  type        = bool
  default     = false
  nullable    = false
}

variable "load_balancer_subnet_ids" {
  description = "Subnets of the load balancer, in at least two Availability Zones; public unless the load balancer is internal."
  type        = list(string)
  nullable    = false
}

variable "log_retention_days" {
  description = "Days that CloudWatch Logs keeps the output of commands."
  type        = number
  default     = 90
  nullable    = false
}

variable "longest_request" {
  description = "Duration of the service's longest request, in seconds."
  type        = number
  default     = 30
  nullable    = false
}

variable "max_failures" {
  description = "No node starts a maintenance while more nodes than this are failed or halted."
  type        = number
  default     = 0
  nullable    = false
}

variable "max_unavailable" {
  description = "Maximum number of nodes out of service at a time."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.max_unavailable < (var.auto_scaling == null ? var.instance_count : var.auto_scaling.desired_capacity)
    error_message = "max_unavailable must be smaller than the number of instances, or none would be left in service."
  }
}

variable "min_healthy" {
  description = "Minimum number of healthy nodes. Null: only max_unavailable limits."
  type        = number
  default     = null
}

variable "name" {
  description = "Name of the fleet; prefix of the names of all resources."
  type        = string
  nullable    = false
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
}

variable "permissions_boundary" {
  description = "ARN of the IAM policy that bounds the nodes' role. It must allow what output instance_policy_json allows. Null: none."
  type        = string
  default     = null
}

variable "pin_leases" {
  description = "Let IAM pin each lease to its owner, so that a node can write its own lease and no other."
  type        = bool
  default     = false
  nullable    = false
}

variable "root_device_name" {
  description = "Name of the root device in the image, such as /dev/xvda for Amazon Linux and Debian, and /dev/sda1 for Ubuntu. With fixed instances, AWS finds it."
  type        = string
  default     = "/dev/xvda"
  nullable    = false

  validation {
    condition     = startswith(var.root_device_name, "/dev/")
    error_message = "root_device_name must be a device, such as /dev/xvda."
  }
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

variable "service_protocol" {
  description = "Protocol in which the load balancer calls the service and checks its health, HTTP or HTTPS."
  type        = string
  default     = "HTTP"
  nullable    = false
}

variable "tags" {
  description = "Tags of the load balancer, the target group, the instances, their role, security groups and alarms. For all other resources, use default_tags of the provider."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "update_ssm_agent" {
  description = "Keep the SSM agent of the fleet's nodes up to date with a State Manager association."
  type        = bool
  default     = true
  nullable    = false
}

variable "user_cidrs" {
  description = "IPv4 ranges that may reach the load balancer. Empty: none. List 0.0.0.0/0 to open it to the internet."
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
  description = "The maintenance window. command: one line of shell to run while a node is out of service. reboot: always, if-required or never. execution_timeout: seconds per node, including the wait for its turn; 4 h or the duration, if that is less. duration and cutoff: hours; no node leaves service after the end. Null: no window."
  type = object({
    command           = optional(string, "")
    cutoff            = optional(number, 1)
    duration          = optional(number, 4)
    enabled           = optional(bool, true)
    execution_timeout = optional(number)
    max_concurrency   = optional(string)
    max_errors        = optional(string, "0")
    reboot            = optional(string, "if-required")
    schedule          = string
    timezone          = optional(string, "Etc/UTC")
  })
  default = null

  validation {
    condition     = var.window == null ? true : contains(["always", "if-required", "never"], var.window.reboot)
    error_message = "window.reboot must be always, if-required or never."
  }

  validation {
    condition     = var.window == null ? true : var.window.reboot != "never" || var.window.command != ""
    error_message = "window has nothing to do: set a command, or set reboot to always or if-required."
  }

  validation {
    condition     = var.window == null ? true : can(regex("^[^\\x00-\\x1f\\x7f]*$", var.window.command))
    error_message = "window.command must be a single line."
  }

  validation {
    condition     = try(var.window.execution_timeout, null) == null ? true : var.window.execution_timeout >= 3600 && var.window.execution_timeout <= var.window.duration * 3600
    error_message = "window.execution_timeout must be 3600 seconds to the length of the window (duration x 3600): no node leaves service after its end."
  }
}
