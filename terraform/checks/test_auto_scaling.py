"""examples/auto-scaling against the stand-in for AWS: applied, its nodes maintained in standby, destroyed.

moto's EnterStandby and ExitStandby leave the target group alone; `playing_the_group` does that part of a group's work. That a
group acts late, and what may go wrong meanwhile, is in rehearsal/tests/auto_scaling.rs.
"""

import json
import re
import threading
import unittest
from contextlib import contextmanager
from fnmatch import fnmatchcase

from node import Node
from programs import TERRAFORM, Aws, Terraform, built, source_of

GROUP = "hello-scaling"
# Calls that change nothing.
READING = {"DescribeAutoScalingGroups", "DescribeAutoScalingInstances", "DescribeTags", "DescribeTargetGroupAttributes", "DescribeTargetGroups", "DescribeTargetHealth"}


class AutoScaling(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.node_agent, cls.hello_service = built("node-agent", "hello-service")
        cls.aws = Aws()
        cls.addClassCleanup(cls.aws.close)
        cls.extra = cls.second_subnet_of_a_zone()
        cls.terraform = Terraform(TERRAFORM / "examples/auto-scaling", AWS_ENDPOINT_URL=cls.aws.url)
        cls.terraform.apply()
        cls.fleet = cls.terraform.outputs()["hello_world"]
        cls.target_group = cls.fleet["target_group_arn"]
        cls.scaling, cls.balancing = cls.aws.client("autoscaling"), cls.aws.client("elbv2")
        cls.instance = cls.group()["Instances"][0]["InstanceId"]

    @classmethod
    def second_subnet_of_a_zone(cls):
        """A load balancer takes one subnet of a zone, and the default VPC may have more."""
        ec2 = cls.aws.client("ec2")
        zone = ec2.describe_subnets()["Subnets"][0]
        block = zone["CidrBlock"].rsplit(".", 2)[0] + ".240.0/24"
        return ec2.create_subnet(VpcId=zone["VpcId"], AvailabilityZone=zone["AvailabilityZone"], CidrBlock=block)["Subnet"]["SubnetId"]

    @classmethod
    def group(cls):
        return cls.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"][0]

    def seen(self):
        """Everything that a maintenance must leave unchanged."""
        group = self.group()
        states = sorted((one["InstanceId"], one["LifecycleState"]) for one in group["Instances"])
        health = self.balancing.describe_target_health(TargetGroupArn=self.target_group)["TargetHealthDescriptions"]
        targets = sorted((one["Target"]["Id"], one["Target"]["Port"], one["TargetHealth"]["State"]) for one in health)
        tags = self.balancing.describe_tags(ResourceArns=[self.target_group])["TagDescriptions"][0]["Tags"]
        leases = [tag["Key"] for tag in tags if tag["Key"].startswith("node-agent/lease/")]
        return group["MinSize"], group["DesiredCapacity"], states, targets, leases

    def maintain(self, *command):
        """Maintains the first node. Returns how that ended and the calls that it made."""
        node = Node(self, self.aws, self.node_agent, self.hello_service, self.instance, self.fleet["config"])
        with self.aws.calls() as calls:
            done = node.agent("maintain", "--", *command)
        return done, [call for call in calls if "aws-sdk-rust" in call["user_agent"]]

    def refused(self, *parts):
        before = self.seen()
        done, calls = self.maintain("true")
        self.assertEqual(done.returncode, 2, done.stdout)
        for part in (*parts, "nothing changed"):
            self.assertIn(part, done.stdout)
        self.assertEqual(self.seen(), before)
        self.assertIn("DescribeAutoScalingInstances", {call["action"] for call in calls})
        self.assertLessEqual({call["action"] for call in calls}, READING)

    def test_1_the_load_balancer_is_in_the_default_subnets_only(self):
        (balancer,) = self.balancing.describe_load_balancers()["LoadBalancers"]
        self.assertNotIn(self.extra, {zone["SubnetId"] for zone in balancer["AvailabilityZones"]})

    def test_1_a_second_plan_is_empty_also_while_a_node_is_in_standby(self):
        self.scaling.enter_standby(AutoScalingGroupName=GROUP, InstanceIds=[self.instance], ShouldDecrementDesiredCapacity=True)
        self.assertEqual(self.group()["DesiredCapacity"], 2)
        self.assertEqual(self.terraform.changes(), {})
        self.refused("reports this instance as Standby", "aws autoscaling exit-standby")
        self.scaling.exit_standby(AutoScalingGroupName=GROUP, InstanceIds=[self.instance])

    def test_2_the_minimum_is_kept(self):
        self.scaling.update_auto_scaling_group(AutoScalingGroupName=GROUP, MinSize=3)
        self.addCleanup(self.scaling.update_auto_scaling_group, AutoScalingGroupName=GROUP, MinSize=2)
        self.refused(f"{GROUP} has a desired capacity of 3 and a minimum of 3", "raise the desired capacity by one or lower the minimum")

    def test_3_nobody_leaves_who_could_not_come_back(self):
        self.scaling.suspend_processes(AutoScalingGroupName=GROUP, ScalingProcesses=["Launch"])
        self.addCleanup(self.scaling.resume_processes, AutoScalingGroupName=GROUP, ScalingProcesses=["Launch"])
        self.refused(f"the process Launch of the Auto Scaling group {GROUP} is suspended", "aws autoscaling resume-processes")

    @contextmanager
    def playing_the_group(self):
        """Deregisters an instance in standby and registers one that is back, as a group does. Yields what was done."""
        done, ended = [], threading.Event()
        target = {"Id": self.instance, "Port": 8080}

        def play():
            registered = True
            while not ended.wait(0.1):
                state = self.scaling.describe_auto_scaling_instances(InstanceIds=[self.instance])["AutoScalingInstances"][0]["LifecycleState"]
                if state == "Standby" and registered:
                    self.balancing.deregister_targets(TargetGroupArn=self.target_group, Targets=[target])
                elif state == "InService" and not registered:
                    self.balancing.register_targets(TargetGroupArn=self.target_group, Targets=[target])
                else:
                    continue
                registered = not registered
                done.append((state, self.group()["DesiredCapacity"]))

        player = threading.Thread(target=play)
        player.start()
        try:
            yield done
        finally:
            ended.set()
            player.join()

    def test_4_a_node_is_maintained_in_standby(self):
        before = self.seen()
        with self.playing_the_group() as done_by_the_group:
            done, calls = self.maintain("true")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(done_by_the_group, [("Standby", 2), ("InService", 3)])
        self.assertEqual(self.seen(), before)
        changes = [call["action"] for call in calls if call["action"] not in READING]
        self.assertEqual([action for action in changes if action not in ("AddTags", "RemoveTags")], ["EnterStandby", "ExitStandby"])
        entered = next(call for call in calls if call["action"] == "EnterStandby")
        self.assertEqual(entered["parameters"], {"AutoScalingGroupName": GROUP, "InstanceIds.member.1": self.instance, "ShouldDecrementDesiredCapacity": "true"})

    def allowed_on(self, arn):
        """The Auto Scaling actions that the nodes' policy allows there. Its statements have no conditions, and none denies."""
        actions = set()
        for statement in json.loads(self.fleet["instance_policy_json"])["Statement"]:
            resources, named = ([entry] if isinstance(entry, str) else entry for entry in (statement["Resource"], statement["Action"]))
            if any(fnmatchcase(arn, pattern) for pattern in resources):
                actions |= {action for action in named if action.startswith("autoscaling:")}
        return actions

    def test_5_the_policy_allows_exactly_these_calls_and_moves_nobody_in_other_groups(self):
        called = {f"autoscaling:{call}" for call in re.findall(r'failed\("(\w+)"\)', source_of("auto_scaling.rs"))}
        moves = {"autoscaling:EnterStandby", "autoscaling:ExitStandby"}
        self.assertLess(moves, called)
        arn = self.group()["AutoScalingGroupARN"]
        self.assertEqual(self.allowed_on(arn), called)
        self.assertEqual(self.allowed_on(arn.replace(GROUP, "payments")), called - moves)

    def test_9_nothing_is_left_of_it(self):
        self.terraform.destroy()
        self.assertEqual(self.scaling.describe_auto_scaling_groups()["AutoScalingGroups"], [])
        self.assertEqual(self.balancing.describe_target_groups()["TargetGroups"], [])


if __name__ == "__main__":
    unittest.main()
