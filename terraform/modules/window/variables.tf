variable "cutoff" {
  description = "Hours before the end of the window from which no new task starts, 0 to 23. A task that is running goes on, and its nodes may leave service until the end of the window."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.cutoff >= 0 && var.cutoff < var.duration && floor(var.cutoff) == var.cutoff
    error_message = "cutoff must be a whole number of hours, and shorter than duration, or no node would ever start."
  }
}

variable "document" {
  description = "Name of the SSM document to run: maintain, reboot or drain of modules/agent, or one owned by AWS (AWS-...). A document of your own needs their parameters executionTimeout and window, so that no node leaves after the end of the window."
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

variable "execution_timeout" {
  description = "Seconds that a node has for the whole run, including the wait for a turn: 3600 to 172800, and no more than the window has. For AWS-RunPatchBaselineWithHooks, those of the drain. Null: 14400 (4 h), or the duration if that is less."
  type        = number
  default     = null

  validation {
    condition     = var.execution_timeout == null ? true : var.execution_timeout >= 3600 && var.execution_timeout <= 172800
    error_message = "execution_timeout must be 3600 to 172800 seconds; the SSM agent takes 3600 for anything above."
  }

  validation {
    condition     = var.execution_timeout == null ? true : var.execution_timeout <= var.duration * 3600
    error_message = "execution_timeout must not be longer than the window (duration x 3600 seconds): no node leaves service after its end."
  }
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
  description = "Name of the window: 3 to 40 letters, digits and _ . -. Its roles have the region in their names as well, and IAM allows 64 characters."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]{3,40}$", var.name))
    error_message = "name must be 3 to 40 letters, digits and _ . -"
  }
}

variable "parameters" {
  description = "Parameters of the document. executionTimeout and window come from execution_timeout and schedule, and PreInstallHookDocName of AWS-RunPatchBaselineWithHooks is a drain that knows the window."
  type        = map(list(string))
  default     = {}
  nullable    = false
}

variable "schedule" {
  description = "Schedule of the window: cron(...) with one minute and one hour, such as cron(0 2 ? * TUE *), or at(...). Nodes work out from it when the window ends."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^cron\\([0-5]?[0-9] ([01]?[0-9]|2[0-3]) [^ ]+ [^ ]+ [^ ]+ [^ ]+\\)$", var.schedule)) || can(regex("^at\\([0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?\\)$", var.schedule))
    error_message = "schedule must be cron(...) with one minute and one hour, such as cron(0 2 ? * TUE *), or at(...), such as at(2026-11-24T02:00:00). Nodes work out from it when the window ends, so rate(...), lists and steps of hours are not possible."
  }
}

variable "target_tag" {
  description = "Tag that selects the instances."
  type        = object({ key = string, value = string })
  nullable    = false
}

variable "timezone" {
  description = "Time zone of the schedule, as an IANA name such as Europe/Berlin. Nodes need tzdata for any other than Etc/UTC."
  type        = string
  default     = "Etc/UTC"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_+/-]{1,64}$", var.timezone))
    error_message = "timezone must be an IANA name such as Europe/Berlin."
  }
}

variable "topic_arn" {
  description = "SNS topic for commands that failed, timed out or were cancelled."
  type        = string
  nullable    = false
}

variable "trust_source_account" {
  description = "Let Systems Manager take on the window's roles only for this account (aws:SourceAccount). Try it with one window first: where Systems Manager does not send that key, no window runs."
  type        = bool
  default     = false
  nullable    = false
}
