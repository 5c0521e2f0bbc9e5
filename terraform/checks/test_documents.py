"""The SSM documents are valid, strict about their parameters, and do what they say."""

import json
import os
import subprocess
import tempfile
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path

from documents import Invalid, accepts, check_pattern, script_of, send_command, validated
from programs import TERRAFORM, built, environment

DOCUMENTS = {path.stem: path.read_text() for path in (TERRAFORM / "modules/agent/documents").glob("*.yaml")}

# A fake node-agent that records its arguments and asks for one reboot.
AGENT = """#!/usr/bin/env python3
import json, os, sys
calls = os.environ["CALLS"]
with open(calls, "a") as file:
    file.write(json.dumps([sys.argv[1:], os.environ.get("SSM_COMMAND_ID")]) + "\\n")
asks = any(arg in sys.argv for arg in ("--reboot=always",)) and sum(1 for _ in open(calls)) == 1
sys.exit(194 if asks else int(os.environ.get("ENDS", "0")))
"""


class Documents(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        agent = self.folder / "node-agent"
        agent.write_text(AGENT)
        agent.chmod(0o755)
        self.reboots = 0

    def reboot(self):
        self.reboots += 1

    def send(self, what, ends=0, as_hook=False, **values):
        env = environment(PATH=f"{self.folder}:{os.environ['PATH']}", CALLS=self.folder / "calls", ENDS=ends)
        (self.folder / "calls").unlink(missing_ok=True)
        done = send_command(validated(DOCUMENTS[what]), env, self.reboot, as_hook, **values)
        calls = [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]
        return done.returncode, calls

    def test_all_are_valid(self):
        self.assertEqual(set(DOCUMENTS), {"drain", "maintain", "rejoin"})
        for text in DOCUMENTS.values():
            validated(text)

    def test_an_invalid_document_is_refused(self):
        good = DOCUMENTS["drain"]
        for old, new in [("2.2", "2.1"), ("type: String", "type: Integer"), ("runCommand:", "runCommands:"), ('"14400"', '"60"'), ("{{ executionTimeout }}\"\n", "{{ timeout }}\"\n"), ("aws:runShellScript", "aws:runDocument")]:
            self.assertIn(old, good)
            with self.assertRaises((Invalid, KeyError, ValueError)):
                validated(good.replace(old, new, 1))
        for pattern in ("^(?=a)b$", r"^(a)\1$", "^a{0,2000}$", "a"):
            with self.assertRaises(Invalid):
                check_pattern("x", pattern)

    def test_parameters_take_what_is_good_and_nothing_else(self):
        parameters = {what: validated(text)["parameters"] for what, text in DOCUMENTS.items()}
        timeout = parameters["maintain"]["executionTimeout"]
        for good in ("3600", "3999", "14400", "99999", "172799", "172800"):
            self.assertTrue(accepts(timeout, good), good)
        for bad in ("", "0", "60", "3599", "172801", "200000", "1e4", "-3600", "3600; reboot", "3600\n", " 3600", "03600"):
            self.assertFalse(accepts(timeout, bad), bad)
        self.assertEqual(timeout["allowedPattern"], parameters["drain"]["executionTimeout"]["allowedPattern"])
        for good, bad in (("1800", "1799"), ("172800", "172801")):
            self.assertTrue(accepts(parameters["rejoin"]["executionTimeout"], good))
            self.assertFalse(accepts(parameters["rejoin"]["executionTimeout"], bad))
        for bad in ("", "Always", "always; true", "sometimes"):
            self.assertFalse(accepts(parameters["maintain"]["reboot"], bad), bad)
        for good in ("", "dnf -y upgrade --releasever=2023.12.20260817", "echo 'it''s' \"$HOME\" `date` | tee /tmp/x"):
            self.assertTrue(accepts(parameters["maintain"]["command"], good), good)
        for bad in ("true\nNODE_AGENT_COMMAND\nreboot", "true\n", "a\tb", "a\x00b"):
            self.assertFalse(accepts(parameters["maintain"]["command"], bad), bad)

    def test_maintain_reboots_once_and_runs_the_command_as_written(self):
        command = "echo 'single' \"double $HOME\" `date` $(date) \\ ! # ; & NODE_AGENT_COMMAND"
        code, calls = self.send("maintain", command=command)
        self.assertEqual((code, self.reboots, len(calls)), (0, 1, 2))
        for (arguments, ssm) in calls:
            self.assertEqual([arguments[0], arguments[3]], ["maintain", "--reboot=always"])
            self.assertEqual(arguments[6:], ["--", "/bin/sh", "-c", command])
            self.assertEqual(ssm, "11111111-2222-3333-4444-555555555555")

    def test_a_run_is_told_from_the_others_and_not_from_the_one_before_its_reboot(self):
        for what in ("maintain", "drain"):
            runs = set()
            for _ in range(2):
                _, calls = self.send(what)
                (run,) = {tuple(arguments[1:3]) for (arguments, _) in calls}
                self.assertEqual(run[0], "--run")
                self.assertTrue(run[1].endswith("/_script.sh"), run)
                runs.add(run)
            self.assertEqual(len(runs), 2, runs)

    def test_a_node_leaves_half_an_hour_before_the_end_or_not_at_all(self):
        for what in ("maintain", "drain"):
            before = datetime.now(timezone.utc).replace(microsecond=0)
            _, calls = self.send(what, executionTimeout="7200", **({"reboot": "never"} if what == "maintain" else {}))
            arguments = calls[0][0]
            limit = datetime.strptime(arguments[arguments.index("--not-after") + 1], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
            self.assertLess(abs(limit - before - timedelta(seconds=5400)), timedelta(seconds=60))

    def test_without_a_command_there_is_none(self):
        _, calls = self.send("maintain", reboot="if-required")
        self.assertNotIn("--", calls[0][0])

    def test_the_exit_code_is_the_agents(self):
        for what in DOCUMENTS:
            values = {"reboot": "never"} if what == "maintain" else {}
            for ends in (0, 1, 3, 75):
                self.assertEqual(self.send(what, ends=ends, **values)[0], ends)

    def test_hooks_are_drain_and_rejoin_and_never_ask_for_a_reboot(self):
        for what in ("drain", "rejoin"):
            code, calls = self.send(what, as_hook=True)
            self.assertEqual((code, calls[0][0][0], self.reboots), (0, what, 0))
            self.assertNotIn("reboot", script_of(validated(DOCUMENTS[what])))

    def test_the_agent_knows_every_flag_that_is_used(self):
        (agent,) = built("node-agent")
        for what in DOCUMENTS:
            values = {"reboot": "never"} if what == "maintain" else {}
            _, calls = self.send(what, **values)
            helped = subprocess.run([agent, what, "--help"], capture_output=True, text=True).stdout
            for flag in (argument.split("=")[0] for argument in calls[0][0] if argument.startswith("--")):
                self.assertIn(flag, helped, f"node-agent {what}")


if __name__ == "__main__":
    unittest.main()
