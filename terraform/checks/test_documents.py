"""The SSM documents are valid, strict about their parameters, and do what they say."""

import json
import os
import re
import subprocess
import tempfile
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

from documents import Invalid, accepts, check_pattern, script_of, send_command, validated
from programs import TERRAFORM, built, environment

DOCUMENTS = {path.stem: path.read_text() for path in (TERRAFORM / "modules/agent/documents").glob("*.yaml")}

# Those that take a node out of service, within a window.
LEAVING = ("drain", "maintain", "reboot")

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
        self.assertEqual(set(DOCUMENTS), {"check", "drain", "maintain", "reboot", "rejoin"})
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
        parameters = {what: validated(text).get("parameters", {}) for what, text in DOCUMENTS.items()}
        timeout = parameters["maintain"]["executionTimeout"]
        for good in ("3600", "3999", "14400", "99999", "172799", "172800"):
            self.assertTrue(accepts(timeout, good), good)
        for bad in ("", "0", "60", "3599", "172801", "200000", "1e4", "-3600", "3600; reboot", "3600\n", " 3600", "03600"):
            self.assertFalse(accepts(timeout, bad), bad)
        for what in LEAVING:
            self.assertEqual(timeout["allowedPattern"], parameters[what]["executionTimeout"]["allowedPattern"])
        for good, bad in (("1800", "1799"), ("172800", "172801")):
            self.assertTrue(accepts(parameters["rejoin"]["executionTimeout"], good))
            self.assertFalse(accepts(parameters["rejoin"]["executionTimeout"], bad))
        for bad in ("", "Always", "always; true", "sometimes"):
            for what in ("maintain", "reboot"):
                self.assertFalse(accepts(parameters[what]["reboot"], bad), bad)
                # As an SSM agent checks it, which knows no allowedValues.
                self.assertFalse(accepts({"allowedPattern": parameters[what]["reboot"]["allowedPattern"]}, bad), bad)
        for bad in ("2:00 4 Etc/UTC", "24:00 4 Etc/UTC", "02:00 25 Etc/UTC", "02:00 4", "02:00 4 $(reboot)", "02:00 4 Etc/UTC\n", "02:00 4 a b"):
            self.assertFalse(accepts(parameters["drain"]["window"], bad), bad)
        for good in ("", "dnf -y upgrade --releasever=2023.12.20260817", "echo 'it''s' \"$HOME\" `date` | tee /tmp/x"):
            self.assertTrue(accepts(parameters["maintain"]["command"], good), good)
        for bad in ("true\nNODE_AGENT_COMMAND\nreboot", "true\n", "a\tb", "a\x00b"):
            self.assertFalse(accepts(parameters["maintain"]["command"], bad), bad)

    def test_maintain_reboots_once_and_runs_the_command_as_written(self):
        command = "echo 'single' \"double $HOME\" `date` $(date) \\ ! # ; & NODE_AGENT_COMMAND"
        for knows_variables in (False, True):
            with self.subTest(knows_variables=knows_variables):
                self.reboots = 0
                self.check_one_reboot(command, *self.send("maintain", command=command, knows_variables=knows_variables))

    def check_one_reboot(self, command, code, calls):
        self.assertEqual((code, self.reboots, len(calls)), (0, 1, 2))
        for (arguments, ssm) in calls:
            self.assertEqual([arguments[0], arguments[3]], ["maintain", "--reboot=always"])
            self.assertEqual(arguments[6:], ["--", "/bin/sh", "-c", command])
            self.assertEqual(ssm, "11111111-2222-3333-4444-555555555555")

    def test_a_run_is_told_from_the_others_and_not_from_the_one_before_its_reboot(self):
        for what in LEAVING:
            runs = set()
            for _ in range(2):
                _, calls = self.send(what)
                (run,) = {tuple(arguments[1:3]) for (arguments, _) in calls}
                self.assertEqual(run[0], "--run")
                self.assertTrue(run[1].endswith("/_script.sh"), run)
                runs.add(run)
            self.assertEqual(len(runs), 2, runs)

    def test_a_node_leaves_half_an_hour_before_the_end_or_not_at_all(self):
        for what in LEAVING:
            before = datetime.now(timezone.utc)
            self.assertLess(abs(self.limit(what, executionTimeout="7200") - before - timedelta(seconds=5400)), timedelta(seconds=60))

    def limit(self, what, **values):
        """The time after which this run takes no node out of service."""
        _, calls = self.send(what, **values)
        arguments = calls[0][0]
        said = arguments[arguments.index("--not-after") + 1]
        return datetime.strptime(said, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)

    def test_no_node_leaves_after_the_window_however_late_the_script_starts(self):
        """The last node of a long roll starts at the end of its window or later: SSM cuts off tasks, not a running task's nodes."""
        for what in LEAVING:
            for zone in ("Etc/UTC", "Asia/Kathmandu", "America/New_York"):
                now = datetime.now(ZoneInfo(zone))
                # Opened as long ago, and is open for as many hours. The last one opened yesterday, at a time that is still to come today.
                for ago, hours in ((timedelta(hours=3, minutes=50), 4), (timedelta(hours=6), 4), (timedelta(minutes=20), 24), (timedelta(hours=22), 23)):
                    opened = (now.astimezone(timezone.utc) - ago).replace(second=0, microsecond=0)
                    window = f"{opened.astimezone(ZoneInfo(zone)):%H:%M} {hours} {zone}"
                    with self.subTest(what=what, window=window):
                        closes = opened + timedelta(hours=hours)
                        limit = self.limit(what, executionTimeout="14400", window=window)
                        self.assertLessEqual(limit, closes)
                        own = now + timedelta(seconds=14400 - 1800)
                        self.assertLess(abs(limit - min(closes, own)), timedelta(seconds=60))

    def test_a_node_that_does_not_know_the_time_zone_stays_in_service(self):
        for what in LEAVING:
            done = send_command(validated(DOCUMENTS[what]), environment(), self.reboot, window="02:00 4 Europe/Atlantis")
            self.assertEqual(done.returncode, 75)
            self.assertIn("nothing changed: this node does not know the time zone Europe/Atlantis", done.stderr)

    def test_all_documents_compute_the_end_of_the_window_alike(self):
        scripts = [script_of(validated(DOCUMENTS[what])) for what in LEAVING]
        (computed,) = {re.search(r"leave_before=.*%SZ\)", script, re.DOTALL)[0] for script in scripts}
        self.assertIn("closes=", computed)

    def test_without_a_command_there_is_none(self):
        _, calls = self.send("maintain", reboot="if-required")
        self.assertNotIn("--", calls[0][0])

    def test_the_exit_code_is_the_agents(self):
        for what in DOCUMENTS:
            values = {"reboot": "if-required"} if what in ("maintain", "reboot") else {}
            for ends in (0, 1, 3, 75):
                self.assertEqual(self.send(what, ends=ends, **values)[0], ends)

    def test_a_sender_of_any_other_document_runs_no_command(self):
        for what in set(DOCUMENTS) - {"maintain"}:
            _, calls = self.send(what)
            self.assertNotIn("--", calls[0][0], what)
            parameters = validated(DOCUMENTS[what]).get("parameters", {})
            self.assertLessEqual(set(parameters), {"executionTimeout", "reboot", "window"}, what)

    def test_check_changes_nothing_and_reboot_reboots_once(self):
        _, calls = self.send("check")
        self.assertEqual((calls[0][0], self.reboots), (["check", "--start"], 0))
        code, calls = self.send("reboot")
        self.assertEqual((code, self.reboots, [call[0][0] for call in calls]), (0, 1, ["maintain", "maintain"]))

    def test_hooks_are_drain_and_rejoin_and_never_ask_for_a_reboot(self):
        for what in ("drain", "rejoin"):
            code, calls = self.send(what, as_hook=True)
            self.assertEqual((code, calls[0][0][0], self.reboots), (0, what, 0))
            self.assertNotIn("reboot", script_of(validated(DOCUMENTS[what])))

    def test_the_agent_knows_every_flag_that_is_used(self):
        (agent,) = built("node-agent")
        for what in DOCUMENTS:
            _, calls = self.send(what)
            helped = subprocess.run([agent, calls[0][0][0], "--help"], capture_output=True, text=True).stdout
            for flag in (argument.split("=")[0] for argument in calls[0][0] if argument.startswith("--")):
                self.assertIn(flag, helped, f"node-agent {what}")


if __name__ == "__main__":
    unittest.main()
