# Hooks and finallyStep need SSM agent 3.0.502 or later, and images often contain an older one.
resource "aws_ssm_association" "ssm_agent" {
  count = var.update_ssm_agent ? 1 : 0

  association_name    = "${var.name}-ssm-agent"
  name                = "AWS-UpdateSSMAgent"
  schedule_expression = "rate(14 days)"
  max_concurrency     = "10%"
  max_errors          = "1"

  targets {
    key    = "tag:${local.fleet_tag.key}"
    values = [local.fleet_tag.value]
  }
}
