"""Terraform, the AWS stand-in and the agent, as the checks run them."""

import atexit
import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl
from urllib.request import Request, urlopen

import boto3

HERE = Path(__file__).parent
TERRAFORM = HERE.parent
ROOT = TERRAFORM.parent
REGION = "eu-west-1"


def environment(**more):
    """The environment without the user's own AWS settings."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "TF_", "NODE_AGENT_"))}
    return {
        **kept,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "TF_IN_AUTOMATION": "1",
        "TF_CLI_CONFIG_FILE": "/dev/null",
        **{key: str(value) for key, value in more.items()},
    }


def run(*argv, **options):
    """Runs a program and returns its output; on failure, raises with all of it."""
    done = subprocess.run([str(arg) for arg in argv], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise AssertionError(f"{argv} ended with {done.returncode}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}")
    return done.stdout


def plugin_arguments():
    folder = os.environ.get("TF_PLUGIN_DIR") or ("/opt/tf-plugins" if os.path.isdir("/opt/tf-plugins") else "")
    return [f"-plugin-dir={folder}"] if folder else []


class Terraform:
    """One configuration, with its state in a folder of its own."""

    def __init__(self, configuration, **env):
        self.folder = tempfile.TemporaryDirectory()
        atexit.register(self.folder.cleanup)
        self.state = f"-state={self.folder.name}/terraform.tfstate"
        self.chdir = f"-chdir={configuration}"
        self.env = environment(TF_DATA_DIR=f"{self.folder.name}/data", **env)
        self.call("init", "-input=false", *plugin_arguments())

    def call(self, verb, *arguments):
        return run("terraform", self.chdir, verb, "-no-color", *arguments, env=self.env)

    def apply(self, *arguments):
        return self.call("apply", "-auto-approve", "-input=false", self.state, *arguments)

    def changes(self, *arguments):
        """The changes that a plan would make; empty if there are none."""
        # Several plans may be made at a time.
        plan = f"{self.folder.name}/plan-{threading.get_ident()}"
        self.call("plan", "-input=false", self.state, f"-out={plan}", *arguments)
        planned = json.loads(run("terraform", self.chdir, "show", "-json", plan, env=self.env))
        changed = [change for change in planned["resource_changes"] if change["change"]["actions"] not in (["no-op"], ["read"])]
        return {change["address"]: change["change"] for change in changed}

    def outputs(self):
        return {name: entry["value"] for name, entry in json.loads(run("terraform", self.chdir, "output", "-json", self.state, env=self.env)).items()}

    def destroy(self, *arguments):
        return self.call("destroy", "-auto-approve", "-input=false", self.state, *arguments)


class Provider:
    """The provider of Terraform, started once for many plans: most of a plan is its start. Ends with the test."""

    def __init__(self, terraform):
        (program,) = Path(terraform.env["TF_DATA_DIR"]).glob("providers/*/*/aws/*/*/terraform-provider-aws_*")
        self.printed = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([program, "-debug"], stdout=self.printed, stderr=subprocess.STDOUT, env=terraform.env)
        terraform.env["TF_REATTACH_PROVIDERS"] = self.address()

    def address(self):
        began = time.monotonic()
        while time.monotonic() - began < 60 and self.process.poll() is None:
            self.printed.seek(0)
            if found := re.search("TF_REATTACH_PROVIDERS='(.*)'", self.printed.read()):
                return found[1]
            time.sleep(0.1)
        raise AssertionError(f"the provider did not start: exit code {self.process.poll()}")

    def close(self):
        self.process.kill()
        self.process.wait()
        self.printed.close()


class Aws:
    """The stand-in for AWS, until it is closed."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        env = environment(MOTO_RECORDER_FILEPATH=f"{self.folder.name}/calls")
        self.process = subprocess.Popen([sys.executable, HERE / "stand_in.py", self.folder.name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env)
        self.url, tls_url = (self.process.stdout.readline().strip() for _ in range(2))
        assert tls_url.startswith("https://127.0.0.1:"), "the stand-in for AWS did not start; it needs moto and openssl"
        # For programs that upload and fetch packages.
        self.over_tls = {"AWS_ENDPOINT_URL": tls_url, "AWS_CA_BUNDLE": f"{self.folder.name}/ca.pem"}

    def cli(self, *arguments):
        output = run("aws", "--endpoint-url", self.url, *arguments, "--output", "json", env=environment())
        return json.loads(output) if output.strip() else None

    def client(self, service):
        """A client, which is faster than the CLI for many calls."""
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test")

    @contextmanager
    def calls(self):
        """Yields a list. After the block it contains the calls that were made within it."""
        calls = []
        self.recorder("start-recording", "POST")
        try:
            yield calls
        finally:
            self.recorder("stop-recording", "POST")
        for line in self.recorder("download-recording", "GET").splitlines():
            call = json.loads(line)
            parameters = dict(parse_qsl(base64.b64decode(call["body"]).decode()))
            action = parameters.pop("Action", None)
            parameters.pop("Version", None)
            calls.append({"action": action, "parameters": parameters, "user_agent": call["headers"].get("User-Agent", "")})
        self.recorder("reset-recording", "POST")

    def recorder(self, what, method):
        with urlopen(Request(f"{self.url}/moto-api/recorder/{what}", method=method)) as answer:
            return answer.read().decode()

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        self.folder.cleanup()


def source_of(name):
    """A file of the agent's source, in whichever folder it is."""
    (path,) = (ROOT / "node-agent/src").rglob(name)
    return path.read_text()


def built(*packages):
    """Builds programs and returns their paths. BIN names a folder that has them already."""
    if os.environ.get("BIN"):
        return [Path(os.environ["BIN"]) / package for package in packages]
    run("cargo", "build", "--quiet", *[part for package in packages for part in ("-p", package)], cwd=ROOT)
    metadata = json.loads(run("cargo", "metadata", "--no-deps", "--format-version=1", cwd=ROOT))
    return [Path(metadata["target_directory"]) / "debug" / package for package in packages]
