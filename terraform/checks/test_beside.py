"""The examples beside each other in one account: with the same fleet, and with the same name in two regions."""

import json
import re
import unittest

from documents import validated
from existing import ExistingFleet
from programs import REGION, TERRAFORM, Terraform, environment, run

ELSEWHERE = "us-east-2"


def example(check, name, *variables):
    """Applies an example for the rest of the check, in a state of its own."""
    terraform = Terraform(TERRAFORM / "examples" / name, AWS_ENDPOINT_URL=check.aws.url)
    terraform.apply(*variables)
    return terraform


class Beside(ExistingFleet):
    def fleet_in(self, region):
        variables = [f"-var=region={region}", "-var=name=shop", "-var=instance_role_name=shop-instance", f'-var=target_group_arns=["{self.group.replace(REGION, region)}"]', "-var=schedule=cron(0 2 ? * TUE *)"]
        return example(self, "existing-fleet", *variables), variables

    def test_patches_come_beside_a_fleet_and_go_without_harm_to_it(self):
        fleet, variables = self.fleet_in(REGION)
        agent = fleet.outputs()["agent"]
        patch_variables = [f"-var=region={REGION}", f"-var=fleet={json.dumps(fleet.outputs()['window_inputs'])}"]
        patches = example(self, "patch-window", *patch_variables)
        self.assertEqual((fleet.changes(*variables), patches.changes(*patch_variables)), ({}, {}))
        document, _, parameters = self.task("shop-patch")
        self.assertEqual(document, "AWS-RunPatchBaselineWithHooks")
        self.assertEqual(parameters["OnExitHookDocName"], [agent["document_names"]["rejoin"]])
        (drain,) = parameters["PreInstallHookDocName"]
        content = self.ssm.get_document(Name=drain)["Content"]
        self.assertTrue(re.search(r"node-agent drain\b", content))
        self.assertEqual(validated(content)["parameters"]["window"]["default"], "02:00 6 Etc/UTC")
        patches.destroy(*patch_variables)
        self.assertEqual(self.windows(), ["shop-maintenance"])
        self.assertEqual(fleet.changes(*variables), {})
        topics = [topic["TopicArn"] for topic in self.aws.client("sns").list_topics()["Topics"]]
        self.assertEqual(topics, [agent["topic_arn"]])
        fleet.destroy(*variables)

    def test_one_name_serves_two_regions(self):
        fleet, variables = self.fleet_in(REGION)
        other, other_variables = self.fleet_in(ELSEWHERE)
        self.assertEqual(len(self.attached()), 2)
        self.assertEqual((fleet.changes(*variables), other.changes(*other_variables)), ({}, {}))
        other.destroy(*other_variables)
        self.assertEqual(fleet.changes(*variables), {})
        self.assertEqual(self.attached(), [fleet.outputs()["agent"]["instance_policy_arn"]])
        fleet.destroy(*variables)

    def test_running_and_new_instances_of_an_auto_scaling_group_get_the_tag(self):
        scaling = self.aws.client("autoscaling")
        image = self.ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        scaling.create_launch_configuration(LaunchConfigurationName="scaled", ImageId=image, InstanceType="t3.micro")
        scaling.create_auto_scaling_group(AutoScalingGroupName="scaled", LaunchConfigurationName="scaled", MinSize=2, MaxSize=4, AvailabilityZones=[f"{REGION}a"])
        variables = [f"-var=region={REGION}", "-var=name=scaled", "-var=instance_role_name=shop-instance", f'-var=target_group_arns=["{self.group}"]', "-var=auto_scaling_group_name=scaled"]
        fleet = example(self, "existing-fleet", *variables)
        for command in fleet.outputs()["tag_commands"]:
            run("sh", "-c", command, env=environment(AWS_ENDPOINT_URL=self.aws.url))
        scaling.set_desired_capacity(AutoScalingGroupName="scaled", DesiredCapacity=3)
        (group,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["scaled"])["AutoScalingGroups"]
        found = self.ec2.describe_instances(Filters=[{"Name": "tag:node-agent-fleet", "Values": ["scaled"]}])["Reservations"]
        tagged = {instance["InstanceId"] for reservation in found for instance in reservation["Instances"]}
        self.assertEqual(tagged, {instance["InstanceId"] for instance in group["Instances"]})
        self.assertEqual(len(tagged), 3)
        fleet.destroy(*variables)


if __name__ == "__main__":
    unittest.main()
