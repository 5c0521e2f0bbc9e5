"""examples/existing-fleet and examples/patch-window against the stand-in for AWS, for a fleet that exists before them."""

import json
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from documents import script_of, validated
from node import Node
from programs import REGION, TERRAFORM, Aws, Terraform, built, environment, run

PACKAGE = TERRAFORM / "tests/node-agent.rpm"
# rpm reports the package as not installed; dnf keeps what it was given.
FAKES = {"rpm": "exit 1", "dnf": 'cp "${@: -1}" "$ROOT/installed"', "systemctl": "true"}


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.node_agent, cls.hello_service = built("node-agent", "hello-service")
        cls.aws = Aws()
        cls.addClassCleanup(cls.aws.close)
        cls.balancing, cls.iam, cls.ssm = (cls.aws.client(service) for service in ("elbv2", "iam", "ssm"))
        cls.make_the_fleet()
        common = [f"-var=region={REGION}", f'-var=target_group_arns=["{cls.group}"]']
        cls.variables = [*common, "-var=name=shop", "-var=instance_role_name=shop-instance", "-var=target_group_policy={fleet_size=2}", f'-var=package_files=["{PACKAGE}"]']
        cls.patch_variables = [*common, "-var=name=patched", "-var=auto_scaling_group_name=patched"]
        cls.terraform = Terraform(TERRAFORM / "examples/existing-fleet", **cls.aws.over_tls)
        cls.terraform.apply(*cls.variables)
        cls.outputs = cls.terraform.outputs()
        cls.agent = cls.outputs["agent"]

    @classmethod
    def make_the_fleet(cls):
        """Two instances with a role behind a target group."""
        ec2 = cls.aws.client("ec2")
        vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        made = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=2, MaxCount=2)
        cls.instances = [instance["InstanceId"] for instance in made["Instances"]]
        cls.group = cls.balancing.create_target_group(Name="shop", Protocol="HTTP", Port=8080, VpcId=vpc, TargetType="instance")["TargetGroups"][0]["TargetGroupArn"]
        cls.balancing.register_targets(TargetGroupArn=cls.group, Targets=[{"Id": one, "Port": 8080} for one in cls.instances])
        cls.iam.create_role(RoleName="shop-instance", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}))

    def attached(self):
        return [policy["PolicyArn"] for policy in self.iam.list_attached_role_policies(RoleName="shop-instance")["AttachedPolicies"]]

    def targets(self):
        health = self.balancing.describe_target_health(TargetGroupArn=self.group)["TargetHealthDescriptions"]
        return sorted((entry["Target"]["Id"], entry["Target"]["Port"]) for entry in health)

    def test_1_the_fleet_stays_and_gets_what_the_agent_needs(self):
        for command in self.outputs["tag_commands"]:
            run("sh", "-c", command, env=environment(AWS_ENDPOINT_URL=self.aws.url))
        tags = self.balancing.describe_tags(ResourceArns=[self.group])["TagDescriptions"][0]["Tags"]
        self.assertEqual({tag["Key"]: tag["Value"] for tag in tags}, self.agent["target_group_tags"])
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

    def test_4_patch_manager_drains_before_and_rejoins_after(self):
        terraform = Terraform(TERRAFORM / "examples/patch-window", AWS_ENDPOINT_URL=self.aws.url)
        terraform.apply(*self.patch_variables)
        self.assertEqual(terraform.changes(*self.patch_variables), {})
        self.assertIn('asg = "standby"', terraform.outputs()["agent"]["config"])
        (window,) = self.ssm.describe_maintenance_windows(Filters=[{"Key": "Name", "Values": ["patched-patch"]}])["WindowIdentities"]
        (task,) = self.ssm.describe_maintenance_window_tasks(WindowId=window["WindowId"])["Tasks"]
        self.assertEqual(task["TaskArn"], "AWS-RunPatchBaselineWithHooks")
        parameters = self.ssm.get_maintenance_window_task(WindowId=window["WindowId"], WindowTaskId=task["WindowTaskId"])["TaskInvocationParameters"]["RunCommand"]["Parameters"]
        for hook, verb in (("PreInstallHookDocName", "drain"), ("OnExitHookDocName", "rejoin")):
            (name,) = parameters[hook]
            self.assertTrue(re.search(rf"node-agent {verb}\b", self.ssm.get_document(Name=name)["Content"]), hook)
        terraform.destroy(*self.patch_variables)
        self.assertEqual(self.ssm.describe_maintenance_windows(Filters=[{"Key": "Name", "Values": ["patched-patch"]}])["WindowIdentities"], [])

    def test_9_to_leave_is_to_destroy(self):
        self.terraform.destroy(*self.variables)
        self.assertEqual(self.attached(), [])
        self.assertEqual(self.targets(), [(one, 8080) for one in sorted(self.instances)])
        self.assertEqual(self.aws.client("s3").list_buckets()["Buckets"], [])


if __name__ == "__main__":
    unittest.main()
