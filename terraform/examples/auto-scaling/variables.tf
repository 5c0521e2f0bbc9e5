variable "auto_scaling" {
  description = "Size of the group."
  type        = object({ desired_capacity = number, max_size = number, min_size = number })
  default     = { desired_capacity = 3, max_size = 6, min_size = 2 }
}

variable "package_files" {
  description = "What scripts/package has built: the RPMs of node-agent and hello-service."
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
  description = "Who may reach the load balancer, such as [\"203.0.113.7/32\"]. Nobody, unless it is said."
  type        = set(string)
  default     = []
}
