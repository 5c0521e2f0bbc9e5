"""Runs all checks, one process per file and five at a time, because they mostly wait. Prints the output of each when it ends."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

HERE = Path(__file__).parent
AT_A_TIME = 5
# The slowest ones.
FIRST = ["test_plans", "test_target_group", "test_fleet", "test_auto_scaling", "test_beside"]


def check(name):
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "unittest", "-v", name], cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return name, done, time.monotonic() - began


def main():
    found = sorted(path.stem for path in HERE.glob("test_*.py"))
    names = FIRST + [name for name in found if name not in FIRST]
    failed = []
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for running in as_completed([pool.submit(check, name) for name in names]):
            name, done, seconds = running.result()
            print(f"-- {name} ({seconds:.0f} s)\n{done.stdout}", flush=True)
            if done.returncode != 0:
                failed.append(name)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
