"""A copy of the project with all mutants switched off, and the tests that are built from it."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from switches import PARSER, Source, switch

ROOT = Path(__file__).resolve().parent.parent
ROOM = ROOT / "target/mutants"
TREE, BUILD = ROOM / "tree", ROOM / "build"


def cargo(*arguments, cwd=TREE):
    env = {**os.environ, "CARGO_TARGET_DIR": str(BUILD)}
    done = subprocess.run(["cargo", *arguments], cwd=cwd, env=env, capture_output=True, text=True)
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return done.returncode, messages, done.stderr


def begin():
    """Takes what the project's own build has of other crates, which is the slowest part, and copies the sources."""
    own = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    if not BUILD.exists() and own.exists():
        here = BUILD / "debug"
        (here / "deps").mkdir(parents=True)
        for folder in (".fingerprint", "build"):
            shutil.copytree(own / folder, here / folder, symlinks=True)
        for file in (own / "deps").iterdir():
            if file.suffix in (".rlib", ".rmeta", ".so", ".d"):
                shutil.copy2(file, here / "deps")
    files = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    for path in sorted(TREE.rglob("*"), reverse=True) if TREE.exists() else []:
        if path.is_file() and str(path.relative_to(TREE)) not in files:
            path.unlink()
    for file in files:
        put(file, (ROOT / file).read_bytes())
    # The switches would break many lints.
    manifest = (ROOT / "Cargo.toml").read_text()
    put("Cargo.toml", re.sub(r'"(deny|forbid|warn)"', '"allow"', manifest).encode())


def put(file, text):
    """Writes a file unless it is so already, because Cargo builds again what is newer."""
    path = TREE / file
    if not path.exists() or path.read_bytes() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    shutil.copymode(ROOT / file, path)


def switched(mutants):
    """Writes the mutants into the sources. Each gets its "state": switched, unviable, or constant."""
    packages = sorted({mutant["package"] for mutant in mutants})
    which = [part for package in packages for part in ("-p", package)]
    for mutant in mutants:
        mutant["state"] = "switched"
    while True:
        write(mutants, packages)
        code, messages, printed = cargo("check", "--quiet", "--message-format=json", "--lib", *which)
        if code == 0:
            return
        errors = [entry["message"] for entry in messages if entry["reason"] == "compiler-message"]
        unviable = [mutant for error in errors if error["level"] == "error" for mutant in blamed(error, mutants)]
        if not any(mutant["state"] == "switched" for mutant in unviable):
            raise SystemExit(f"failed to build the project with its mutants: {printed[-4000:]}{json.dumps(errors)[-4000:]}")
        for mutant in unviable:
            mutant["state"] = "unviable"


def write(mutants, packages):
    for file in sorted({mutant["file"] for mutant in mutants}):
        source = Source((ROOT / file).read_bytes(), [m for m in mutants if m["file"] == file and m["state"] == "switched"])
        for mutant in source.refused:
            mutant["state"] = "constant"
        text = source.result
        put(file, text + (switch(len(mutants)) if file.endswith("src/lib.rs") else b""))
    for package in packages:
        if not any(mutant["file"] == f"{package}/src/lib.rs" for mutant in mutants):
            put(f"{package}/src/lib.rs", (ROOT / package / "src/lib.rs").read_bytes() + switch(len(mutants)))


def blamed(error, mutants):
    """The mutants that an error of the compiler is about."""
    for span in error["spans"]:
        if not span["is_primary"]:
            continue
        text = (TREE / span["file_name"]).read_bytes()
        if (error["code"] or {}).get("code") == "E0004":
            # An arm with a guard covers nothing, so the arm cannot be deleted either.
            node = PARSER.parse(text).root_node.descendant_for_byte_range(span["byte_start"], span["byte_end"] - 1)
            while node.type != "match_expression":
                node = node.parent
            arms = re.findall(rb"/\*<(\d+)\*/", text[node.start_byte : node.end_byte])
            yield from (mutants[int(arm)] for arm in arms if mutants[int(arm)]["genre"] == "MatchArm")
            continue
        # The innermost branch around the place of the error.
        around = None
        for begun in re.finditer(rb"/\*<(\d+)\*/", text):
            ended = text.index(b"/*>" + begun[1] + b"*/", begun.end())
            if begun.start() <= span["byte_start"] <= ended:
                around = int(begun[1])
        if around is not None:
            yield mutants[around]


def tests(packages, suites=()):
    """The test programs of some packages, or those of them that are named, as (name, program, folder)."""
    which = [part for package in packages for part in ("-p", package)]
    code, messages, printed = cargo("test", "--quiet", "--no-run", "--message-format=json", *which, *suites)
    if code != 0:
        raise SystemExit(f"failed to build the tests: {printed[-4000:]}")
    for entry in messages:
        if entry["reason"] == "compiler-artifact" and entry["executable"] and entry["profile"]["test"]:
            package, target = Path(entry["manifest_path"]).parent, entry["target"]
            name = target["name"] if target["kind"] == ["test"] else target["kind"][0]
            yield f"{package.name}::{name}", entry["executable"], package
