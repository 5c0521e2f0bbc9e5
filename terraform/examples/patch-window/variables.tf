variable "fleet" {
  description = "Output window_inputs of examples/existing-fleet: the names of its documents, its tag, its log group, its topic, and how many nodes may be out at a time."
  type = object({
    document_names  = map(string)
    fleet_tag       = object({ key = string, value = string })
    log_group_name  = string
    max_unavailable = number
    topic_arn       = string
  })
}

variable "region" {
  description = "AWS region of the fleet."
  type        = string
}

variable "schedule" {
  description = "Schedule of the maintenance window of six hours, such as cron(0 2 ? * TUE *)."
  type        = string
  default     = "cron(0 2 ? * TUE *)"
}

variable "timezone" {
  description = "Time zone of the schedule, as an IANA name such as Europe/Berlin."
  type        = string
  default     = "Etc/UTC"
}
