"""Tests of the tests: servers with one built-in fault each, which the crash scenario must catch.
They are built beside the server by tests/CMakeLists.txt."""

import os
import pathlib
import unittest

import crash
import veche

ROUNDS_A_TRY = 8
TRIES = 3


class FaultyVariants(unittest.TestCase):
    def assert_caught(self, variant, *kinds):
        binary = pathlib.Path(veche.BINARY).parent / f"veche-{variant}"
        if not os.access(binary, os.X_OK):
            self.skipTest(f"no {binary}")
        faults = []
        for _ in range(TRIES):
            scenario = crash.Scenario(str(binary), clean_stops_end_well=False)
            self.addCleanup(scenario.close)
            faults = scenario.run(ROUNDS_A_TRY)
            if any(fault.split(":")[0] in kinds for fault in faults):
                return
        self.fail(f"{variant} was not caught: {faults}")

    def test_an_answer_before_the_sync_is_caught(self):
        self.assert_caught("answer_before_sync", "lost", "sums", "two accepted", "receipts")

    def test_a_close_that_is_ignored_is_caught(self):
        self.assert_caught("close_ignored", "lost", "sums", "410", "after close")

    def test_a_position_written_apart_from_its_checkpoint_is_caught(self):
        self.assert_caught("position_apart", "sums", "two accepted", "two ballots", "receipts",
                           "410")


if __name__ == "__main__":
    unittest.main()
