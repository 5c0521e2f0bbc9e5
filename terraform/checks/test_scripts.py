"""Runs the installation and the clean-up of an image on a fake root with fake programs, and the watch loop on a real server."""

import base64
import os
import subprocess
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from programs import ROOT, TERRAFORM, environment

SCRIPTS = TERRAFORM / "modules/agent/scripts"
CONFIG = 'target_groups = ["web"]\n'
PROGRAMS = {
    "aws": 'touch "${@: -1}"',
    "rpm": 'case $1 in -qp) echo "node-agent 1-1 noarch ${@: -1}" ;; *) grep -q installed "$CALLS" ;; esac',
    "dnf": 'echo installed "$@" >>"$CALLS"',
    "systemctl": 'echo systemctl "$@" >>"$CALLS"',
    "node-agent": 'exit "${BUSY:-0}"',
}


class Scripts(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name, body in PROGRAMS.items():
            program = self.folder / name
            program.write_text(f"#!/usr/bin/env bash\n{body}\n")
            program.chmod(0o755)
        self.calls = self.folder / "calls"
        self.calls.touch()
        self.root = self.folder / "root"
        self.state = self.root / "var/lib/node-agent"

    def script(self, name, config=CONFIG, **more):
        env = environment(PATH=f"{self.folder}:{os.environ['PATH']}", CALLS=self.calls, ROOT=self.root, PACKAGES="s3://bucket/packages/node-agent-1.rpm", **{"CONFIG_BASE64": base64.b64encode(config.encode()).decode(), **more})
        return subprocess.run(["bash", SCRIPTS / name], env=env, capture_output=True, text=True)

    def test_an_installation_twice_is_one(self):
        for _ in range(2):
            done = self.script("install")
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.root / "etc/node-agent/config.toml").read_text(), CONFIG)
        self.assertEqual(self.calls.read_text().count("installed"), 1)
        self.assertIn("start --no-block node-agent.service", self.calls.read_text())

    def test_settings_that_cannot_be_decoded_stop_it_before_the_services_start(self):
        self.assertNotEqual(self.script("install", CONFIG_BASE64="?").returncode, 0)
        self.assertNotIn("systemctl", self.calls.read_text())

    def test_an_image_build_starts_nothing(self):
        self.assertEqual(self.script("install", BAKE="1").returncode, 0)
        self.assertNotIn("systemctl start", self.calls.read_text())

    def test_a_service_that_is_named_stops_after_the_node_has_drained(self):
        order = self.root / "etc/systemd/system/shop.service.d/node-agent.conf"
        self.assertEqual(self.script("install").returncode, 0)
        self.assertFalse(order.exists())
        for _ in range(2):
            done = self.script("install", SERVICE="shop.service")
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(order.read_text(), "[Unit]\nBefore=node-agent-guard.service\n")
        self.assertIn("Before=node-agent-guard.service", (ROOT / "packaging/systemd/hello-service.service").read_text())
        self.assertEqual(self.calls.read_text().splitlines()[-1], "systemctl daemon-reload")

    def test_an_image_carries_no_record(self):
        self.script("install", BAKE="1")
        self.state.mkdir(parents=True)
        (self.state / "record.json").write_text('{"instance_id":"i-0123456789abcdef0"}')
        (self.state / ".lock").touch()
        done = self.script("clean-image")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(list(self.state.iterdir()), [])

    def test_no_image_of_a_machine_under_maintenance_or_with_its_id_in_the_settings(self):
        self.script("install", BAKE="1")
        self.state.mkdir(parents=True)
        (self.state / "record.json").touch()
        self.assertEqual(self.script("clean-image", BUSY=1).returncode, 1)
        self.assertTrue((self.state / "record.json").exists())
        self.script("install", config='instance_id = "i-0123456789abcdef0"\n', BAKE="1")
        self.assertIn("an instance id is left", self.script("clean-image").stderr)

    def test_packages_are_built_for_the_architecture_whatever_the_builder_calls_it(self):
        copy = self.folder / "scripts/package"
        for path in ("scripts/package", "cargo", "cargo-deb", "cargo-generate-rpm", "target/tools/python/bin/cargo-zigbuild", "uname"):
            program = self.folder / path
            program.parent.mkdir(parents=True, exist_ok=True)
            program.write_text('#!/usr/bin/env bash\necho "$@" >>"$CALLS"\n')
            program.chmod(0o755)
        copy.write_text((ROOT / "scripts/package").read_text())
        for machine, built in {"x86_64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64", "amd64": "x86_64", "riscv64": None}.items():
            (self.folder / "uname").write_text(f"#!/bin/sh\necho {machine}\n")
            self.calls.write_text("")
            done = subprocess.run([copy], env=environment(PATH=f"{self.folder}:{os.environ['PATH']}", CALLS=self.calls), capture_output=True, text=True)
            self.assertEqual(done.returncode, 0 if built else 2, done.stderr)
            targets = {word.removesuffix(".2.26") for word in self.calls.read_text().split() if "-unknown-linux-gnu" in word}
            self.assertEqual(targets, {f"{built}-unknown-linux-gnu"} if built else set())

    def test_watch_names_hosts_and_errors(self):
        answers = iter([200, 502, 200])

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self):
                status = next(answers)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(b"Hello, World! From node-1\n" if status == 200 else b"<html>")

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        watched = subprocess.run([ROOT / "scripts/watch", f"http://127.0.0.1:{server.server_port}"], env={**os.environ, "COUNT": "3"}, capture_output=True, text=True)
        said = [line.split(" ", 1)[1] for line in watched.stdout.splitlines()[:3]]
        self.assertEqual((said, watched.returncode), (["node-1", "error: HTTP 502", "node-1"], 1))
        self.assertIn("3 requests, 1 failed", watched.stdout)


if __name__ == "__main__":
    unittest.main()
