"""A Debian with apt, and one with dnf. The packages are installed there as on a node."""

import base64
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from unittest import SkipTest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "terraform/modules/agent/scripts/install"
PACKAGES = Path(os.environ.get("PACKAGES", ROOT / "target/packages/dev"))
NAMES = ("node-agent", "hello-service")
SETTINGS = "# mine\n"

# The AWS CLI, as far as the script uses it: aws s3 cp --only-show-errors s3://bucket/packages/NAME FILE
AWS = '#!/bin/sh\ncp "/srv/bucket/${4##*/}" "$5"\n'
# systemd does not run in these systems, so what is asked of it is written down.
SYSTEMCTL = '#!/bin/sh\ncase " $* " in *" start "* | *" stop "* | *" daemon-reload "*) echo "$*" >>/srv/asked ;; *) SYSTEMD_OFFLINE=1 exec /usr/bin/systemctl.real "$@" ;; esac\n'


def run(*argv):
    """Runs a program without input and returns all of its output."""
    done = subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, f"{argv} ended with {done.returncode}\n{done.stdout}"
    return done.stdout


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


class System:
    """A copy of one of the systems that scripts/debian-base builds. Its folder /srv/bucket stands for the bucket in S3."""

    def __init__(self, base):
        found = {self.version_in(path) for path in PACKAGES.glob(self.file("node-agent", "*"))}
        versions = sorted(found, key=lambda version: [int(number) for number in re.findall(r"\d+", version)])[:2]
        if len(versions) < 2:
            raise SkipTest(f"{PACKAGES} does not have two versions: run scripts/package and scripts/package --version 0.2.0")
        self.root = ROOT / f"target/containers/installation-{self.kind}"
        shutil.rmtree(self.root, ignore_errors=True)
        run("cp", "-a", "--reflink=auto", ROOT / "target/containers" / base, self.root)
        self.bucket = self.root / "srv/bucket"
        self.bucket.mkdir()
        self.asked = self.root / "srv/asked"
        self.older, self.newer = versions
        for version in (self.older, self.newer):
            for name in NAMES:
                shutil.copy(PACKAGES / self.file(name, version), self.bucket)
        systemctl = self.root / "usr/bin/systemctl"
        systemctl.rename(systemctl.with_suffix(".real"))
        program(systemctl, SYSTEMCTL)

    def run(self, *argv):
        return run("chroot", self.root, *argv)

    def installing(self, *versions, also=()):
        """The script at work, as the install document runs it: from a pipe, where a question would read what is left of it."""
        files = [self.file(name, version) for version in versions for name in NAMES]
        packages = " ".join(f"s3://bucket/packages/{file}" for file in (*files, *also))
        config = base64.b64encode(SETTINGS.encode()).decode()
        argv = ["chroot", self.root, "env", f"PACKAGES={packages}", f"CONFIG_BASE64={config}", "bash", "-s"]
        script = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        script.stdin.write(SCRIPT.read_text())
        script.stdin.close()
        return script

    def install(self, *versions, also=()):
        """Runs the script and returns what it asked of systemd."""
        self.asked.write_text("")
        with self.installing(*versions, also=also) as script:
            said = script.stdout.read()
        assert script.returncode == 0, f"the script ended with {script.returncode}\n{said}"
        return self.asked.read_text().splitlines()

    def add(self, version):
        """What somebody does by hand."""
        return self.run(*self.manager, "install", *[f"/srv/bucket/{self.file(name, version)}" for name in NAMES])

    def remove(self, verb="remove"):
        return self.run(*self.manager, verb, *NAMES)

    def forget(self):
        """As if the packages had never been there."""
        self.run(*self.purge, *NAMES)

    def enabled(self):
        """All links in the folders of systemd that lead to our units."""
        links = (path for path in (self.root / "etc/systemd/system").rglob("*") if path.is_symlink())
        return sorted(path.name for path in links if path.name.startswith(NAMES))

    def settings(self):
        return (self.root / "etc/node-agent/config.toml").read_text()


class Deb(System):
    kind = "deb"
    manager = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--yes", "-oDpkg::Options::=--force-confold")
    architecture = run("dpkg", "--print-architecture").strip()
    purge = ("dpkg", "--purge")
    other = "amd64" if architecture == "arm64" else "arm64"

    def __init__(self):
        super().__init__("base")
        # The newer package brings other settings, so dpkg asks which ones to keep.
        with tempfile.TemporaryDirectory() as room:
            package = self.bucket / self.file("node-agent", self.newer)
            run("dpkg-deb", "-R", package, f"{room}/package")
            with open(f"{room}/package/etc/node-agent/config.toml", "a") as settings:
                settings.write("# A new setting.\n")
            run("dpkg-deb", "-Zgzip", "-z1", "-b", f"{room}/package", package)
        self.built(self.bucket / self.file("node-agent", "9.0-1", self.other), "node-agent", "9.0-1", self.other)
        # A mirror that has the AWS CLI, which the system does not have.
        mirror = self.root / "srv/mirror"
        mirror.mkdir()
        cli = mirror / "awscli.deb"
        self.built(cli, "awscli", "2", "all", aws=AWS)
        about = run("dpkg-deb", "-f", cli)
        (mirror / "Packages").write_text(f"{about}Filename: ./awscli.deb\nSize: {cli.stat().st_size}\nSHA256: {hashlib.sha256(cli.read_bytes()).hexdigest()}\n")
        shutil.rmtree(self.root / "var/lib/apt/lists")
        (self.root / "etc/dpkg/dpkg.cfg.d/quick").write_text("force-unsafe-io\n")
        (self.root / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/mirror ./\n")

    def built(self, file, name, version, architecture, **programs):
        with tempfile.TemporaryDirectory() as room:
            Path(room, "DEBIAN").mkdir()
            Path(room, "DEBIAN/control").write_text(f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: nobody\nDescription: for a check\n")
            for path, text in programs.items():
                program(Path(room, "usr/bin", path), text)
            os.chmod(room, 0o755)
            run("dpkg-deb", "--root-owner-group", "-b", room, file)

    def file(self, name, version, architecture=None):
        return f"{name}_{version}_{architecture or self.architecture}.deb"

    def version_in(self, path):
        return path.name.split("_")[1]

    def version(self, name="node-agent"):
        return self.run("dpkg-query", "-Wf", "${Version}", name)


class Rpm(System):
    kind = "rpm"
    manager = ("dnf", "--assumeyes")
    architecture = os.uname().machine
    purge = (*manager, "remove")
    other = "x86_64" if architecture == "aarch64" else "aarch64"

    def __init__(self):
        super().__init__("base-dnf")
        program(self.root / "usr/local/bin/aws", AWS)
        self.built(self.bucket / self.file("node-agent", "9.0-1", self.other), "node-agent", "9.0", self.other)
        # Debian has what the packages require, but not as RPM packages.
        needed = run("rpm", "-qp", "--requires", *self.bucket.glob(f"*-{self.newer}.{self.architecture}.rpm")).splitlines()
        provided = sorted({line for line in needed if not line.startswith(("rpmlib(", "config(", "warning:"))})
        self.built(self.root / "srv/debian.rpm", "debian", "12", "noarch", *provided)
        self.run(*self.manager, "install", "/srv/debian.rpm")

    def built(self, file, name, version, architecture, *provided):
        with tempfile.TemporaryDirectory() as room:
            fields = {"Name": name, "Version": version, "Release": "1", "Summary": "for a check", "License": "none"}
            lines = [f"{key}: {value}" for key, value in fields.items()] + [f"Provides: {what}" for what in provided]
            Path(room, "spec").write_text("\n".join([*lines, "%description", "%files", ""]))
            run("rpmbuild", "-bb", "--quiet", f"--target={architecture}-linux", "-D", f"_rpmdir {room}", f"{room}/spec")
            (made,) = Path(room).rglob("*.rpm")
            shutil.copy(made, file)

    def file(self, name, version, architecture=None):
        return f"{name}-{version}.{architecture or self.architecture}.rpm"

    def version_in(self, path):
        return path.name.removeprefix("node-agent-").rsplit(".", 2)[0]

    def version(self, name="node-agent"):
        return self.run("rpm", "-q", "--qf", "%{version}-%{release}", name)
