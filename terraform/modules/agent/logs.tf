# What the commands print, beyond the 24,000 characters that Run Command keeps.
resource "aws_cloudwatch_log_group" "commands" {
  name              = "/node-agent/${var.name}"
  retention_in_days = var.log_retention_days
}
