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

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture is x86_64 or arm64."
  }
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

  validation {
    condition     = var.certificate_arn == null || can(regex("^arn:aws[a-z-]*:(acm|iam):", var.certificate_arn))
    error_message = "certificate_arn is the ARN of a certificate in ACM or IAM."
  }
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
  description = "Seconds that a drain takes at the least, as the agent is told."
  type        = number
  default     = 30
  nullable    = false
}

variable "fleet_tag" {
  description = "The tag that marks the instances of the fleet."
  type        = object({ key = string, value = string })
  nullable    = false
}

variable "health_check_path" {
  description = "Path that the load balancer asks, and the agent before it comes back."
  type        = string
  default     = "/healthz"
  nullable    = false

  validation {
    condition     = can(regex("^/[^[:space:]]*$", var.health_check_path))
    error_message = "health_check_path begins with a slash."
  }
}

variable "instance_count" {
  description = "How many fixed instances, spread over instance_subnet_ids. Of no meaning with auto_scaling."
  type        = number
  default     = 3
  nullable    = false

  validation {
    condition     = var.instance_count >= 2 && floor(var.instance_count) == var.instance_count
    error_message = "instance_count is a whole number, at least 2: with one instance nobody is left to serve."
  }
}

variable "instance_policy_arn" {
  description = "ARN of the policy for the nodes' role: output instance_policy_arn of the agent module."
  type        = string
  nullable    = false
}

variable "instance_subnet_ids" {
  description = "Subnets of the instances; they need a way to the AWS API, by NAT, public addresses or VPC endpoints."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.instance_subnet_ids) > 0
    error_message = "instance_subnet_ids names at least one subnet."
  }
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

  validation {
    condition     = length(var.load_balancer_subnet_ids) >= 2
    error_message = "load_balancer_subnet_ids names subnets of at least two zones."
  }
}

variable "longest_request" {
  description = "Seconds that the service's longest request takes."
  type        = number
  default     = 30
  nullable    = false
}

variable "max_unavailable" {
  description = "How many nodes may be out, for the alarm on too few healthy ones."
  type        = number
  default     = 1
  nullable    = false
}

variable "name" {
  description = "Name of the fleet; names the load balancer and its parts."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,22}[a-z0-9])?$", var.name)) && !startswith(var.name, "internal-")
    error_message = "name is 1 to 24 lower-case letters, digits and hyphens, and begins with a letter and not with internal-."
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

  validation {
    condition     = var.service_port >= 1 && var.service_port <= 65535 && floor(var.service_port) == var.service_port
    error_message = "service_port is a port from 1 to 65535."
  }
}

variable "target_group_tags" {
  description = "Policy tags of the target group: output target_group_tags of the agent module."
  type        = map(string)
  nullable    = false
}

variable "topic_arn" {
  description = "SNS topic for alarms."
  type        = string
  nullable    = false
}

variable "user_cidrs" {
  description = "Who may reach the load balancer. Empty: nobody. The world, 0.0.0.0/0, only where it is written here."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for cidr in var.user_cidrs : can(cidrhost(cidr, 0)) && !strcontains(cidr, ":")])
    error_message = "user_cidrs are IPv4 ranges, such as 203.0.113.7/32."
  }
}

variable "user_data" {
  description = "Script for the first boot of an instance; it may be run again."
  type        = string
  nullable    = false
}

variable "vpc_id" {
  description = "VPC of the fleet."
  type        = string
  nullable    = false
}
