"""Counts what ctest ran, case by case, and says what is not as it should be:

    tally.py --junit FILE --listed FILE --skips FILE --preset NAME [--unreached WORDS]

FILE of --junit is what `ctest --output-junit` wrote, FILE of --listed what `ctest -N` printed with the
same options. Each fault is a line, "FAILED case: why". The last line is "passed failed skipped", three
numbers. A skip is good only if a line of --skips tells it; a test that was listed and has no result, a
program that is not there and a test whose fixture failed have failed."""

import argparse
import collections
import fnmatch
import os
import pathlib
import re
import sys
import xml.etree.ElementTree

SHARED_DATA = pathlib.Path(os.environ.get(
    "VECHE_SHARED", pathlib.Path(__file__).resolve().parents[3] / "shared/data"))

Skip = collections.namedtuple("Skip", "case reason condition")


def conditions(preset, unreached):
    return {
        "always": True,
        "no real data": not SHARED_DATA.is_dir(),
        "PyPI out of reach": "pypi" in unreached,
        "npm out of reach": "npm" in unreached,
        "Maven Central out of reach": "maven" in unreached,
        "sanitizer": preset != "release",
        "not root": os.geteuid() != 0,
    }


def read_skips(text, holds):
    """Those whose condition holds."""
    skips = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            skip = Skip(*line.split(" | "))
            if holds[skip.condition]:
                skips.append(skip)
    return skips


def is_good(case, reason, skips):
    return any(fnmatch.fnmatchcase(case, skip.case) and fnmatch.fnmatchcase(reason, skip.reason)
               for skip in skips)


class Tally:
    def __init__(self, skips):
        self.skips = skips
        self.passed, self.skipped, self.faults = 0, 0, []

    def fault(self, case, why):
        self.faults.append(f"FAILED {case}: {why}")

    def skip(self, case, reason):
        if is_good(case, reason, self.skips):
            self.skipped += 1
        else:
            self.fault(case, f"skipped, which tests/tally/skips does not allow: {reason}")

    def add(self, name, status, message, output):
        """One test of ctest: a case, or a program that says of its cases itself."""
        if status == "notrun" and message.startswith("SKIP_"):
            self.skip(name, reason_of(output))
        elif status not in ("run", "fail"):
            self.fault(name, f"not run: {message or status}")
        else:
            self.add_cases(name, status == "run", output)

    def add_cases(self, name, is_good, output):
        if re.search(r"^\[=+\] Running 0 tests from 0 test suites\.$", output, re.MULTILINE):
            return self.fault(name, "it holds none of the cases that it is asked for")
        sums = re.search(r"^CASES (\d+) passed, (\d+) failed, (\d+) skipped$", output, re.MULTILINE)
        self.passed += int(sums[1]) if sums else int(is_good)
        for case, reason in re.findall(r"^CASE SKIPPED (\S+): (.*)$", output, re.MULTILINE):
            self.skip(f"{name}:{case}", reason)
        failed = re.findall(r"^CASE FAILED (\S+)$", output, re.MULTILINE)
        for case in failed:
            self.fault(f"{name}:{case}", "failed")
        if not is_good and not failed:
            self.fault(name, "failed" + last_line(output, ": "))


def reason_of(output):
    """Of a GoogleTest case the line behind the place in the source, of a program that ended with the
    code of a skip its last line."""
    said = re.search(r": Skipped\n(.*)", output)
    return said[1] if said else last_line(output) or "it gave no reason"


def last_line(output, before=""):
    lines = output.strip().splitlines()
    return before + lines[-1] if lines else ""


def read_junit(path):
    """(name, status, message, output) of each test of ctest."""
    for test in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        message = next((child.get("message", "") for child in test
                        if child.tag in ("skipped", "failure")), "")
        yield test.get("name"), test.get("status"), message, test.findtext("system-out") or ""


def count(tests, listed, skips):
    tally = Tally(skips)
    names = set()
    for name, *outcome in tests:
        names.add(name)
        tally.add(name, *outcome)
    for name in re.findall(r"^ *Test +#\d+: (.*?)(?: \(Disabled\))?$", listed, re.MULTILINE):
        if name not in names:
            tally.fault(name, "has no result")
    if not names:
        tally.fault("all", "no test ran")
    return tally


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--junit", type=pathlib.Path, required=True)
    parser.add_argument("--listed", type=pathlib.Path, required=True)
    parser.add_argument("--skips", type=pathlib.Path, required=True)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--unreached", default="", help="registries that gave nothing")
    given = parser.parse_args()
    skips = read_skips(given.skips.read_text(encoding="utf-8"),
                       conditions(given.preset, given.unreached.split()))
    tests = read_junit(given.junit) if given.junit.exists() else ()
    tally = count(tests, given.listed.read_text(encoding="utf-8"), skips)
    for fault in tally.faults:
        print(fault)
    print(tally.passed, len(tally.faults), tally.skipped)


if __name__ == "__main__":
    sys.exit(main())
