"""Plans of a change of each variable of the module: what it does to a running fleet is what docs/deploy.md says.

Variables with the same effect change together. EACH=1 plans each by itself, for minutes, and so shows which one differs.
"""

import os
import re
import unittest
from concurrent.futures import ThreadPoolExecutor

from effects import REFUSED, effects
from programs import ROOT, TERRAFORM, Aws, Provider, Terraform

EACH = bool(os.environ.get("EACH"))
FIXED, SCALED = "fixed instances", "Auto Scaling group"
SIZES = {"desired_capacity": 3, "max_size": 6, "min_size": 2}
BOUNDARY = "arn:aws:iam::123456789012:policy/boundary"
CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
# Another value for each variable.
CHANGES = {
    "access_logs": '{bucket="logs"}',
    "ami_id": "ami-0123456789abcdef0",
    "architecture": "arm64",
    "certificate_arn": CERTIFICATE,
    "deletion_protection": "true",
    "deregistration_delay": "90",
    "domain_name": "shop.example.com",
    "drain_floor": "45",
    "egress_ports": "[80,443]",
    "health_check_path": "/health",
    "idle_timeout": "90",
    "in_flight_url": "http://127.0.0.1:8080/in-flight",
    "instance_count": "5",
    "instance_type": "t3.small",
    "internal": "true",
    "log_retention_days": "30",
    "longest_request": "20",
    "max_failures": "1",
    "max_unavailable": "2",
    "min_healthy": "2",
    "name": "shop",
    "notification_emails": '["night@example.com"]',
    "package_files": f'["{TERRAFORM}/tests/node-agent.rpm"]',
    "permissions_boundary": BOUNDARY,
    "pin_leases": "true",
    "root_device_name": "/dev/sda1",
    "root_volume_gb": "20",
    "service_port": "8081",
    "service_protocol": "HTTPS",
    "tags": '{team="web"}',
    "update_ssm_agent": "false",
    "user_cidrs": '["203.0.113.7/32"]',
    "window": '{reboot="always",schedule="cron(0 2 ? * TUE *)"}',
}


def sizes(**changed):
    return "{" + ",".join(f"{name}={number}" for name, number in {**SIZES, **changed}.items()) + "}"


def table():
    """The rows of docs/deploy.md by argument: the effects on fixed instances, and with an Auto Scaling group."""
    rows = re.findall(r"^\| `([\w.]+)` \| ([^|]+) \| ([^|]+) \|$", (ROOT / "docs/deploy.md").read_text(), re.MULTILINE)
    return {name: {FIXED: fixed.split(", "), SCALED: scaled.strip().split(", ")} for name, fixed, scaled in rows}


class Plans(unittest.TestCase):
    def setUp(self):
        self.aws = Aws()
        self.addCleanup(self.aws.close)
        ec2 = self.aws.client("ec2")
        network = ec2.describe_subnets()["Subnets"]
        self.subnets = [subnet["SubnetId"] for subnet in network]
        self.other_vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        self.terraform = Terraform(TERRAFORM, AWS_ENDPOINT_URL=self.aws.url)
        self.variables = ["-var=name=web", f"-var=vpc_id={network[0]['VpcId']}", f"-var=load_balancer_subnet_ids={self.listed(self.subnets)}"]

    def listed(self, subnets):
        return "[" + ",".join(f'"{subnet}"' for subnet in subnets) + "]"

    def changes_of(self, mode):
        """Name of the row, and the variable's new value."""
        fewer = self.listed(self.subnets[1:3])
        rows = {name: (name, value) for name, value in {**CHANGES, "instance_subnet_ids": fewer, "load_balancer_subnet_ids": fewer, "vpc_id": self.other_vpc}.items()}
        rows["auto_scaling"] = ("auto_scaling", sizes() if mode == FIXED else "null")
        if mode == SCALED:
            rows |= {f"auto_scaling.{name}": ("auto_scaling", sizes(**{name: SIZES[name] + (1 if name != "min_size" else -1)})) for name in SIZES}
        return rows

    def effects_of(self, changes):
        """The effects of variables that change together."""
        try:
            return effects(self.baseline, self.planned(*(f"-var={variable}={value}" for variable, value in changes.items())))
        except AssertionError as error:
            refusal = r"\b({}) (cannot change|cannot be\s+switched on or off)".format("|".join(changes))
            if re.search(refusal, str(error)):
                return [REFUSED]
            raise

    def together(self, rows, told):
        """Rows that say the same are planned in one go, which takes a fifth of the time. A refusal hides what else would
        change, and the rows of one variable cannot be combined."""
        groups = []
        for name, change in rows.items():
            alone = EACH or REFUSED in told[name] or "." in name
            group = next((group for group in groups if not alone and not group["alone"] and group["told"] == told[name]), None)
            if group is None:
                group = {"told": told[name], "alone": alone, "names": [], "changes": {}}
                groups.append(group)
            group["names"].append(name)
            group["changes"] |= [change]
        return groups

    def planned(self, *changed):
        return self.terraform.changes("-refresh=false", "-lock=false", *self.variables, *changed)

    def compare(self, mode, *settings):
        self.variables += settings
        self.terraform.apply(*self.variables)
        provider = Provider(self.terraform)
        self.addCleanup(provider.close)
        if mode == FIXED:
            # A fourth instance shows what new ones are like.
            self.variables.append("-var=instance_count=4")
        self.baseline = self.planned()
        rows = self.changes_of(mode)
        told = {name: row[mode] for name, row in table().items() if name in rows}
        self.assertEqual(set(told), set(rows))
        groups = self.together(rows, told)
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda group: self.effects_of(group["changes"]), groups))
        for group, effect in zip(groups, found):
            with self.subTest(mode, arguments=group["names"]):
                self.assertEqual(group["told"], effect)

    def test_the_table_has_every_variable(self):
        declared = set(re.findall(r'^variable "(\w+)"', (TERRAFORM / "variables.tf").read_text(), re.MULTILINE))
        self.assertEqual({name.split(".")[0] for name in table()}, declared)

    def test_fixed_instances(self):
        self.compare(FIXED)
        # An instance that is replaced comes before the old one goes.
        again = "module.fleet.aws_instance.web[0]"
        self.assertEqual(self.planned(f"-replace={again}")[again]["actions"], ["create", "delete"])
        # Fewer: the last node goes, and no other.
        fewer = self.planned("-var=instance_count=2")
        gone = {address.removeprefix("module.fleet.") for address, change in fewer.items() if "delete" in change["actions"]}
        self.assertEqual(gone, {"aws_instance.web[2]", "aws_lb_target_group_attachment.web[2]"})

    def test_an_auto_scaling_group(self):
        self.compare(SCALED, f"-var=auto_scaling={sizes()}")


if __name__ == "__main__":
    unittest.main()
