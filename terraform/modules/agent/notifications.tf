# Halted and failed nodes publish here, by the notify_command of their agent. Not encrypted with the key that AWS keeps for
# SNS: CloudWatch alarms cannot publish to such a topic.
resource "aws_sns_topic" "notifications" {
  name = "${var.name}-node-agent"
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.notification_emails

  topic_arn = aws_sns_topic.notifications.arn
  protocol  = "email"
  endpoint  = each.value
}
