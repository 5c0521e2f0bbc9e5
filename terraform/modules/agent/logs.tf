# The full output of commands; Run Command itself keeps 24,000 characters.
resource "aws_cloudwatch_log_group" "commands" {
  name              = "/node-agent/${var.name}"
  retention_in_days = var.log_retention_days
}
