"""Changes that need a new target group, on the stand-in for AWS: users never meet a group without registered targets."""

import unittest

from programs import TERRAFORM, Aws, Terraform

AUTO_SCALING = "-var=auto_scaling={desired_capacity=3,max_size=6,min_size=2}"


class TargetGroup(unittest.TestCase):
    def made(self, *mode):
        """A fleet of three nodes."""
        self.aws = Aws()
        self.addCleanup(self.aws.close)
        self.balancing = self.aws.client("elbv2")
        network = self.aws.client("ec2").describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
        subnets = ",".join(f'"{subnet["SubnetId"]}"' for subnet in network)
        self.variables = ["-var=name=web", f"-var=vpc_id={network[0]['VpcId']}", f"-var=load_balancer_subnet_ids=[{subnets}]", *mode]
        self.terraform = Terraform(TERRAFORM, AWS_ENDPOINT_URL=self.aws.url)
        self.terraform.apply(*self.variables)
        self.instances = self.targets(self.group())
        self.assertEqual(len(self.instances), 3)

    def group(self):
        """The group that the listener forwards to."""
        (balancer,) = self.balancing.describe_load_balancers()["LoadBalancers"]
        (listener,) = self.balancing.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
        return listener["DefaultActions"][0]["TargetGroupArn"]

    def targets(self, group):
        health = self.balancing.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        return {entry["Target"]["Id"] for entry in health}

    def replayed(self, calls, group):
        """What users meet: the targets of the listener's group after each call."""
        registered = {group: set(self.instances)}
        for call in calls:
            action, parameters = call["action"], call["parameters"]
            arn = parameters.get("TargetGroupArn") or parameters.get("TargetGroupARNs.member.1")
            targets = {value for key, value in parameters.items() if key.startswith("Targets.member.") and key.endswith(".Id")}
            if action == "RegisterTargets":
                registered.setdefault(arn, set()).update(targets)
            elif action == "DeregisterTargets":
                registered[arn] -= targets
            elif action == "AttachLoadBalancerTargetGroups":
                registered[arn] = set(self.instances)
            elif action == "DetachLoadBalancerTargetGroups":
                registered[arn] = set()
            elif action == "ModifyListener":
                group = next(value for key, value in parameters.items() if key.endswith("TargetGroupArn"))
            yield call["action"], registered.get(group, set())

    def replaces(self, change, **expected):
        old = self.group()
        with self.aws.calls() as calls:
            self.terraform.apply(*self.variables, change)
        for action, targets in self.replayed(calls, old):
            self.assertEqual(targets, self.instances, f"after {action}, with {change}")
        (new,) = self.balancing.describe_target_groups()["TargetGroups"]
        self.assertEqual({key: new[key] for key in expected}, expected)
        self.assertNotEqual(new["TargetGroupArn"], old)
        self.assertEqual((self.group(), self.targets(self.group())), (new["TargetGroupArn"], self.instances))
        self.assertEqual(self.terraform.changes(*self.variables, change), {})
        self.policies_name(new["TargetGroupArn"])
        return [call["action"] for call in calls]

    def policies_name(self, group):
        """The policies, the settings and the tags go with the group."""
        outputs = self.terraform.outputs()
        for output in ("instance_policy_json", "operator_policy_json", "config"):
            self.assertIn(group, outputs[output], output)
        tags = self.balancing.describe_tags(ResourceArns=[group])["TagDescriptions"][0]["Tags"]
        self.assertIn({"Key": "node-agent/managed", "Value": "true"}, tags)

    def test_fixed_instances_are_in_the_new_group_before_users_are(self):
        self.made()
        order = self.replaces("-var=service_port=8081", Port=8081)
        moved = order.index("ModifyListener")
        for call in ("AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress", "RegisterTargets"):
            self.assertLess(len(order) - 1 - order[::-1].index(call), moved, call)
        for call in ("RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress", "DeregisterTargets", "DeleteTargetGroup"):
            self.assertGreater(order.index(call), moved, call)
        self.variables.append("-var=service_port=8081")
        self.replaces("-var=service_protocol=HTTPS", Protocol="HTTPS")

    def test_an_auto_scaling_group_is_in_the_new_group_before_users_are(self):
        self.made(AUTO_SCALING)
        self.replaces("-var=service_port=8081", Port=8081)

    def test_a_fleet_keeps_its_vpc_and_its_name(self):
        self.made()
        before = self.balancing.describe_target_groups()["TargetGroups"]
        other = self.aws.client("ec2").create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        for change in (f"-var=vpc_id={other}", "-var=name=shop"):
            with self.assertRaisesRegex(AssertionError, "create a second fleet"):
                self.terraform.apply(*self.variables, change)
        self.assertEqual(self.balancing.describe_target_groups()["TargetGroups"], before)
        self.assertEqual(self.targets(self.group()), self.instances)


if __name__ == "__main__":
    unittest.main()
