"""Which tests pass which mutants, and whether one of them fails when the mutant is on."""

import os
import resource
import signal
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

AT_A_TIME = os.cpu_count() or 1
# A mutant survives after this many seconds of tests, the quickest first.
ENOUGH = float(os.environ.get("TESTS_S", "40"))
# A mutant that makes a test this much slower has hung it.
SLOWER, AT_LEAST = 10, 30
MEMORY = 12 << 30


@dataclass
class Test:
    """One test of a program, or with an empty name all of them."""

    suite: str
    program: str
    folder: str
    name: str
    seconds: float = 0.0
    passes: set = field(default_factory=set)

    def __str__(self):
        return f"{self.suite}::{self.name}"


def run(tests, limit, **environment):
    """Runs tests of one program. Returns the exit code, 124 if they hang, and what they print."""
    names = [test.name for test in tests if test.name]
    argv = [tests[0].program, "-q", "--test-threads=2", *(["--exact", *names] if names else [])]
    process = subprocess.Popen(argv, cwd=tests[0].folder, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)))
    try:
        printed, _ = process.communicate(timeout=limit)
        return process.returncode, printed
    except subprocess.TimeoutExpired:
        return 124, "hangs"
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def in_parallel(work, items):
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        begun = [pool.submit(work, item) for item in items]
        for done in as_completed(begun):
            yield done.result()


def traced(programs, each):
    """The tests that pass without a mutant, with the mutants that each of them reaches. `each`: test by test, which takes as
    long as all tests; otherwise program by program."""

    def names(program, folder):
        listed = subprocess.run([program, "--list", "--format=terse"], cwd=folder, check=True, capture_output=True, text=True).stdout
        return [line.removesuffix(": test") for line in listed.splitlines() if line.endswith(": test")]

    def trace(test):
        with tempfile.NamedTemporaryFile("r") as passed:
            began = time.monotonic()
            code, printed = run([test], 600, MUTANT_TRACE=passed.name)
            test.seconds = time.monotonic() - began
            test.passes = {int(line) for line in passed}
        return test, code, printed

    found = [Test(suite, program, folder, name) for suite, program, folder in programs for name in (names(program, folder) if each else [""])]
    for test, code, printed in in_parallel(trace, found):
        if code == 0:
            yield test
        else:
            print(f"left out: {test} fails without a mutant (exit {code}): {printed[-300:]}", flush=True)


def verdict(mutant, tests):
    """What becomes of a mutant: (mutant, "killed" | "hangs" | "survived" | "unreached", by which test)."""
    # Those of its own package come first: the others reach it on their way to something else.
    order = lambda test: (not test.suite.startswith(mutant["package"]), test.seconds)
    left = sorted((test for test in tests if mutant["id"] in test.passes), key=order)
    if not left:
        return mutant, "unreached", ""
    at_once, spent = 0.3, 0.0
    while left and spent < ENOUGH:
        # The quickest tests of one program, more of them each time.
        some, seconds = [left[0]], left[0].seconds
        for test in left[1:]:
            if test.program == left[0].program and seconds + test.seconds <= at_once and len(some) < 200:
                some.append(test)
                seconds += test.seconds
        left = [test for test in left if test not in some]
        at_once = min(2 * at_once, 8)
        began = time.monotonic()
        code, printed = run(some, AT_LEAST + SLOWER * seconds, MUTANT=str(mutant["id"]))
        spent += time.monotonic() - began
        if code == 0:
            continue
        failed = [line.strip() for line in printed.rpartition("failures:")[2].splitlines() if line.startswith("    ")]
        by = next((test for test in some if test.name in failed[:1]), some[0])
        # On a busy machine, a test may fail for want of time.
        if run([by], AT_LEAST + SLOWER * by.seconds)[0] == 0:
            return mutant, "hangs" if code == 124 else "killed", str(by)
    return mutant, "survived", ""
