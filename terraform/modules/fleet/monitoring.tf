data "aws_region" "current" {}

locals {
  group_metrics = { standby = "GroupStandbyInstances", total = "GroupTotalInstances", wanted = "GroupDesiredCapacity" }
  load_balancer = aws_lb.web.arn_suffix
  target_group  = aws_lb_target_group.web.arn_suffix
  balancing     = { namespace = "AWS/ApplicationELB", dimensions = { LoadBalancer = local.load_balancer, TargetGroup = local.target_group } }
  scaling       = { namespace = "AWS/AutoScaling", dimensions = { AutoScalingGroupName = one(aws_autoscaling_group.web[*].name) } }

  # How many nodes should be healthy. Standby lowers the desired capacity, at once; the node is counted as in standby only when
  # its connections are drained. Until then, the total should still include it; AWS's page of these metrics does not say.
  expected = var.auto_scaling == null ? tostring(var.instance_count) : "MAX([total, wanted + FILL(standby, 0)])"
  # With new instances, the desired capacity rises minutes before they are healthy.
  patience = var.auto_scaling == null ? 2 : 5

  healthy = { healthy = merge(local.balancing, { metric = "HealthyHostCount", stat = "Minimum" }) }
  nodes   = merge(local.healthy, { for id, metric in local.group_metrics : id => merge(local.scaling, { metric = metric, stat = "Maximum" }) if var.auto_scaling != null })
  errors = merge(local.nodes, {
    elb     = { namespace = "AWS/ApplicationELB", dimensions = { LoadBalancer = local.load_balancer }, metric = "HTTPCode_ELB_5XX_Count", stat = "Sum" }
    targets = merge(local.balancing, { metric = "HTTPCode_Target_5XX_Count", stat = "Sum" })
  })
}

# node-agent exists to prevent any 5XX while a node is out of service.
resource "aws_cloudwatch_metric_alarm" "errors_during_maintenance" {
  alarm_name          = "${var.name}-5xx-during-maintenance"
  alarm_description   = "A user got a 5XX while a node was out of service. Run node-agent pause REASON, then node-agent status"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.topic_arn]
  tags                = var.tags

  metric_query {
    id          = "errors"
    label       = "5XX while a node is out"
    expression  = "IF(FILL(healthy, 0) < ${local.expected}, FILL(elb, 0) + FILL(targets, 0), 0)"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = local.errors

    content {
      id = metric_query.key

      metric {
        namespace   = metric_query.value.namespace
        metric_name = metric_query.value.metric
        period      = 60
        stat        = metric_query.value.stat
        dimensions  = metric_query.value.dimensions
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "healthy_hosts" {
  alarm_name          = "${var.name}-too-few-healthy"
  alarm_description   = "More nodes are unhealthy or out of service than max_unavailable allows. Run node-agent status"
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.max_unavailable
  evaluation_periods  = local.patience
  treat_missing_data  = "breaching"
  alarm_actions       = [var.topic_arn]
  ok_actions          = [var.topic_arn]
  tags                = var.tags

  metric_query {
    id          = "out"
    label       = "Nodes that are not healthy"
    expression  = "${local.expected} - FILL(healthy, 0)"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = local.nodes

    content {
      id = metric_query.key

      metric {
        namespace   = metric_query.value.namespace
        metric_name = metric_query.value.metric
        period      = 60
        stat        = metric_query.value.stat
        dimensions  = metric_query.value.dimensions
      }
    }
  }
}

resource "aws_cloudwatch_dashboard" "web" {
  # Dashboards are global in an account:
  # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html
  dashboard_name = "${var.name}-${data.aws_region.current.id}"
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
