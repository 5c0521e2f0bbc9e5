# What a fleet is created with. A change of these would replace the load balancer or all nodes at once, so it is refused.
resource "terraform_data" "fixed" {
  input = {
    auto_scaling = var.auto_scaling != null
    internal     = var.internal
    name         = var.name
    vpc_id       = var.vpc_id
  }

  lifecycle {
    # Keeps the first values.
    ignore_changes = [input]

    postcondition {
      condition     = self.input.auto_scaling == (var.auto_scaling != null)
      error_message = "auto_scaling cannot be switched on or off: all nodes would be replaced at once. Instead, create a second fleet with another name, move users to it, and remove this one."
    }

    postcondition {
      condition     = self.input.internal == var.internal
      error_message = "internal cannot change: the load balancer would be replaced. Instead, create a second fleet with another name, move users to it, and remove this one."
    }

    postcondition {
      condition     = self.input.name == var.name
      error_message = "name cannot change: the load balancer and its DNS name would be replaced. Instead, create a second fleet with the new name, move users to it, and remove this one."
    }

    postcondition {
      condition     = self.input.vpc_id == var.vpc_id
      error_message = "vpc_id cannot change: neither instances nor load balancers can move to another VPC. Instead, create a second fleet with another name, move users to it, and remove this one."
    }
  }
}
