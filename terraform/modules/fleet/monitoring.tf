data "aws_region" "current" {}

locals {
  load_balancer = aws_lb.web.arn_suffix
  target_group  = aws_lb_target_group.web.arn_suffix
  # A fixed number, or the metric of the Auto Scaling group's desired capacity.
  expected = var.auto_scaling == null ? tostring(var.instance_count) : "wanted"
  smallest = var.auto_scaling == null ? var.instance_count : var.auto_scaling.min_size
}

# While a node is out of service, fewer nodes than expected are healthy. node-agent exists to prevent any 5XX in that time.
resource "aws_cloudwatch_metric_alarm" "errors_during_maintenance" {
  alarm_name          = "${var.name}-5xx-during-maintenance"
  alarm_description   = "A user got a 5XX while a node was out of service. Run node-agent pause REASON, then node-agent status"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.topic_arn]

  metric_query {
    id          = "errors"
    label       = "5XX while a node is out"
    expression  = "IF(healthy < ${local.expected}, FILL(elb, 0) + FILL(targets, 0), 0)"
    return_data = true
  }

  metric_query {
    id = "elb"

    metric {
      namespace   = "AWS/ApplicationELB"
      metric_name = "HTTPCode_ELB_5XX_Count"
      period      = 60
      stat        = "Sum"
      dimensions  = { LoadBalancer = local.load_balancer }
    }
  }

  metric_query {
    id = "targets"

    metric {
      namespace   = "AWS/ApplicationELB"
      metric_name = "HTTPCode_Target_5XX_Count"
      period      = 60
      stat        = "Sum"
      dimensions  = { LoadBalancer = local.load_balancer, TargetGroup = local.target_group }
    }
  }

  metric_query {
    id = "healthy"

    metric {
      namespace   = "AWS/ApplicationELB"
      metric_name = "HealthyHostCount"
      period      = 60
      stat        = "Minimum"
      dimensions  = { LoadBalancer = local.load_balancer, TargetGroup = local.target_group }
    }
  }

  dynamic "metric_query" {
    for_each = aws_autoscaling_group.web[*].name

    content {
      id = "wanted"

      metric {
        namespace   = "AWS/AutoScaling"
        metric_name = "GroupDesiredCapacity"
        period      = 60
        stat        = "Maximum"
        dimensions  = { AutoScalingGroupName = metric_query.value }
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "healthy_hosts" {
  alarm_name          = "${var.name}-too-few-healthy"
  alarm_description   = "More nodes are unhealthy or out of service than max_unavailable allows"
  namespace           = "AWS/ApplicationELB"
  metric_name         = "HealthyHostCount"
  dimensions          = { LoadBalancer = local.load_balancer, TargetGroup = local.target_group }
  statistic           = "Minimum"
  comparison_operator = "LessThanThreshold"
  threshold           = max(1, local.smallest - var.max_unavailable)
  period              = 60
  evaluation_periods  = 2
  treat_missing_data  = "breaching"
  alarm_actions       = [var.topic_arn]
  ok_actions          = [var.topic_arn]
}

resource "aws_cloudwatch_dashboard" "web" {
  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = [
      {
        type = "metric", x = 0, y = 0, width = 12, height = 6
        properties = {
          title   = "Requests and errors"
          region  = data.aws_region.current.id
          period  = 60
          stat    = "Sum"
          metrics = [for name in ["RequestCount", "HTTPCode_ELB_5XX_Count"] : ["AWS/ApplicationELB", name, "LoadBalancer", local.load_balancer]]
        }
      },
      {
        type = "metric", x = 12, y = 0, width = 12, height = 6
        properties = {
          title   = "Nodes"
          region  = data.aws_region.current.id
          period  = 60
          stat    = "Minimum"
          metrics = [for name in ["HealthyHostCount", "UnHealthyHostCount"] : ["AWS/ApplicationELB", name, "TargetGroup", local.target_group, "LoadBalancer", local.load_balancer]]
        }
      },
      {
        type = "metric", x = 0, y = 6, width = 12, height = 6
        properties = {
          title   = "Response time, p99 and longest"
          region  = data.aws_region.current.id
          period  = 60
          metrics = [for stat in ["p99", "Maximum"] : ["AWS/ApplicationELB", "TargetResponseTime", "LoadBalancer", local.load_balancer, { stat = stat }]]
        }
      },
      {
        type = "alarm", x = 12, y = 6, width = 12, height = 6
        properties = {
          title  = "Alarms"
          alarms = [aws_cloudwatch_metric_alarm.errors_during_maintenance.arn, aws_cloudwatch_metric_alarm.healthy_hosts.arn]
        }
      },
    ]
  })
}
