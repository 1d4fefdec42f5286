"""Runs unittest modules of the working directory (without a name all of them) and says at the end what
became of each case, in lines that tests/tally/tally.py reads:

    python3 tests/cases.py [MODULE...]

A run that finds no case fails."""

import os
import pathlib
import re
import sys
import time
import unittest

SLOW_SECONDS = 5


class Result(unittest.TextTestResult):
    """Beside what it prints keeps which cases came to which end, each case once."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.seen, self.bad = set(), set()
        self.slow = []

    def startTest(self, test):
        self.seen.add(test.id())
        self.began = time.monotonic()
        super().startTest(test)

    def stopTest(self, test):
        super().stopTest(test)
        took = time.monotonic() - self.began
        if took >= SLOW_SECONDS:
            self.slow.append((took, test.id()))

    def addError(self, test, error):
        self.bad.add(test.id())
        super().addError(test, error)

    def addFailure(self, test, error):
        self.bad.add(test.id())
        super().addFailure(test, error)

    def addSubTest(self, test, subtest, error):
        if error:
            self.bad.add(test.id())
        super().addSubTest(test, subtest, error)

    def addUnexpectedSuccess(self, test):
        self.bad.add(test.id())
        super().addUnexpectedSuccess(test)

    def tell(self):
        """One line for each case that was slow, failed or was skipped, and one of sums. What ends or skips
        a whole class is a case of its own, since then the cases of the class are not run."""
        skipped = {}
        for test, reason in self.skipped:
            case = getattr(test, "test_case", test)  # of a subtest, the test
            if case.id() not in self.bad:
                skipped.setdefault(case.id(), " ".join(reason.split()))
        for took, case in sorted(self.slow, reverse=True):
            print(f"CASE TOOK {took:.1f} s {name_of(case)}")
        for case in sorted(self.bad):
            print(f"CASE FAILED {name_of(case)}")
        for case, reason in skipped.items():
            print(f"CASE SKIPPED {name_of(case)}: {reason}")
        passed = self.seen - self.bad - skipped.keys()
        print(f"CASES {len(passed)} passed, {len(self.bad)} failed, {len(skipped)} skipped",
              flush=True)
        if not self.seen and not self.skipped and not self.bad:
            print("no case was found")
            return False
        return not self.bad


def name_of(case):
    """"setUpClass (module.Class)" is what unittest calls a class that failed or was skipped whole."""
    whole = re.fullmatch(r"\w+ \((.*)\)", case)
    return whole[1] if whole else case


def main():
    sys.path.insert(0, os.getcwd())
    names = sys.argv[1:] or sorted(path.stem for path in pathlib.Path().glob("test_*.py"))
    suite = unittest.defaultTestLoader.loadTestsFromNames(names)
    result = unittest.TextTestRunner(resultclass=Result).run(suite)
    return 0 if result.tell() else 1


if __name__ == "__main__":
    sys.exit(main())
