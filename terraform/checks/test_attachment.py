"""terraform apply while a node is out: Terraform registers it, and the agent takes it out again before it continues."""

import json
import signal
import subprocess
import tempfile
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from node import free_port
from programs import HERE, Terraform, built, environment, run

NODE = "i-0a000000000000001"


class Attachment(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        balancer, agent, service = built("local-alb", "node-agent", "hello-service")
        self.agent, self.ports = agent, [free_port() for _ in range(2)]
        for port in self.ports:
            self.start([service, "--listen", f"127.0.0.1:{port}"])
        nodes = [NODE, "i-0a000000000000002"]
        instances = "".join(f'[[instances]]\nid = "{node}"\naddress = "127.0.0.1"\n' for node in nodes)
        (self.folder / "alb.toml").write_text(f"""api = "127.0.0.1:0"
{instances}
[[groups]]
listen = "127.0.0.1:0"
name = "web"
targets = {json.dumps([list(pair) for pair in zip(nodes, self.ports)])}
health_check = {{ interval = "200ms" }}
attributes = {{ "deregistration_delay.timeout_seconds" = "600" }}
tags = {{ "node-agent/managed" = "true" }}
""")
        alb = self.start([balancer, "--config", self.folder / "alb.toml"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(alb.stdout.close)
        self.url = alb.stdout.readline().strip().split("=", 1)[1]
        self.env = environment(AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2=self.url, AWS_REGION="us-east-1", AWS_DEFAULT_REGION="us-east-1", NODE_AGENT_INSTANCE_ID=NODE, NODE_AGENT_CONFIG=self.folder / "config.toml")
        (self.folder / "config.toml").write_text(
            f'state_dir = "{self.folder}/state"\ndrain_floor = "1s"\nstaleness = "100ms"\nsettle = "200ms"\nhealth_interval = "100ms"\nquiet_period = "500ms"\nin_flight_url = "{self.counting_requests()}"\n'
            f'boot_id_path = "{self.folder}/boot_id"\nreboot_command = ["sh", "{self.folder}/reboot"]\n')
        (self.folder / "boot_id").write_text("first\n")
        # A reboot of the machine also ends the agent.
        (self.folder / "reboot").write_text(f"echo second >{self.folder}/boot_id\nkill -KILL $PPID\n")
        self.group = self.elb("describe-target-groups")["TargetGroups"][0]["TargetGroupArn"]
        self.until(lambda: self.states() == ["healthy", "healthy"])

    def start(self, argv, **options):
        process = subprocess.Popen([str(arg) for arg in argv], stderr=subprocess.DEVNULL, **{"stdout": subprocess.DEVNULL, **options})
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        return process

    def counting_requests(self):
        """The URL of the service's request count: 1 while it is busy, which keeps the drain from ending."""
        busy = self.busy = threading.Event()

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"1" if busy.is_set() else b"0")

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}/"

    def elb(self, *arguments):
        return json.loads(run("aws", "elbv2", *arguments, "--output", "json", env=self.env))

    def states(self):
        health = self.elb("describe-target-health", "--target-group-arn", self.group)["TargetHealthDescriptions"]
        return sorted(entry["TargetHealth"]["State"] for entry in health)

    def until(self, condition, limit=120):
        end = time.monotonic() + limit
        while not condition():
            self.assertLess(time.monotonic(), end, "a condition that never came to hold")
            time.sleep(0.2)

    def operation(self):
        return json.loads((self.folder / "state/record.json").read_text())["operation"]

    def phases(self):
        """The phases before the reboot."""
        return [entry["phase"] for entry in self.before_the_reboot["history"]]

    def played(self, command, at):
        """Maintains the node, and applies in the middle of it."""
        target = json.dumps({"group": self.group, "id": NODE, "port": self.ports[0]})
        terraform = Terraform(HERE / "attachment", AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2=self.url)
        terraform.apply(f"-var=target={target}")
        running = subprocess.Popen([self.agent, "maintain", "--reboot", "--", "sh", "-c", command], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.until(at)
        terraform.apply(f"-var=target={target}")
        (self.folder / "applied").touch()
        self.busy.clear()
        said, _ = running.communicate(timeout=240)
        self.assertEqual(running.returncode, -signal.SIGKILL, said)
        self.assertEqual((self.folder / "boot_id").read_text(), "second\n", "not rebooted")
        self.before_the_reboot = self.operation()
        run(self.agent, "resume", env=self.env)
        self.until(lambda: self.states() == ["healthy", "healthy"])
        return self.phases()

    def test_during_the_drain(self):
        self.busy.set()
        phases = self.played("true", lambda: "draining" in self.states())
        self.assertGreaterEqual(phases.count("deregister"), 2, phases)
        self.assertGreater(phases.index("run_command"), [i for i, phase in enumerate(phases) if phase == "deregister"][1])

    def test_during_the_command(self):
        command = f"touch {self.folder}/began; while [ ! -e {self.folder}/applied ]; do sleep 0.1; done; sleep 2"
        phases = self.played(command, lambda: (self.folder / "began").exists())
        last = len(phases) - 1 - phases[::-1].index("deregister")
        self.assertGreater(last, phases.index("run_command"), phases)


if __name__ == "__main__":
    unittest.main()
