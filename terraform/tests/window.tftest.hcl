# The window of the whole module: what it refuses.
mock_provider "aws" {
  source = "./tests/mocks"
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
