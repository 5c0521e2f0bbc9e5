# Hooks get no parameters. So the drain of this window is a document of its own, which has the end of the window as its default.
locals {
  drain = yamldecode(file("${path.module}/../agent/documents/drain.yaml"))
}

resource "aws_ssm_document" "drain" {
  count = local.hooks ? 1 : 0

  name            = "${var.name}-drain"
  document_type   = "Command"
  document_format = "YAML"
  target_type     = "/AWS::EC2::Instance"
  content = yamlencode(merge(local.drain, {
    parameters = {
      executionTimeout = merge(local.drain.parameters.executionTimeout, { default = tostring(local.execution_timeout) })
      window           = merge(local.drain.parameters.window, { default = local.window })
    }
  }))
}
