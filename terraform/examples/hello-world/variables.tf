variable "notification_emails" {
  description = "Email addresses to notify of halted and failed nodes."
  type        = set(string)
  default     = []
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

variable "releasever" {
  description = "Release of Amazon Linux 2023 that the window upgrades to. Raise it after testing a newer release. A node that already has this release or a newer one stays as it is."
  type        = string
  default     = "2023.12.20260817"

  validation {
    condition     = can(regex("^20[0-9]{2}\\.[0-9]+\\.20[0-9]{6}$", var.releasever))
    error_message = "releasever must be a release of Amazon Linux such as 2023.12.20260817. With latest, a new release would run in production first."
  }
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
