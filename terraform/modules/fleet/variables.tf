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

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture must be x86_64 or arm64."
  }
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

  validation {
    condition     = var.certificate_arn == null || can(regex("^arn:aws[a-z-]*:(acm|iam):", var.certificate_arn))
    error_message = "certificate_arn must be the ARN of a certificate in ACM or IAM."
  }
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

  validation {
    condition     = var.domain_name == null || can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.domain_name))
    error_message = "domain_name must be a full domain name in lower case, such as shop.example.com."
  }
}

variable "drain_floor" {
  description = "Minimum duration of a drain in seconds, as in the agent's settings."
  type        = number
  default     = 30
  nullable    = false
}

variable "fleet_tag" {
  description = "Tag of the fleet's instances."
  type        = object({ key = string, value = string })
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

  validation {
    condition     = can(regex("^/[^[:space:]]*$", var.health_check_path))
    error_message = "health_check_path must begin with a slash."
  }
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

variable "instance_count" {
  description = "Number of fixed instances, spread over instance_subnet_ids. Ignored with auto_scaling."
  type        = number
  default     = 3
  nullable    = false

  validation {
    condition     = var.instance_count >= 2 && floor(var.instance_count) == var.instance_count
    error_message = "instance_count must be a whole number, at least 2; with one instance none would be left in service."
  }
}

variable "instance_policy_arn" {
  description = "ARN of the policy for the nodes' role (output instance_policy_arn of the agent module)."
  type        = string
  nullable    = false
}

variable "instance_subnet_ids" {
  description = "Subnets of the instances. They must reach the AWS API through NAT, public addresses or VPC endpoints."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.instance_subnet_ids) > 0
    error_message = "instance_subnet_ids must name at least one subnet."
  }
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

  validation {
    condition     = length(var.load_balancer_subnet_ids) >= 2
    error_message = "load_balancer_subnet_ids must name subnets in at least two Availability Zones."
  }
}

variable "longest_request" {
  description = "Duration of the service's longest request, in seconds."
  type        = number
  default     = 30
  nullable    = false
}

variable "max_unavailable" {
  description = "Maximum number of nodes out of service at a time, for the alarm on too few healthy nodes."
  type        = number
  default     = 1
  nullable    = false
}

variable "name" {
  description = "Name of the fleet; also names the load balancer and its parts."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,22}[a-z0-9])?$", var.name)) && !startswith(var.name, "internal-")
    error_message = "name must be 1 to 24 lower-case letters, digits and hyphens, must begin with a letter, and must not begin with internal-."
  }
}

variable "permissions_boundary" {
  description = "ARN of the IAM policy that bounds the nodes' role. It must allow what output instance_policy_json allows. Null: none."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary == null || can(regex("^arn:aws[a-z-]*:iam::[^:]*:policy/", var.permissions_boundary))
    error_message = "permissions_boundary must be the ARN of an IAM policy."
  }
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

  validation {
    condition     = var.service_port >= 1 && var.service_port <= 65535 && floor(var.service_port) == var.service_port
    error_message = "service_port must be a port from 1 to 65535."
  }
}

variable "service_protocol" {
  description = "Protocol in which the load balancer calls the service and checks its health, HTTP or HTTPS."
  type        = string
  default     = "HTTP"
  nullable    = false

  validation {
    condition     = contains(["HTTP", "HTTPS"], var.service_protocol)
    error_message = "service_protocol must be HTTP or HTTPS."
  }
}

variable "tags" {
  description = "Tags of the load balancer, the target group, the instances, their role, security groups and alarms. For all other resources, use default_tags of the provider."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(key, "aws:") && !startswith(key, "node-agent") && key != "Name"])
    error_message = "tags must not set Name, or keys that begin with aws: or node-agent; those are AWS's and the agent's."
  }
}

variable "target_group_tags" {
  description = "Policy tags of the target group (output target_group_tags of the agent module)."
  type        = map(string)
  nullable    = false
}

variable "topic_arn" {
  description = "SNS topic for alarms."
  type        = string
  nullable    = false
}

variable "user_cidrs" {
  description = "IPv4 ranges that may reach the load balancer. Empty: none. List 0.0.0.0/0 to open it to the internet."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for cidr in var.user_cidrs : can(cidrhost(cidr, 0)) && !strcontains(cidr, ":")])
    error_message = "user_cidrs must be IPv4 ranges, such as 203.0.113.7/32."
  }
}

variable "user_data" {
  description = "Script for the first boot of an instance; safe to run again."
  type        = string
  nullable    = false
}

variable "vpc_id" {
  description = "VPC of the fleet."
  type        = string
  nullable    = false
}
