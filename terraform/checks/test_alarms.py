"""The expressions of the alarms, as Terraform plans them, on the numbers of fleets in and out of trouble."""

import unittest

from metric_math import fires, value
from programs import TERRAFORM, Aws, Terraform

NETWORK = ["-var=name=web", "-var=vpc_id=vpc-1", '-var=load_balancer_subnet_ids=["subnet-1","subnet-2"]']
LONG = 10


class Alarms(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.aws = Aws()
        cls.addClassCleanup(cls.aws.close)
        cls.terraform = Terraform(TERRAFORM, AWS_ENDPOINT_URL=cls.aws.url)

    def planned(self, *variables):
        """Both alarms, and the metrics that the Auto Scaling group publishes."""
        planned = {address.split(".", 2)[-1]: change["after"] for address, change in self.terraform.changes(*NETWORK, *variables).items()}
        group = planned.get("aws_autoscaling_group.web[0]", {"enabled_metrics": []})
        return planned["aws_cloudwatch_metric_alarm.errors_during_maintenance"], planned["aws_cloudwatch_metric_alarm.healthy_hosts"], group["enabled_metrics"]

    def fixed(self, count, max_unavailable=1):
        return self.planned(f"-var=instance_count={count}", f"-var=max_unavailable={max_unavailable}")[:2]

    def scaled(self, max_unavailable=1):
        return self.planned("-var=auto_scaling={desired_capacity=4,max_size=8,min_size=2}", f"-var=max_unavailable={max_unavailable}")

    def check(self, alarm, expected, minutes=LONG, **numbers):
        at = {"elb": None, "targets": None, **numbers}
        self.assertEqual(fires(alarm, [at] * minutes), expected, (alarm["alarm_name"], numbers))

    def test_the_rules_of_metric_math(self):
        for expression, expected in {"1 + a": 4, "1 - missing": None, "FILL(missing, 2) + a": 5, "IF(a < 3, 1, 0)": 0, "IF(a > 2, missing, 0)": None, "MAX([a, 7])": 7, "MAX([a, missing])": None}.items():
            self.assertEqual(value(expression, {"a": 3, "missing": None}), expected, expression)

    def test_errors_count_only_while_a_fixed_node_is_out(self):
        errors, _ = self.fixed(3)
        self.check(errors, False, healthy=3, targets=5)
        for healthy in (2, 1, 0):
            self.check(errors, False, healthy=healthy)
            self.check(errors, True, healthy=healthy, targets=1, minutes=1)
            self.check(errors, True, healthy=healthy, elb=1, minutes=1)
        # No target is registered, so AWS reports no number of healthy ones.
        self.check(errors, True, healthy=None, elb=1, minutes=1)

    def test_errors_count_while_a_node_of_a_group_is_in_standby(self):
        errors, _, _ = self.scaled()
        self.check(errors, False, healthy=4, wanted=4, standby=0, total=4, targets=5)
        # Draining on its way to standby: the desired capacity has dropped, and no node counts as in standby.
        self.check(errors, True, healthy=3, wanted=3, standby=0, total=4, targets=1, minutes=1)
        # In standby, whether or not the total includes it.
        for total in (3, 4):
            self.check(errors, True, healthy=3, wanted=3, standby=1, total=total, targets=1, minutes=1)
            self.check(errors, False, healthy=3, wanted=3, standby=1, total=total)
        # Back in the group, and not healthy yet.
        self.check(errors, True, healthy=3, wanted=4, standby=0, total=4, elb=1, minutes=1)

    def test_too_few_are_healthy_when_more_are_out_than_may_be(self):
        for count, max_unavailable in ((2, 1), (3, 1), (3, 2), (8, 2)):
            _, too_few = self.fixed(count, max_unavailable)
            for healthy in range(count + 1):
                self.check(too_few, count - healthy > max_unavailable, healthy=healthy)
            self.check(too_few, False, healthy=0, minutes=1)
            self.check(too_few, True, healthy=None)

    def test_too_few_are_healthy_in_a_group_long_before_nobody_is_left(self):
        for max_unavailable in (1, 2):
            _, too_few, _ = self.scaled(max_unavailable)
            for wanted in (2, 4, 8):
                for standby in range(max_unavailable + 1):
                    for ill in range(wanted - standby + 1):
                        self.check(too_few, standby + ill > max_unavailable, healthy=wanted - standby - ill, wanted=wanted - standby, standby=standby, total=wanted)
        # Four more instances boot for three minutes.
        self.check(too_few, False, healthy=4, wanted=8, standby=0, total=8, minutes=3)

    def test_the_group_publishes_what_the_alarms_read(self):
        errors, too_few, published = self.scaled()
        for alarm in (errors, too_few):
            read = {query["metric"][0]["metric_name"] for query in alarm["metric_query"] if query["metric"] and query["metric"][0]["namespace"] == "AWS/AutoScaling"}
            self.assertTrue(read)
            self.assertLessEqual(read, set(published))


if __name__ == "__main__":
    unittest.main()
