# An EC2 Image Builder component that installs node-agent in an image. Put it last in the recipe. Nodes started from the
# image need no user data.
locals {
  component = yamlencode({
    name          = var.name
    description   = "node-agent, installed and set up, and nothing of the build machine left"
    schemaVersion = "1.0"
    phases = [
      {
        name = "build"
        steps = [
          { name = "Install", action = "ExecuteBash", inputs = { commands = ["export BAKE=1", var.install_script] } },
          { name = "CleanImage", action = "ExecuteBash", inputs = { commands = [file("${path.module}/../agent/scripts/clean-image")] } },
        ]
      },
      {
        name = "validate"
        steps = [{
          name   = "NothingOfThisMachine"
          action = "ExecuteBash"
          inputs = { commands = ["test ! -e /var/lib/node-agent/record.json", "systemctl is-enabled node-agent.service node-agent-guard.service"] }
        }]
      },
      {
        # On a test instance started from the image, the agent runs and has no maintenance on record.
        name = "test"
        steps = [{
          name   = "NothingToDo"
          action = "ExecuteBash"
          inputs = { commands = ["node-agent --version", "node-agent idle"] }
        }]
      },
    ]
  })
}

resource "aws_imagebuilder_component" "node_agent" {
  name        = var.name
  description = "node-agent, installed and set up"
  platform    = "Linux"
  version     = var.component_version
  data        = local.component
}
