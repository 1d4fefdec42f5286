"""The counting of tools/test, fed with what ctest 3.25 wrote of a small project in which everything
that can become of a test became of one (recorded.xml, recorded.txt)."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

import tally

HERE = pathlib.Path(__file__).resolve().parent
CASES = HERE.parent / "cases.py"
NOTHING = dict.fromkeys(tally.conditions("release", ()), False)


def recorded(**holds):
    skips = tally.read_skips((HERE / "skips").read_text(encoding="utf-8"),
                             {**NOTHING, **{name.replace("_", " "): True for name in holds}})
    return tally.count(tally.read_junit(HERE / "recorded.xml"), (HERE / "recorded.txt").read_text(),
                       skips)


class Recorded(unittest.TestCase):
    def assert_fault(self, of, case, why):
        self.assertIn(f"FAILED {case}: {why}", of.faults)

    def test_each_case_is_counted_once(self):
        counted = recorded()
        # Passed are Real.Passes and one case of system.steps; of 14 tests two hold 7 and 0 cases.
        self.assertEqual((counted.passed, len(counted.faults), counted.skipped), (2, 19, 0))

    def test_a_failed_fixture_fails_what_needed_it(self):
        self.assert_fault(recorded(), "kafka-9.start", "failed: E: Could not get lock")
        self.assert_fault(recorded(), "kafka-9.api", "not run: Fixture dependency failed")

    def test_a_lost_program_has_failed(self):
        self.assert_fault(recorded(), "lost_tests_NOT_BUILT", "not run: Unable to find executable")
        self.assert_fault(recorded(), "gone", "not run: Unable to find executable")

    def test_a_disabled_case_has_failed(self):
        self.assert_fault(recorded(), "Real.Off", "not run: disabled")

    def test_what_was_listed_and_has_no_result_has_failed(self):
        self.assert_fault(recorded(), "never.started", "has no result")

    def test_failures_crashes_and_timeouts(self):
        names = [fault.split(":")[0] for fault in recorded().faults]
        for case in ("Real.Fails", "crashes", "sleeps", "system.none"):
            self.assertIn(f"FAILED {case}", names)
        self.assert_fault(recorded(), "system.steps:test_steps.Tables.test_fails", "failed")
        self.assert_fault(recorded(), "system.steps:test_steps.Broken", "failed")

    def assert_good_only_under(self, condition, case):
        def faults_of(counted):
            return [fault for fault in counted.faults if fault.startswith(f"FAILED {case}: skipped")]

        bad, good = recorded(), recorded(**{condition.replace(" ", "_"): True})
        self.assertEqual((len(faults_of(bad)), len(faults_of(good))), (1, 0))
        self.assertEqual(good.skipped, bad.skipped + 1)

    def test_a_skip_is_good_only_under_its_condition(self):
        self.assert_good_only_under("no real data", "Real.NoData")
        self.assert_good_only_under("PyPI out of reach", "system.steps:test_steps.Tables.test_pandas")
        self.assert_good_only_under("Maven Central out of reach", "kafka-8.start")
        self.assert_good_only_under("always", "system.steps:test_steps.StepsOfNodes.test_a")

    def test_a_skip_with_another_reason_is_never_good(self):
        everything = recorded(**{name.replace(" ", "_"): True for name in NOTHING})
        for case, reason in (("Real.Moody", "not today"),
                             ("system.steps:test_steps.Tables.test_moody", "not today"),
                             ("system.steps:test_steps.Whole", "no server")):
            self.assert_fault(everything, case,
                              f"skipped, which tests/tally/skips does not allow: {reason}")


class Nothing(unittest.TestCase):
    def test_no_test_at_all_has_failed(self):
        counted = tally.count((), "Test project /home/veche\n\nTotal Tests: 0\n", ())
        self.assertEqual(counted.faults, ["FAILED all: no test ran"])

    def test_a_program_that_holds_none_of_its_cases_has_failed(self):
        said = "[==========] Running 0 tests from 0 test suites.\n[  PASSED  ] 0 tests.\n"
        counted = tally.count([("fault_variant.any", "run", "", said)], "", ())
        self.assertEqual((counted.passed, counted.faults),
                         (0, ["FAILED fault_variant.any: it holds none of the cases that it is "
                              "asked for"]))

    def test_without_a_result_file_everything_has_failed(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, HERE / "tally.py", "--junit", f"{folder}/none", "--listed",
                 HERE / "recorded.txt", "--skips", HERE / "skips", "--preset", "release"],
                capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout.splitlines()[-1], "0 16 0")


class Cases(unittest.TestCase):
    """The lines that tests/cases.py prints are those that are read here."""

    def run_module(self, text):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "test_it.py").write_text("import unittest\n" + text)
            done = subprocess.run([sys.executable, CASES], cwd=folder, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        counted = tally.count([("it", "fail" if done.returncode else "run", "", done.stdout)], "",
                              [tally.Skip("it:test_it.A.test_2", "rain*", "always")])
        return counted.passed, counted.faults, counted.skipped

    def test_cases_that_pass_fail_and_are_skipped(self):
        self.assertEqual(self.run_module(
            "class A(unittest.TestCase):\n"
            "    def test_1(self): pass\n"
            "    def test_2(self): self.skipTest('rain\\nagain')\n"
            "    def test_3(self):\n"
            "        for i in (1, 2):\n"
            "            with self.subTest(i=i): self.fail('x')\n"), (1, ["FAILED it:test_it.A.test_3: failed"], 1))

    def test_a_class_that_is_skipped_whole(self):
        passed, faults, skipped = self.run_module(
            "class A(unittest.TestCase):\n"
            "    @classmethod\n"
            "    def setUpClass(cls): raise unittest.SkipTest('rain')\n"
            "    def test_1(self): pass\n")
        self.assertEqual((passed, skipped), (0, 0))
        self.assertRegex(faults[0], "^FAILED it:test_it.A: skipped, which .*: rain$")

    def test_a_module_without_cases_has_failed(self):
        self.assertEqual(self.run_module(""), (0, ["FAILED it: failed: no case was found"], 0))

    def test_a_module_that_cannot_be_imported_has_failed(self):
        passed, faults, _ = self.run_module("import nothing_of_that_name\n")
        self.assertEqual((passed, len(faults)), (0, 1))


if __name__ == "__main__":
    unittest.main()
