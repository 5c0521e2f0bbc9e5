"""examples/hello-world against the stand-in for AWS: applied, unchanged by a second plan, maintained, destroyed."""

import base64
import json
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from documents import validated
from node import Node
from programs import HERE, REGION, ROOT, TERRAFORM, Aws, Terraform, built, environment, run, source_of

PACKAGES = ["hello-service-1.rpm", "node-agent-1.rpm"]


def documented_packages(root):
    """The packages that docs/deploy.md uploads, in a checkout where scripts/package has built these."""
    (root / "target/packages").mkdir(parents=True)
    (root / "terraform/examples/hello-world").mkdir(parents=True)
    for name in PACKAGES:
        (root / "target/packages" / name).write_text(f"the package {name}")
    (said,) = re.findall(r'-var "package_files=(.*)"$', (ROOT / "docs/deploy.md").read_text(), re.MULTILINE)
    return run("bash", "-c", f'echo "{said}"', cwd=root / "terraform/examples/hello-world").strip().replace("../../..", str(root))


class Fleet(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.node_agent, cls.hello_service = built("node-agent", "hello-service")
        cls.aws = Aws()
        cls.addClassCleanup(cls.aws.close)
        cls.terraform = Terraform(TERRAFORM / "examples/hello-world", **cls.aws.over_tls)
        packages = documented_packages(Path(cls.enterClassContext(tempfile.TemporaryDirectory())))
        cls.variables = ['-var=user_cidrs=["203.0.113.7/32"]', f"-var=package_files={packages}"]
        cls.terraform.apply(*cls.variables)
        cls.fleet = cls.terraform.outputs()["hello_world"]
        cls.group = cls.fleet["target_group_arn"]

    def tags(self):
        described = self.aws.cli("elbv2", "describe-tags", "--resource-arns", self.group)
        return {tag["Key"]: tag["Value"] for tag in described["TagDescriptions"][0]["Tags"]}

    def tag(self, key, value):
        self.aws.cli("elbv2", "add-tags", "--resource-arns", self.group, "--tags", json.dumps([{"Key": key, "Value": value}]))

    def test_1_a_second_plan_is_empty(self):
        self.assertEqual(self.terraform.changes(*self.variables), {})

    def test_1_the_window_upgrades_to_the_release_that_is_named(self):
        (window,) = self.aws.cli("ssm", "describe-maintenance-windows", "--filters", "Key=Name,Values=hello-world-maintenance")["WindowIdentities"]
        (task,) = self.aws.cli("ssm", "describe-maintenance-window-tasks", "--window-id", window["WindowId"])["Tasks"]
        found = self.aws.cli("ssm", "get-maintenance-window-task", "--window-id", window["WindowId"], "--window-task-id", task["WindowTaskId"])
        (command,) = found["TaskInvocationParameters"]["RunCommand"]["Parameters"]["command"]
        self.assertRegex(command, r"^dnf -y upgrade --releasever=20\d\d\.\d+\.20\d{6}$")
        with self.assertRaisesRegex(AssertionError, "releasever must be a release"):
            self.terraform.changes(*self.variables, "-var=releasever=latest")

    def test_2_the_documents_read_back_as_written(self):
        for what in ("drain", "install", "maintain", "rejoin"):
            name = self.fleet["document_names"][what]
            document = self.aws.cli("ssm", "get-document", "--name", name, "--document-format", "YAML")
            validated(document["Content"])
            if what == "install":
                continue
            written = (TERRAFORM / f"modules/agent/documents/{what}.yaml").read_text()
            self.assertEqual(document["Content"], written)

    def test_3_the_group_is_as_the_seed_has_it_and_drains_for_a_minute(self):
        group = self.aws.cli("elbv2", "describe-target-groups", "--target-group-arns", self.group)["TargetGroups"][0]
        thresholds = [group[key] for key in ("HealthCheckIntervalSeconds", "HealthyThresholdCount", "UnhealthyThresholdCount")]
        self.assertEqual(thresholds, [6, 2, 2])
        attributes = self.aws.cli("elbv2", "describe-target-group-attributes", "--target-group-arn", self.group)["Attributes"]
        self.assertIn({"Key": "deregistration_delay.timeout_seconds", "Value": "60"}, attributes)

    def test_4_a_node_is_maintained_and_people_can_be_told(self):
        instance = self.fleet["instance_ids"][0]
        node = Node(self, self.aws, self.node_agent, self.hello_service, instance, self.fleet["config"])
        done = node.agent("maintain", "--", "touch", node.folder / "patched")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertTrue((node.folder / "patched").exists())
        health = self.aws.cli("elbv2", "describe-target-health", "--target-group-arn", self.group)["TargetHealthDescriptions"]
        self.assertEqual(sorted((entry["Target"]["Port"], entry["TargetHealth"]["State"]) for entry in health), [(8080, "healthy")] * 3)
        self.assertFalse([key for key in self.tags() if key.startswith("node-agent/lease/")])

    def test_5_an_apply_wipes_no_lease_and_lifts_no_pause(self):
        self.tag("node-agent/lease/i-0123456789abcdef0", "v1 p=held e=1 t=1 s=0")
        self.tag("node-agent/paused", "release day")
        self.assertEqual(self.terraform.changes(*self.variables), {})
        # The group's own tags change; leases and the pause stay.
        self.aws.cli("elbv2", "add-tags", "--resource-arns", self.group, "--tags", "Key=node-agent/max-unavailable,Value=2")
        self.terraform.apply(*self.variables)
        tags = self.tags()
        self.assertEqual(tags["node-agent/max-unavailable"], "1")
        self.assertEqual(tags["node-agent/paused"], "release day")
        self.assertEqual(tags["node-agent/lease/i-0123456789abcdef0"], "v1 p=held e=1 t=1 s=0")
        keys = ["node-agent/paused", "node-agent/lease/i-0123456789abcdef0"]
        self.aws.cli("elbv2", "remove-tags", "--resource-arns", self.group, "--tag-keys", *keys)

    def test_6_halted_reaches_the_topic(self):
        queue = self.aws.cli("sqs", "create-queue", "--queue-name", "heard")["QueueUrl"]
        topic = self.fleet["topic_arn"]
        self.aws.cli("sns", "subscribe", "--topic-arn", topic, "--protocol", "sqs", "--notification-endpoint", f"arn:aws:sqs:{REGION}:123456789012:heard")
        import tomllib

        command = tomllib.loads(self.fleet["config"])["notify_command"]
        said = json.dumps({"event": "halted", "instance_id": "i-0123456789abcdef0"})
        run(*command, env=environment(AWS_ENDPOINT_URL=self.aws.url), input=said)
        messages = self.aws.cli("sqs", "receive-message", "--queue-url", queue)["Messages"]
        self.assertEqual(json.loads(messages[0]["Body"])["Message"], said)

    def test_7_nodes_fetch_the_packages_that_were_uploaded_over_tls_only(self):
        bucket = self.fleet["artefact_bucket"]
        uploaded = [f"s3://{bucket}/{entry['Key']}" for entry in self.aws.cli("s3api", "list-objects-v2", "--bucket", bucket)["Contents"]]
        self.assertEqual(sorted(uploaded), [f"s3://{bucket}/packages/{name}" for name in PACKAGES])
        install = self.aws.cli("ssm", "get-document", "--name", self.fleet["document_names"]["install"])["Content"]
        instance = self.fleet["instance_ids"][0]
        user_data = self.aws.cli("ec2", "describe-instance-attribute", "--instance-id", instance, "--attribute", "userData")["UserData"]["Value"]
        for script in (install, base64.b64decode(user_data).decode()):
            (fetched,) = re.findall(r"export PACKAGES='+([^']*)'", script)
            self.assertEqual(sorted(fetched.split()), sorted(uploaded))
        command = ["aws", "s3", "cp", "/etc/hostname", f"s3://{self.fleet['artefact_bucket']}/packages/x"]
        refused = subprocess.run(command, env=environment(AWS_ENDPOINT_URL=self.aws.url), capture_output=True, text=True)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("Forbidden", refused.stderr + refused.stdout)

    def test_8_the_policies_allow_what_is_needed_and_nothing_else(self):
        if not shutil.which("node"):
            self.skipTest("node not installed")
        source = source_of("load_balancer.rs")
        calls = sorted(set(re.findall(r'failed\("(\w+)"\)', source)))
        self.assertIn("DeregisterTargets", calls)
        allowed = re.findall(r'"elasticloadbalancing:(\w+)"', self.fleet["instance_policy_json"])
        self.assertEqual(sorted(allowed), calls)
        facts = {"calls": calls, "fleet": self.fleet}
        print(run("node", HERE / "policies.mjs", input=json.dumps(facts)))

    def test_8_the_policy_on_the_page_is_this_one(self):
        page = (ROOT / "docs/deploy.md").read_text()
        (told,) = re.findall(r'^(    \{\n(?:     .*\n)+    \})$', page, re.MULTILINE)
        policy = self.fleet["instance_policy_json"]
        there = {
            self.group: f"arn:aws:elasticloadbalancing:{REGION}:123456789012:targetgroup/web/0123456789abcdef",
            self.fleet["topic_arn"]: f"arn:aws:sns:{REGION}:123456789012:web-node-agent",
            self.fleet["artefact_bucket"]: "web-artefacts",
            "/node-agent/hello-world": "/node-agent/web",
        }
        for here, other in there.items():
            self.assertIn(here, policy)
            policy = policy.replace(here, other)
        self.assertEqual(json.loads(told), json.loads(policy))

    def test_8_tags_stay_out_of_the_metadata_and_may_contain_slashes(self):
        self.assertFalse([path for path in TERRAFORM.rglob("*.tf") if "instance_metadata_tags" in path.read_text()])

    def test_9_nothing_is_left_of_it(self):
        self.terraform.destroy(*self.variables)
        self.assertEqual(self.aws.cli("elbv2", "describe-target-groups")["TargetGroups"], [])
        documents = self.aws.cli("ssm", "list-documents", "--filters", "Key=Owner,Values=Self")["DocumentIdentifiers"]
        self.assertFalse([one for one in documents if one["Name"].startswith("hello-world")])


if __name__ == "__main__":
    unittest.main()
