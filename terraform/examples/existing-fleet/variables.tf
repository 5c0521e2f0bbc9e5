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

variable "instance_ids" {
  description = "IDs of the running instances, for output tag_commands. Empty: the targets of the target groups, or the instances of the Auto Scaling group. Target groups of type ip need the IDs, because their targets are addresses."
  type        = list(string)
  default     = []
}

variable "instance_role_name" {
  description = "Name of the instances' role."
  type        = string
}

variable "name" {
  description = "Name of the fleet; the value of the tag node-agent-fleet on its instances."
  type        = string
}

variable "notification_emails" {
  description = "Email addresses to notify of halted and failed nodes. AWS asks each address to confirm."
  type        = set(string)
  default     = []
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
  description = "Schedule of a maintenance window of four hours that reboots every node, such as cron(0 2 ? * TUE *). Null: no window."
  type        = string
  default     = null
}

variable "service_name" {
  description = "systemd unit of the service behind the load balancer, such as shop.service; it then stops after the node has drained. Null: order it yourself."
  type        = string
  default     = null
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

variable "timezone" {
  description = "Time zone of the schedule, as an IANA name such as Europe/Berlin."
  type        = string
  default     = "Etc/UTC"
}

variable "update_ssm_agent" {
  description = "Keep the SSM agent up to date."
  type        = bool
  default     = true
}
