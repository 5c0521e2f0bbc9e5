"""examples/existing-fleet against the stand-in for AWS, for a fleet that exists before it."""

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from documents import script_of, validated
from existing import ExistingFleet
from node import Node
from programs import REGION, TERRAFORM, Terraform, built, environment, run

PACKAGE = TERRAFORM / "tests/node-agent.rpm"
# rpm reports the package as not installed; dnf keeps what it was given.
FAKES = {"rpm": '[ "$1" = -qp ] && echo "node-agent 0.1.0-1 $(uname -m) ${@: -1}"', "dnf": 'cp "${@: -1}" "$ROOT/installed"', "systemctl": "true"}


class Examples(ExistingFleet):
    @classmethod
    def setUpClass(cls):
        cls.node_agent, cls.hello_service = built("node-agent", "hello-service")
        super().setUpClass()
        common = [f"-var=region={REGION}", f'-var=target_group_arns=["{cls.group}"]', "-var=name=shop", "-var=instance_role_name=shop-instance"]
        cls.variables = [*common, "-var=target_group_policy={fleet_size=3,max_unavailable=2}", f'-var=package_files=["{PACKAGE}"]', "-var=service_name=shop.service", '-var=notification_emails=["you@example.com"]']
        cls.terraform = Terraform(TERRAFORM / "examples/existing-fleet", **cls.aws.over_tls)
        cls.terraform.apply(*cls.variables)
        cls.outputs = cls.terraform.outputs()
        cls.agent = cls.outputs["agent"]

    def tagged(self):
        """The instances that Systems Manager finds by the tag of the fleet."""
        found = self.ec2.describe_instances(Filters=[{"Name": "tag:node-agent-fleet", "Values": ["shop"]}])["Reservations"]
        return sorted(instance["InstanceId"] for reservation in found for instance in reservation["Instances"])

    def test_1_the_fleet_stays_and_gets_what_the_agent_needs(self):
        self.assertEqual(self.tagged(), [])
        for command in self.outputs["tag_commands"]:
            run("sh", "-c", command, env=environment(AWS_ENDPOINT_URL=self.aws.url))
        tags = self.balancing.describe_tags(ResourceArns=[self.group])["TagDescriptions"][0]["Tags"]
        self.assertEqual({tag["Key"]: tag["Value"] for tag in tags}, self.agent["target_group_tags"])
        self.assertEqual(self.tagged(), sorted(self.instances))
        self.assertEqual(self.attached(), [self.agent["instance_policy_arn"]])
        self.assertEqual(self.targets(), [(one, 8080) for one in sorted(self.instances)])
        self.assertEqual(self.terraform.changes(*self.variables), {})

    def test_2_a_node_may_start_with_the_settings_written_for_it(self):
        node = Node(self, self.aws, self.node_agent, self.hello_service, self.instances[0], self.agent["config"])
        asked = node.agent("check", "--start")
        self.assertEqual((asked.returncode, asked.stdout.splitlines()[0]), (0, "yes"), asked.stdout)

    def test_3_the_install_document_installs_the_package_that_was_uploaded(self):
        document = validated(self.ssm.get_document(Name=self.agent["document_names"]["install"])["Content"])
        with tempfile.TemporaryDirectory() as folder:
            for name, body in FAKES.items():
                (Path(folder) / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
                (Path(folder) / name).chmod(0o755)
            env = environment(PATH=f"{folder}:{os.environ['PATH']}", ROOT=folder, **self.aws.over_tls)
            done = subprocess.run(["sh", "-c", script_of(document)], env=env, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual((Path(folder) / "installed").read_bytes(), PACKAGE.read_bytes())
            self.assertEqual((Path(folder) / "etc/node-agent/config.toml").read_text(), self.agent["config"])
            ordered = Path(folder) / "etc/systemd/system/shop.service.d/node-agent.conf"
            self.assertEqual(ordered.read_text(), "[Unit]\nBefore=node-agent-guard.service\n")

    def test_4_nothing_happens_on_a_schedule_unless_one_is_set(self):
        self.assertEqual(self.windows(), [])

    def test_5_a_window_reboots_as_many_at_a_time_as_may_be_out(self):
        self.terraform.apply(*self.variables, "-var=schedule=cron(0 2 ? * TUE *)")
        self.addCleanup(self.terraform.apply, *self.variables)
        document, concurrency, parameters = self.task("shop-maintenance")
        self.assertEqual((document, concurrency), ("shop-reboot", "2"))
        self.assertEqual(parameters, {"executionTimeout": ["14400"], "reboot": ["always"], "window": ["02:00 4 Etc/UTC"]})

    def test_6_people_are_told(self):
        told = self.aws.client("sns").list_subscriptions_by_topic(TopicArn=self.agent["topic_arn"])["Subscriptions"]
        self.assertEqual([one["Endpoint"] for one in told], ["you@example.com"])

    def test_7_operators_send_what_runs_no_command(self):
        statements = json.loads(self.agent["operator_policy_json"])["Statement"]
        sends = [statement for statement in statements if "ssm:SendCommand" in statement["Action"]]
        documents = {resource.rsplit("/", 1)[1] for statement in sends for resource in statement["Resource"] if ":document/" in resource}
        self.assertEqual(documents, {"shop-check", "shop-drain", "shop-reboot", "shop-rejoin"})
        (instances,) = [statement for statement in sends if ":instance/" in statement["Resource"]]
        self.assertEqual(instances["Condition"], {"StringEquals": {"ssm:resourceTag/node-agent-fleet": "shop"}})

    def test_9_to_leave_is_to_destroy(self):
        self.terraform.destroy(*self.variables)
        self.assertEqual(self.attached(), [])
        self.assertEqual(self.targets(), [(one, 8080) for one in sorted(self.instances)])
        self.assertEqual(self.aws.client("s3").list_buckets()["Buckets"], [])


if __name__ == "__main__":
    unittest.main()
