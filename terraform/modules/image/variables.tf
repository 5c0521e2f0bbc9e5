variable "component_version" {
  description = "Version of the component. Raise it whenever the content changes."
  type        = string
  default     = "1.0.0"
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+$", var.component_version))
    error_message = "component_version must be three numbers, such as 1.0.0."
  }
}

variable "install_script" {
  description = "Output install_script of the agent module."
  type        = string
  nullable    = false
}

variable "name" {
  description = "Name of the component."
  type        = string
  default     = "node-agent"
  nullable    = false
}
