variable "cutoff" {
  description = "Hours before the end of the window from which no further node starts. Commands that are running continue."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.cutoff >= 0 && var.cutoff < var.duration
    error_message = "cutoff must be shorter than duration, or no node would ever start."
  }
}

variable "document" {
  description = "Name of the SSM document to run: this account's, or one owned by AWS (AWS-...)."
  type        = string
  nullable    = false
}

variable "duration" {
  description = "Duration of the window, in hours."
  type        = number
  default     = 4
  nullable    = false

  validation {
    condition     = var.duration >= 1 && var.duration <= 24 && floor(var.duration) == var.duration
    error_message = "duration must be a whole number of hours from 1 to 24."
  }
}

variable "enabled" {
  description = "Enable the window."
  type        = bool
  default     = true
  nullable    = false
}

variable "log_group_name" {
  description = "Log group for the output of commands."
  type        = string
  nullable    = false
}

variable "max_concurrency" {
  description = "How many nodes receive the command at a time, as a number or a percentage. Nodes take turns by themselves; beyond max_unavailable they only wait."
  type        = string
  default     = "1"
  nullable    = false

  validation {
    condition     = can(regex("^([1-9][0-9]{0,6}|[1-9][0-9]?%|100%)$", var.max_concurrency))
    error_message = "max_concurrency must be a number such as 1, or a percentage such as 10%."
  }
}

variable "max_errors" {
  description = "How many nodes may fail before no further node starts."
  type        = string
  default     = "0"
  nullable    = false

  validation {
    condition     = can(regex("^([0-9]{1,7}|[1-9]?[0-9]%|100%)$", var.max_errors))
    error_message = "max_errors must be a number such as 0, or a percentage such as 10%."
  }
}

variable "name" {
  description = "Name of the window."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]{3,48}$", var.name))
    error_message = "name must be 3 to 48 letters, digits and _ . -"
  }
}

variable "parameters" {
  description = "Parameters of the document."
  type        = map(list(string))
  default     = {}
  nullable    = false
}

variable "schedule" {
  description = "Schedule of the window: cron(...), rate(...) or at(...)."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^(cron|rate|at)\\(.+\\)$", var.schedule))
    error_message = "schedule must be cron(...), rate(...) or at(...), such as cron(0 2 ? * TUE *)."
  }
}

variable "target_tag" {
  description = "Tag that selects the instances."
  type        = object({ key = string, value = string })
  nullable    = false
}

variable "timezone" {
  description = "Time zone of the schedule, as an IANA name."
  type        = string
  default     = "Etc/UTC"
  nullable    = false
}

variable "topic_arn" {
  description = "SNS topic for commands that failed, timed out or were cancelled."
  type        = string
  nullable    = false
}
