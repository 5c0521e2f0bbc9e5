"""Uses local-alb with boto3, and with the AWS CLI where it is installed. Each answer is compared with AWS's API model.

Usage: python3 local-alb/checks LOCAL_ALB"""

import http.server
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

import boto3
import botocore
from botocore.config import Config
from botocore.exceptions import ClientError

import model

API = Path(__file__).parent.parent / "src/api"
A, B = "i-0a000001", "i-0a000002"
HERE = "127.0.0.1"


class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def config(port):
    check = '{ interval = "5s", timeout = "2s" }'
    delay = '{ "deregistration_delay.timeout_seconds" = "1" }'
    instances = "".join(f'[[instances]]\nid = "{node}"\naddress = "{HERE}"\n' for node in (A, B))
    return f"""api = "{HERE}:0"
[settings]
propagation_lag = "200ms"
{instances}
[[groups]]
listen = "{HERE}:0"
name = "web"
port = {port}
targets = [["{A}", {port}]]
health_check = {check}
attributes = {delay}
tags = {{ "node-agent/managed" = "true" }}
[[groups]]
listen = "{HERE}:0"
name = "addresses"
port = {port}
target_type = "ip"
protocol = "HTTPS"
health_check = {check}
[auto_scaling]
api = "{HERE}:0"
[[auto_scaling.groups]]
name = "fleet"
min = 0
target_groups = ["web"]
instances = ["{A}"]
"""


def served():
    """The actions that the source answers."""
    text = (API / "mod.rs").read_text() + (API / "auto_scaling.rs").read_text()
    return set(re.findall(r'"([A-Z][a-z]+[A-Z]\w+)"(?= =>| \|)', text)) | set(re.findall(r'\| "([A-Z]\w+)" =>', text))


class Clients:
    def __init__(self, elb, scaling):
        self.seen, self.problems = set(), []
        # What AWS refuses has to reach the API, so the client does not look at it.
        unchecked = Config(parameter_validation=False, retries={"total_max_attempts": 1})
        made = {"region_name": "us-east-1", "aws_access_key_id": "test", "aws_secret_access_key": "test", "config": unchecked}
        self.elb = boto3.client("elbv2", endpoint_url=elb, **made)
        self.scaling = boto3.client("autoscaling", endpoint_url=scaling, **made)
        for client in (self.elb, self.scaling):
            client.meta.events.register("before-parse", self.compare)

    def compare(self, operation_model, response_dict, **_):
        self.seen.add(operation_model.name)
        found = model.answer(operation_model, response_dict["status_code"], response_dict["body"])
        self.problems.extend(problem for problem in found if problem not in self.problems)

    def refused(self, code, call, **arguments):
        try:
            call(**arguments)
            self.problems.append(f"{call.__name__} with {arguments} is answered, not refused with {code}")
        except ClientError as error:
            if error.response["Error"]["Code"] != code:
                self.problems.append(f"{call.__name__} with {arguments}: {error}, not {code}")


def answered(clients, port):
    """Calls every action, and gives the ARN of the group that later calls use."""
    elb, scaling = clients.elb, clients.scaling
    groups = {group["TargetGroupName"]: group["TargetGroupArn"] for group in elb.describe_target_groups()["TargetGroups"]}
    pages = list(elb.get_paginator("describe_target_groups").paginate(PaginationConfig={"PageSize": 1}))
    assert len(pages) == 2 and len(groups) == 2, groups
    arn = groups["web"]
    elb.get_waiter("target_in_service").wait(TargetGroupArn=arn, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    balancer = elb.describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]
    elb.describe_load_balancer_attributes(LoadBalancerArn=balancer)
    listener = elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"][0]["ListenerArn"]
    rule = elb.describe_rules(ListenerArn=listener)["Rules"][0]["RuleArn"]
    elb.describe_tags(ResourceArns=[balancer, listener, rule])
    presigned = elb.generate_presigned_url("describe_target_groups", HttpMethod="GET")
    with urllib.request.urlopen(presigned) as by_url:
        assert b"<TargetGroupName>web<" in by_url.read()
    elb.describe_target_group_attributes(TargetGroupArn=arn)
    elb.modify_target_group_attributes(
        TargetGroupArn=arn, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "2"}]
    )
    elb.add_tags(ResourceArns=[arn], Tags=[{"Key": "owner", "Value": "us"}])
    tags = elb.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"]
    assert {"Key": "owner", "Value": "us"} in tags, tags
    elb.remove_tags(ResourceArns=[arn], TagKeys=["owner"])
    ours = [{"Id": B, "Port": port}]
    elb.register_targets(TargetGroupArn=arn, Targets=ours)
    elb.describe_target_health(TargetGroupArn=arn)
    wait = {"TargetGroupArn": arn, "Targets": ours, "WaiterConfig": {"Delay": 1, "MaxAttempts": 30}}
    elb.get_waiter("target_in_service").wait(**wait)
    elb.deregister_targets(TargetGroupArn=arn, Targets=ours)
    # Once while it drains, and once as unused.
    elb.describe_target_health(TargetGroupArn=arn)
    elb.get_waiter("target_deregistered").wait(**wait)
    elb.describe_target_health(TargetGroupArn=arn, Targets=ours)
    # A target of type ip that is unhealthy: it speaks no TLS.
    elb.register_targets(TargetGroupArn=groups["addresses"], Targets=[{"Id": HERE, "Port": port}])
    elb.describe_target_health(TargetGroupArn=groups["addresses"])

    scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["fleet"])
    scaling.describe_auto_scaling_instances(InstanceIds=[A])
    standby = {"AutoScalingGroupName": "fleet", "InstanceIds": [A]}
    scaling.enter_standby(ShouldDecrementDesiredCapacity=True, **standby)
    state = lambda: scaling.describe_auto_scaling_instances(InstanceIds=[A])["AutoScalingInstances"][0]["LifecycleState"]
    pause = threading.Event()
    for wanted in ("Standby", "InService"):
        for _ in range(100):
            if state() == wanted:
                break
            pause.wait(0.2)
        assert state() == wanted, state()
        if wanted == "Standby":
            scaling.exit_standby(**standby)
    scaling.update_auto_scaling_group(AutoScalingGroupName="fleet", MinSize=1)
    return arn


def refused(clients, arn):
    """What AWS refuses, with AWS's codes."""
    elb, scaling, refused = clients.elb, clients.scaling, clients.refused
    gone, foreign = arn[:-1] + ("0" if arn[-1] != "0" else "1"), arn.replace("us-east-1", "eu-west-1")
    refused("TargetGroupNotFound", elb.describe_target_health, TargetGroupArn=gone)
    refused("ValidationError", elb.describe_target_health, TargetGroupArn=foreign)
    refused("TargetGroupNotFound", elb.describe_target_groups, Names=["absent"])
    refused("ValidationError", elb.describe_target_groups, Names=[f"group-{n}" for n in range(21)])
    refused("LoadBalancerNotFound", elb.describe_load_balancers, Names=["absent"])
    refused("ListenerNotFound", elb.describe_rules, ListenerArn="arn:absent")
    refused("ValidationError", elb.add_tags, ResourceArns=[arn, arn], Tags=[{"Key": "a", "Value": "b"}])
    refused("ValidationError", elb.add_tags, ResourceArns=[arn], Tags=[{"Key": "\u24d0", "Value": "b"}])
    refused("TooManyTags", elb.add_tags, ResourceArns=[arn], Tags=[{"Key": f"k{n}", "Value": "v"} for n in range(50)])
    refused("DuplicateTagKeys", elb.add_tags, ResourceArns=[arn], Tags=[{"Key": "a", "Value": "b"}] * 2)
    refused("InvalidTarget", elb.register_targets, TargetGroupArn=arn, Targets=[{"Id": "i-0a0000ff"}])
    refused("ValidationError", elb.register_targets, TargetGroupArn=arn, Targets=[{"Id": "web-1"}])
    many = [{"Id": B, "Port": port} for port in range(1, 1002)]
    refused("TooManyTargets", elb.register_targets, TargetGroupArn=arn, Targets=many)
    for key, value in (("stickiness.enabled", "maybe"), ("deregistration_delay.timeout_seconds", "+5")):
        attributes = [{"Key": key, "Value": value}]
        code = "ValidationError"
        refused(code, elb.modify_target_group_attributes, TargetGroupArn=arn, Attributes=attributes)
    refused("ValidationError", scaling.exit_standby, AutoScalingGroupName="absent", InstanceIds=[A])
    refused("ValidationError", scaling.enter_standby, AutoScalingGroupName="fleet", InstanceIds=[A])


def command_line(elb, arn, port):
    """The AWS CLI, where it is installed: what operators and scripts run."""
    aws = shutil.which("aws")
    if not aws:
        return print("skipped: the AWS CLI is not installed")
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    environment = {**os.environ, **credentials, "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null"}
    target = ["--target-group-arn", arn, "--targets", f"Id={B},Port={port}"]
    for words in (["register-targets"], ["wait", "target-in-service"], ["deregister-targets"], ["wait", "target-deregistered"]):
        command = [aws, "elbv2", *words, *target, "--endpoint-url", elb]
        subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=True, timeout=90)
    version = subprocess.run([aws, "--version"], capture_output=True, text=True, check=True)
    print(f"registered, waited for and deregistered with {(version.stdout or version.stderr).split()[0]}")


def main(program):
    server = http.server.ThreadingHTTPServer((HERE, 0), Healthy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(config(port))
        file.flush()
        with subprocess.Popen([program, "--config", file.name], stdout=subprocess.PIPE, text=True) as alb:
            try:
                urls = {}
                while len(urls) < 2:
                    line = alb.stdout.readline()
                    assert line, "local-alb has ended"
                    urls.update(re.findall(r"AWS_ENDPOINT_URL_(\w+)=(\S+)", line))
                elb = urls["ELASTIC_LOAD_BALANCING_V2"]
                clients = Clients(elb, urls["AUTO_SCALING"])
                arn = answered(clients, port)
                refused(clients, arn)
                command_line(elb, arn, port)
            finally:
                alb.terminate()
    missed = served() - clients.seen
    clients.problems.extend(f"{action} is served and not checked" for action in sorted(missed))
    if clients.problems:
        sys.exit("\n".join(clients.problems))
    print(f"{len(clients.seen)} actions answer as botocore {botocore.__version__} models them: {', '.join(sorted(clients.seen))}")


if __name__ == "__main__":
    main(*sys.argv[1:])
