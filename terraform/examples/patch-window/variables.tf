variable "auto_scaling_group_name" {
  description = "The Auto Scaling group of the instances, which then moves them to standby and back. Null: there is none."
  type        = string
  default     = null
}

variable "name" {
  description = "Name of the fleet; its instances carry it as the tag node-agent-fleet."
  type        = string
}

variable "region" {
  description = "AWS region."
  type        = string
}

variable "schedule" {
  description = "When the maintenance window opens."
  type        = string
  default     = "cron(0 2 ? * TUE *)"
}

variable "target_group_arns" {
  description = "ARNs of the target groups that the instances are in."
  type        = list(string)
}

variable "target_group_policy" {
  description = "How many nodes may be out; leave fleet_size out with Auto Scaling."
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
