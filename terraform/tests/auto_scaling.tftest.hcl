# The whole module with an Auto Scaling group, planned without AWS.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  load_balancer_subnet_ids = ["subnet-a", "subnet-b"]
  name                     = "hello"
  vpc_id                   = "vpc-a"
}

run "auto_scaling" {
  command = apply

  variables {
    auto_scaling = { desired_capacity = 3, max_size = 6, min_size = 2 }
    min_healthy  = 2
  }

  assert {
    condition     = length(module.fleet.instance_ids) == 0 && output.auto_scaling_group_name == "hello"
    error_message = "a group and no fixed instances"
  }

  assert {
    condition     = !contains(keys(module.agent.target_group_tags), "node-agent/fleet-size") && module.agent.target_group_tags["node-agent/min-healthy"] == "2"
    error_message = "fleet-size never together with Auto Scaling"
  }

  assert {
    condition     = strcontains(output.config, "asg = \"standby\"") && strcontains(output.instance_policy_json, "autoscaling:EnterStandby")
    error_message = "nodes move to Standby and back"
  }
}

run "no_auto_scaling_without_room_for_standby" {
  command = plan

  variables {
    auto_scaling = { desired_capacity = 2, max_size = 2, min_size = 2 }
  }

  expect_failures = [var.auto_scaling]
}
