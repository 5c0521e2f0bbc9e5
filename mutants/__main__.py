"""Mutation tests. scripts/mutants says what they do and calls this.

cargo-mutants lists the mutants. To build each of them takes longer than to judge it, so all of them are built at once, each
behind a switch, and only the tests that pass a switch judge its mutant.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from pathlib import Path

import build
import judge

ROOT = build.ROOT
# What decides about a node, and the model of AWS that the tests believe.
DECIDES = [f"node-agent/src/{part}" for part in ("exit.rs", "lease", "record", "maintenance", "agent")]
DECIDES += [f"local-alb/src/{part}" for part in ("model", "health.rs", "faults.rs", "auto_scaling.rs")]
# A test of the sources, which would see the switches, and one of hello-service alone.
NO_JUDGES = ("tidy", "lame_duck")
# For a change: the quick ones, by the package that they judge.
QUICK = {
    "node-agent": ("record", "lease_model", "shutdown", "staying", "registered_again", "maintenance"),
    "local-alb": ("api", "draining", "fail_open", "time_outs"),
}
RESULTS = build.ROOM / "results.json"


def listed(files, changed):
    """The mutants that cargo-mutants names, of some files or of what differs from a commit."""
    with tempfile.NamedTemporaryFile("w", suffix=".diff") as diff:
        options = []
        if changed:
            diff.write(subprocess.run(["git", "diff", changed, "--", "*.rs"], cwd=ROOT, check=True, capture_output=True, text=True).stdout)
            diff.flush()
            options = ["--in-diff", diff.name]
        for file in files:
            options += ["--file", file]
        done = subprocess.run(["cargo", "mutants", "--list", "--json", "--no-config", "--workspace", *options], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"failed to list the mutants: {done.stderr}")
    found = [mutant for mutant in json.loads(done.stdout or "[]") if mutant["package"] in ("node-agent", "local-alb")]
    # A function of such a type has several defaults, which become the same values.
    return list({other["name"]: other for mutant in found for other in of_alias(mutant)}.values())


def of_alias(mutant):
    """cargo-mutants knows no type aliases, and gives those a default that they do not have. A Step is a Result."""
    returns = (mutant["function"] or {}).get("return_type")
    values = {"-> Step": ["Ok(())"], "-> Step<bool>": ["Ok(true)", "Ok(false)"]}.get(returns)
    if mutant["genre"] != "FnValue" or values is None:
        return [mutant]
    return [{**mutant, "replacement": value, "name": mutant["name"].replace(mutant["replacement"], value)} for value in values]


def of(folders):
    files = subprocess.run(["git", "ls-files", "--", *folders], cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    sources = [file for file in files if file.endswith(".rs") and not file.endswith("/tests.rs")]
    if not sources:
        raise SystemExit(f"failed to find sources to change in {' '.join(folders)}: name Rust files or folders of this repository")
    return sources


def module(mutant):
    parts = Path(mutant["file"]).parts
    return "/".join((parts[0], *parts[2:4])) if parts[2:4][-1] in ("steps", "phase", "way") else "/".join((parts[0], parts[2]))


def table(mutants, accepted):
    columns = ("mutants", "unviable", "constant", "killed", "hangs", "accepted", "survived", "unreached", "untried")
    print(f"\n{'module':34}" + "".join(f"{column:>11}" for column in columns))
    for name in [*sorted({module(mutant) for mutant in mutants}), "in all"]:
        states = Counter()
        for mutant in mutants:
            if name in (module(mutant), "in all"):
                state = mutant.get("verdict", "untried" if mutant["state"] == "switched" else mutant["state"])
                states["accepted" if state in ("survived", "unreached") and accepted(mutant) else state] += 1
        print(f"{name:34}{sum(states.values()):>11}" + "".join(f"{states[column]:>11}" for column in columns[1:]))


def traced(programs, mutants, each):
    """The tests and what they pass: from the last run, if it was of the same sources."""
    digest = hashlib.sha256(json.dumps([each, [mutant["name"] for mutant in mutants]]).encode())
    for file in sorted(build.TREE.rglob("*.rs")):
        digest.update(file.read_bytes())
    file = build.ROOM / "traced.json"
    last = json.loads(file.read_text()) if file.exists() else {}
    if last.get("digest") != digest.hexdigest():
        tests = [{**vars(test), "folder": str(test.folder), "passes": sorted(test.passes)} for test in judge.traced(programs, each)]
        last = {"digest": digest.hexdigest(), "tests": tests}
        file.write_text(json.dumps(last))
    return [judge.Test(**{**test, "passes": set(test["passes"])}) for test in last["tests"]]


def main():
    arguments = argparse.ArgumentParser(prog="scripts/mutants")
    arguments.add_argument("files", nargs="*", metavar="FILE", help="judge the mutants of these files or folders")
    arguments.add_argument("--changed", metavar="COMMIT", help="judge what differs from a commit, by the quick suites")
    asked = arguments.parse_args()
    began, limit = time.monotonic(), float(os.environ.get("LIMIT_S", "180" if asked.changed else "inf"))

    # The quick suites judge what decides, and little else.
    mutants = listed(of(asked.files or DECIDES), asked.changed)
    print(f"{len(mutants)} mutants", flush=True)
    most = int(os.environ.get("MOST", "100"))
    if asked.changed and len(mutants) > most:
        print(f"skipped: the change has more than {most} mutants; run scripts/mutants on its files")
        return 0
    part, parts = map(int, os.environ.get("SHARD", "1/1").split("/"))
    mutants = [mutant for number, mutant in enumerate(mutants) if number % parts == part - 1]
    if not mutants:
        return 0
    for number, mutant in enumerate(mutants):
        mutant["id"] = number
    accepting = ROOT / ".cargo/mutants.toml"
    lines = tomllib.loads(accepting.read_text()).get("exclude_re", []) if accepting.exists() else []
    accepted = lambda mutant: any(re.search(line, mutant["name"]) for line in lines)

    # What was caught before is not tried again, as long as its file is the same.
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    digest = {file: hashlib.sha256((ROOT / file).read_bytes()).hexdigest() for file in {mutant["file"] for mutant in mutants}}
    key = lambda mutant: f"{digest[mutant['file']]} {mutant['name']}"
    for mutant in mutants:
        if key(mutant) in before:
            mutant["verdict"], mutant["by"] = before[key(mutant)]

    build.begin()
    build.switched(mutants)
    packages = sorted({mutant["package"] for mutant in mutants})
    packages += ["rehearsal"] if "node-agent" in packages else []
    suites = ["--lib", *(f"--test={suite}" for package in packages for suite in QUICK.get(package, ()))] if asked.changed else []
    programs = [program for program in build.tests(packages, suites) if program[0].split("::")[1] not in NO_JUDGES]
    print(f"built after {time.monotonic() - began:.0f} s: {Counter(mutant['state'] for mutant in mutants)}", flush=True)
    tests = traced(programs, mutants, each=not asked.changed)
    print(f"{len(tests)} tests traced after {time.monotonic() - began:.0f} s", flush=True)

    def work(mutant):
        return judge.verdict(mutant, tests) if time.monotonic() - began < limit else (mutant, None, "")

    done = 0
    todo = [mutant for mutant in mutants if mutant["state"] == "switched" and "verdict" not in mutant]
    for mutant, verdict, by in judge.in_parallel(work, todo):
        if verdict is None:
            continue
        mutant["verdict"], mutant["by"] = verdict, by
        done += 1
        if done % 100 == 0:
            print(f"{done} of {len(todo)} after {time.monotonic() - began:.0f} s", flush=True)
        if verdict in ("killed", "hangs"):
            before[key(mutant)] = (verdict, by)
            RESULTS.write_text(json.dumps(before))
        elif not accepted(mutant):
            print(f"{verdict}: {mutant['name']}", flush=True)

    table(mutants, accepted)
    untried = sum(mutant["state"] == "switched" and "verdict" not in mutant for mutant in mutants)
    if untried:
        print(f"skipped: {untried} mutants were not tried within {limit:.0f} s")
    # What the quick suites do not reach, others may judge.
    bad = ("survived",) if asked.changed else ("survived", "unreached")
    survivors = [mutant for mutant in mutants if mutant.get("verdict") in bad and not accepted(mutant)]
    print(f"{len(survivors)} survived, after {time.monotonic() - began:.0f} s")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
