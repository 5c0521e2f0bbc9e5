locals {
  documents = {
    check    = file("${path.module}/documents/check.yaml")
    drain    = file("${path.module}/documents/drain.yaml")
    maintain = file("${path.module}/documents/maintain.yaml")
    reboot   = file("${path.module}/documents/reboot.yaml")
    rejoin   = file("${path.module}/documents/rejoin.yaml")
    # Running nodes get the script that new nodes get.
    install = yamlencode({
      schemaVersion = "2.2"
      description   = "Installs or upgrades node-agent and writes its settings; never disturbs a maintenance under way"
      mainSteps = [{
        action       = "aws:runShellScript"
        name         = "install"
        precondition = { StringEquals = ["platformType", "Linux"] }
        inputs = {
          timeoutSeconds = "1800"
          runCommand     = split("\n", trimspace("exec bash -s <<'NODE_AGENT_INSTALL'\n${trimspace(local.install_script)}\nNODE_AGENT_INSTALL"))
        }
      }]
    })
  }
}

resource "aws_ssm_document" "node_agent" {
  for_each = local.documents

  name            = "${var.name}-${each.key}"
  document_type   = "Command"
  document_format = "YAML"
  target_type     = "/AWS::EC2::Instance"
  content         = each.value
}
