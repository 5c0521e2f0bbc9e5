variable "auto_scaling_group_name" {
  description = "Auto Scaling group of the instances; it moves them to standby and back. Null: none."
  type        = string
  default     = null
}

variable "drain_floor" {
  description = "Minimum duration of a drain, in seconds."
  type        = number
  default     = 30
}

variable "instance_role_name" {
  description = "Name of the instances' role."
  type        = string
}

variable "name" {
  description = "Name of the fleet; the value of the tag node-agent-fleet on its instances."
  type        = string
}

variable "package_files" {
  description = "Package built by scripts/package: the RPM or DEB of node-agent."
  type        = list(string)
  default     = []
}

variable "region" {
  description = "AWS region."
  type        = string
}

variable "schedule" {
  description = "Schedule of the maintenance window."
  type        = string
  default     = "cron(0 2 ? * TUE *)"
}

variable "target_group_arns" {
  description = "ARNs of the target groups that the instances are in."
  type        = list(string)
}

variable "target_group_policy" {
  description = "Limits on how many nodes may be out of service. Do not set fleet_size with Auto Scaling."
  type = object({
    fleet_size      = optional(number)
    max_failures    = optional(number, 0)
    max_unavailable = optional(number, 1)
    min_healthy     = optional(number)
  })
  default = {}
}

variable "update_ssm_agent" {
  description = "Keep the SSM agent up to date."
  type        = bool
  default     = true
}
