"""A fleet that exists before the examples are applied: two instances with a role behind a target group."""

import json
import unittest

from programs import Aws


class ExistingFleet(unittest.TestCase):
    """Makes the fleet in the stand-in for AWS, once for all checks of a class."""

    @classmethod
    def setUpClass(cls):
        cls.aws = Aws()
        cls.addClassCleanup(cls.aws.close)
        cls.balancing, cls.ec2, cls.iam, cls.ssm = (cls.aws.client(service) for service in ("elbv2", "ec2", "iam", "ssm"))
        vpc = cls.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        image = cls.ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        made = cls.ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=2, MaxCount=2)
        cls.instances = [instance["InstanceId"] for instance in made["Instances"]]
        cls.group = cls.balancing.create_target_group(Name="shop", Protocol="HTTP", Port=8080, VpcId=vpc, TargetType="instance")["TargetGroups"][0]["TargetGroupArn"]
        cls.balancing.register_targets(TargetGroupArn=cls.group, Targets=[{"Id": one, "Port": 8080} for one in cls.instances])
        cls.iam.create_role(RoleName="shop-instance", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}))

    def attached(self):
        return [policy["PolicyArn"] for policy in self.iam.list_attached_role_policies(RoleName="shop-instance")["AttachedPolicies"]]

    def targets(self):
        health = self.balancing.describe_target_health(TargetGroupArn=self.group)["TargetHealthDescriptions"]
        return sorted((entry["Target"]["Id"], entry["Target"]["Port"]) for entry in health)

    def windows(self):
        return [window["Name"] for window in self.ssm.describe_maintenance_windows()["WindowIdentities"]]

    def task(self, name):
        """The document and the settings of the only task of a window."""
        (window,) = self.ssm.describe_maintenance_windows(Filters=[{"Key": "Name", "Values": [name]}])["WindowIdentities"]
        (task,) = self.ssm.describe_maintenance_window_tasks(WindowId=window["WindowId"])["Tasks"]
        whole = self.ssm.get_maintenance_window_task(WindowId=window["WindowId"], WindowTaskId=task["WindowTaskId"])
        return task["TaskArn"], task["MaxConcurrency"], whole["TaskInvocationParameters"]["RunCommand"]["Parameters"]
