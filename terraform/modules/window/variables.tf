variable "cutoff" {
  description = "Hours before the end of the window after which no further node is started. Commands that run go on to their end."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.cutoff >= 0 && var.cutoff < var.duration
    error_message = "cutoff is shorter than duration, or no node would ever be started."
  }
}

variable "document" {
  description = "Name of the SSM document to run: one of this account, or one of AWS (AWS-...)."
  type        = string
  nullable    = false
}

variable "duration" {
  description = "Hours that the window is open."
  type        = number
  default     = 4
  nullable    = false

  validation {
    condition     = var.duration >= 1 && var.duration <= 24 && floor(var.duration) == var.duration
    error_message = "duration is a whole number of hours from 1 to 24."
  }
}

variable "enabled" {
  description = "Whether the window opens at its times."
  type        = bool
  default     = true
  nullable    = false
}

variable "log_group_name" {
  description = "Log group for the commands' output."
  type        = string
  nullable    = false
}

variable "max_concurrency" {
  description = "How many nodes are sent the command at a time, a number or a percentage. Nodes take turns by themselves; more than max_unavailable only wait."
  type        = string
  default     = "1"
  nullable    = false

  validation {
    condition     = can(regex("^([1-9][0-9]{0,6}|[1-9][0-9]?%|100%)$", var.max_concurrency))
    error_message = "max_concurrency is a number such as 1, or a percentage such as 10%."
  }
}

variable "max_errors" {
  description = "How many nodes may fail before no further one is started."
  type        = string
  default     = "0"
  nullable    = false

  validation {
    condition     = can(regex("^([0-9]{1,7}|[1-9]?[0-9]%|100%)$", var.max_errors))
    error_message = "max_errors is a number such as 0, or a percentage such as 10%."
  }
}

variable "name" {
  description = "Name of the window."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]{3,48}$", var.name))
    error_message = "name is 3 to 48 letters, digits and _ . -"
  }
}

variable "parameters" {
  description = "Parameters of the document."
  type        = map(list(string))
  default     = {}
  nullable    = false
}

variable "schedule" {
  description = "When it opens: cron(...), rate(...) or at(...)."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^(cron|rate|at)\\(.+\\)$", var.schedule))
    error_message = "schedule is cron(...), rate(...) or at(...), such as cron(0 2 ? * TUE *)."
  }
}

variable "target_tag" {
  description = "The tag that its instances carry."
  type        = object({ key = string, value = string })
  nullable    = false
}

variable "timezone" {
  description = "Time zone of the schedule, by its IANA name."
  type        = string
  default     = "Etc/UTC"
  nullable    = false
}

variable "topic_arn" {
  description = "SNS topic that hears of commands that failed, timed out or were cancelled."
  type        = string
  nullable    = false
}
