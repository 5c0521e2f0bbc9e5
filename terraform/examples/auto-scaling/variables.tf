variable "auto_scaling" {
  description = "Size of the group."
  type        = object({ desired_capacity = number, max_size = number, min_size = number })
  default     = { desired_capacity = 3, max_size = 6, min_size = 2 }
}

variable "package_files" {
  description = "Packages built by scripts/package: the RPMs of node-agent and hello-service."
  type        = list(string)
  default     = []
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-west-1"
}

variable "update_ssm_agent" {
  description = "Keep the SSM agent up to date."
  type        = bool
  default     = true
}

variable "user_cidrs" {
  description = "IPv4 ranges that may reach the load balancer, such as [\"203.0.113.7/32\"]. Empty: none."
  type        = set(string)
  default     = []
}
