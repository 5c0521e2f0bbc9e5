# The window of the whole module: what it refuses.
mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { name = "eu-west-1" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_ssm_parameter" {
    defaults = { value = "ami-0123456789abcdef0" }
  }
}

variables {
  load_balancer_subnet_ids = ["subnet-a", "subnet-b"]
  name                     = "hello"
  vpc_id                   = "vpc-a"
}

run "nobody_waits_longer_than_the_window" {
  command = plan

  variables {
    window = { duration = 2, execution_timeout = 14400, schedule = "cron(0 2 ? * TUE *)" }
  }

  expect_failures = [var.window]
}

run "no_window_that_is_too_short_for_a_node" {
  command = plan

  variables {
    window = { execution_timeout = 3599, schedule = "cron(0 2 ? * TUE *)" }
  }

  expect_failures = [var.window]
}
