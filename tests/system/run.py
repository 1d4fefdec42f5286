"""Runs the system tests against the release binary:

    VECHE=build/release/veche python3 tests/system/run.py [FILE...]

One process a file, side by side. ctest runs the files one by one instead, each with a timeout."""

import concurrent.futures
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
AT_ONCE = 2
TIMEOUT_SECONDS = 600
# The longest first, so that the end is not spent waiting for one.
SLOW = ["test_hostile.py", "test_crash.py", "test_replay.py", "test_variants.py"]


def run(name):
    begin = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "unittest", name.removesuffix(".py")], cwd=HERE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=TIMEOUT_SECONDS)
    last = done.stdout.strip().splitlines()[-1]
    print(f"{name}: {last}, {time.monotonic() - begin:.0f} s", flush=True)
    if done.returncode:
        print(done.stdout, flush=True)
    return done.returncode


def main():
    if "VECHE" in os.environ:
        os.environ["VECHE"] = os.path.abspath(os.environ["VECHE"])
    names = sys.argv[1:] or sorted(path.name for path in HERE.glob("test_*.py"))
    names.sort(key=lambda name: SLOW.index(name) if name in SLOW else len(SLOW))
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        failed = sum(1 for code in pool.map(run, names) if code)
    print(f"{len(names) - failed} of {len(names)} files passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
