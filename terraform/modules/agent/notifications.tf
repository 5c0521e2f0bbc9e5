# Halted and failed nodes publish here through notify_command. The topic is not encrypted with the AWS managed key for SNS,
# because CloudWatch alarms cannot publish to such a topic.
resource "aws_sns_topic" "notifications" {
  name = "${var.name}-node-agent"
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.notification_emails

  topic_arn = aws_sns_topic.notifications.arn
  protocol  = "email"
  endpoint  = each.value
}
