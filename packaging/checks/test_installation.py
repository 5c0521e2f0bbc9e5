"""Installation, upgrade, rollback and removal, by the script of new nodes and by hand, with the real apt and dnf."""

import fcntl
import shutil
import unittest

from system import AWS, NAMES, ROOT, SETTINGS, Deb, Rpm, program

ALL = ["hello-service.service", "node-agent-guard.service", "node-agent.service"]
STARTED = ["start --no-block node-agent.service node-agent-guard.service hello-service.service"]
TIMER = "node-agent-reboot.timer"


class Installation:
    """What holds for both kinds of packages."""

    @classmethod
    def setUpClass(cls):
        cls.system = cls.kind()
        cls.addClassCleanup(shutil.rmtree, cls.system.root)

    def setUp(self):
        self.addCleanup(self.system.forget)

    def test_a_new_node_gets_the_packages_the_settings_and_its_units(self):
        self.assertEqual(self.system.install(self.system.older), STARTED)
        self.assertEqual((self.system.version(), self.system.enabled(), self.system.settings()), (self.system.older, ALL, SETTINGS))
        self.system.run("node-agent", "--version")

    def test_of_two_versions_and_two_architectures_the_newest_that_fits_is_installed_each_time(self):
        foreign = self.system.file("node-agent", "9.0-1", self.system.other)
        for _ in range(2):
            self.system.install(self.system.newer, self.system.older, also=[foreign])
            self.assertEqual((self.system.version(), self.system.version("hello-service")), (self.system.newer, self.system.newer))

    def test_packages_for_another_architecture_alone_are_refused(self):
        with self.assertRaisesRegex(AssertionError, f"no package is for {Rpm.architecture}"):
            self.system.install(also=[self.system.file("node-agent", "9.0-1", self.system.other)])

    def test_an_upgrade_and_a_rollback_reach_the_services_and_keep_the_settings(self):
        for version in (self.system.older, self.system.newer, self.system.older):
            self.assertEqual(self.system.install(version), STARTED)
            self.assertEqual((self.system.version(), self.system.enabled(), self.system.settings()), (version, ALL, SETTINGS))

    def test_a_unit_that_is_disabled_stays_disabled_through_an_upgrade(self):
        self.system.add(self.system.older)
        self.system.run("systemctl", "disable", "node-agent-guard.service", "hello-service.service")
        self.system.run("systemctl", "enable", TIMER)
        self.system.add(self.system.newer)
        self.assertEqual((self.system.version(), self.system.enabled()), (self.system.newer, [TIMER, "node-agent.service"]))

    def test_an_upgrade_does_not_start_what_is_disabled(self):
        running = self.system.root / "run/systemd/system"
        running.mkdir(parents=True)
        self.addCleanup(running.rmdir)
        self.system.add(self.system.older)
        self.system.run("systemctl", "disable", "node-agent-guard.service")
        self.system.asked.write_text("")
        self.system.add(self.system.newer)
        started = [line for line in self.system.asked.read_text().splitlines() if "start " in line]
        self.assertEqual([line.split()[-1] for line in started], ["hello-service.service"])

    def test_removed_and_installed_again_the_units_are_enabled(self):
        for _ in range(2):
            self.system.add(self.system.older)
            self.assertEqual(self.system.enabled(), ALL)
            self.system.remove()

    def test_it_is_not_removed_during_a_maintenance(self):
        self.system.add(self.system.older)
        record = self.system.root / "var/lib/node-agent/record.json"
        record.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "node-agent/tests/record.json", record)
        try:
            with self.assertRaisesRegex(AssertionError, "is not removed while this node is in maintenance"):
                self.system.remove()
            self.system.run("node-agent", "--version")
        finally:
            record.unlink()


class DebInstallation(Installation, unittest.TestCase):
    kind = Deb

    def test_a_disabled_unit_stays_disabled_until_a_purge(self):
        self.system.add(self.system.older)
        self.system.run("systemctl", "disable", "node-agent-guard.service")
        self.system.run("systemctl", "enable", TIMER)
        self.system.remove()
        self.system.add(self.system.older)
        self.assertEqual(self.system.enabled(), ["hello-service.service", TIMER, "node-agent.service"])
        self.system.remove("purge")
        self.assertEqual(self.system.enabled(), [])
        self.system.add(self.system.older)
        self.assertEqual(self.system.enabled(), ALL)

    def test_the_aws_cli_is_installed_where_it_is_missing(self):
        self.system.run("dpkg", "--purge", "awscli")
        self.system.install(self.system.older)
        self.assertEqual(self.system.version("awscli"), "2")

    def test_the_aws_cli_is_a_snap_where_the_mirror_does_not_have_it(self):
        self.system.run("dpkg", "--purge", "awscli")
        root = self.system.root
        mirror, snap = root / "srv/mirror/Packages", root / "usr/local/bin/snap"
        self.addCleanup(mirror.write_text, mirror.read_text())
        self.addCleanup(shutil.rmtree, root / "snap")
        self.addCleanup(snap.unlink)
        mirror.write_text("")
        program(root / "snap/aws", AWS)
        program(snap, '#!/bin/sh\n[ "$*" = "install aws-cli --classic" ] && mkdir /snap/bin && cp /snap/aws /snap/bin\n')
        self.assertEqual(self.system.install(self.system.older), STARTED)

    def test_it_waits_for_other_package_managers(self):
        for path in ("var/lib/dpkg/lock-frontend", "var/lib/apt/lists/lock"):
            with self.subTest(path), (self.system.root / path).open("w") as lock:
                # With the CLI missing, the script also reads the lists of packages.
                self.system.run("dpkg", "--purge", "awscli", *NAMES)
                fcntl.lockf(lock, fcntl.LOCK_EX)
                with self.system.installing(self.system.older) as script:
                    said = next((line for line in script.stdout if "lock" in line), "")
                    self.assertIn(f"/{path}", said)
                    fcntl.lockf(lock, fcntl.LOCK_UN)
                    rest = script.stdout.read()
                self.assertEqual(script.returncode, 0, said + rest)


class RpmInstallation(Installation, unittest.TestCase):
    kind = Rpm


if __name__ == "__main__":
    unittest.main()
