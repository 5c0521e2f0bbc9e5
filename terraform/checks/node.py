"""A node of a fleet on this machine: the demo service, and the agent with the settings that Terraform wrote for it."""

import socket
import subprocess
import tempfile
from pathlib import Path

from programs import environment

# Settings that would take too long here, or need another endpoint of the AWS CLI.
LEFT_OUT = ("drain_floor", "notify_command")
SHORTER = 'drain_floor = "1s"\nquiet_period = "500ms"\nstaleness = "100ms"\nsettle = "200ms"\nhealth_poll = "200ms"\nhealth_interval = "100ms"\n'


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Node:
    """Runs until the check ends."""

    def __init__(self, check, aws, agent, service, instance_id, config):
        self.program = agent
        self.folder = Path(check.enterContext(tempfile.TemporaryDirectory()))
        port = free_port()
        serving = subprocess.Popen([service, "--listen", f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        check.addCleanup(serving.wait)
        check.addCleanup(serving.terminate)
        lines = config.replace("127.0.0.1:8080", f"127.0.0.1:{port}").splitlines()
        settings = "\n".join(line for line in lines if not line.startswith(LEFT_OUT))
        own = f'state_dir = "{self.folder}/state"\nhealth_url = "http://127.0.0.1:{port}/healthz"\n'
        (self.folder / "config.toml").write_text(f"{settings}\n{own}{SHORTER}")
        self.env = environment(
            AWS_ENDPOINT_URL_AUTO_SCALING=aws.url,
            AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2=aws.url,
            NODE_AGENT_CONFIG=self.folder / "config.toml",
            NODE_AGENT_INSTANCE_ID=instance_id,
        )

    def agent(self, *arguments):
        """Runs the agent once; all of its output is in stdout."""
        argv = [str(argument) for argument in (self.program, *arguments)]
        return subprocess.run(argv, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=180)
