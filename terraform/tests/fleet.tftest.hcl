# Every branch of the whole module, planned without AWS.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  load_balancer_subnet_ids = ["subnet-a", "subnet-b"]
  name                     = "hello"
  vpc_id                   = "vpc-a"
}

run "fixed_instances_as_they_come" {
  command = apply

  assert {
    condition     = length(module.fleet.instance_ids) == 3 && module.fleet.auto_scaling_group_name == null
    error_message = "three instances and no Auto Scaling group"
  }

  assert {
    condition     = jsonencode(module.agent.target_group_tags) == jsonencode({ "node-agent/managed" = "true", "node-agent/max-failures" = "0", "node-agent/max-unavailable" = "1", "node-agent/fleet-size" = "3" })
    error_message = "the policy of three fixed instances"
  }

  assert {
    condition     = output.window_id == null && startswith(output.url, "http://")
    error_message = "no window and plain HTTP, unless asked for"
  }

  assert {
    condition     = strcontains(output.config, "notify_command = [\"aws\",\"sns\",\"publish\"") && !strcontains(output.config, "asg") && !strcontains(output.config, "lease_role_id")
    error_message = "settings of fixed instances"
  }

  assert {
    condition     = alltrue([for statement in jsondecode(output.instance_policy_json).Statement : !startswith(jsonencode(statement.Action), "\"autoscaling")])
    error_message = "no Auto Scaling permissions without Auto Scaling"
  }
}

run "everything_asked_for" {
  command = apply

  variables {
    access_logs          = { bucket = "logs", prefix = "hello" }
    ami_id               = "ami-0fedcba9876543210"
    certificate_arn      = "arn:aws:acm:eu-west-1:123456789012:certificate/0"
    deletion_protection  = true
    domain_name          = "hello.example.com"
    idle_timeout         = 120
    in_flight_url        = "http://127.0.0.1:8080/in-flight"
    instance_count       = 5
    instance_subnet_ids  = ["subnet-c"]
    max_unavailable      = 2
    notification_emails  = ["night@example.com"]
    package_files        = ["tests/node-agent.rpm"]
    permissions_boundary = "arn:aws:iam::123456789012:policy/boundary"
    pin_leases           = true
    tags                 = { team = "web" }
    user_cidrs           = ["203.0.113.7/32"]
    window               = { command = "dnf -y upgrade", schedule = "cron(0 2 ? * TUE *)" }
  }

  assert {
    condition     = output.url == "https://hello.example.com" && output.window_id != null
    error_message = "HTTPS by the name in the certificate, and a window"
  }

  assert {
    condition     = strcontains(output.instance_policy_json, "node-agent/lease/$${aws:userid}") && strcontains(output.config, "lease_role_id = \"AROAEXAMPLE0123456789\"")
    error_message = "leases pinned to their owners"
  }

  assert {
    condition     = strcontains(output.install_script, "packages/node-agent.rpm") && strcontains(output.config, "in_flight_url = \"http://127.0.0.1:8080/in-flight\"")
    error_message = "packages and settings reach the user data"
  }
}

run "no_delay_below_the_floor" {
  command = plan

  variables {
    deregistration_delay = 60
    drain_floor          = 90
  }

  expect_failures = [var.deregistration_delay]
}

run "no_delay_below_the_longest_request" {
  command = plan

  variables {
    idle_timeout    = 120
    longest_request = 61
  }

  expect_failures = [var.deregistration_delay]
}

run "no_window_without_work" {
  command = plan

  variables {
    window = { reboot = "never", schedule = "rate(7 days)" }
  }

  expect_failures = [var.window]
}

run "no_command_of_two_lines" {
  command = plan

  variables {
    window = { command = "true\nfalse", schedule = "rate(7 days)" }
  }

  expect_failures = [var.window]
}

run "no_fleet_that_may_be_out_altogether" {
  command = plan

  variables {
    max_unavailable = 3
  }

  expect_failures = [var.max_unavailable]
}

run "no_idle_timeout_below_the_longest_request" {
  command = plan

  variables {
    idle_timeout    = 30
    longest_request = 30
  }

  expect_failures = [var.idle_timeout]
}

run "no_tags_that_are_the_agents" {
  command = plan

  module {
    source = "./modules/fleet"
  }

  variables {
    fleet_tag           = { key = "node-agent-fleet", value = "hello" }
    instance_policy_arn = "arn:aws:iam::123456789012:policy/hello"
    instance_subnet_ids = ["subnet-a"]
    tags                = { "node-agent/paused" = "" }
    target_group_tags   = {}
    topic_arn           = "arn:aws:sns:eu-west-1:123456789012:hello"
    user_data           = ""
  }

  expect_failures = [var.tags]
}
