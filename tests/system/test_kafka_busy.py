"""Brokers that die while every core is busy with something else: leaders are late then, and for a
moment some tell what is no longer so."""

import os
import subprocess
import sys
import unittest

import veche
from test_kafka_broker import outlive_any_one_of_three

ROUNDS = int(os.environ.get("VECHE_BUSY_ROUNDS", 1))
LOOPS = 3
SERVICE_WITHIN_SECONDS = 120  # the machine is slow on purpose: it is asked whether a node ends


def start_busy_loop(case):
    loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    case.addCleanup(loop.wait)
    case.addCleanup(loop.kill)


@veche.needs_binary
class BesideBusyLoops(unittest.TestCase):
    def test_any_one_of_three_may_die_under_load(self):
        for _ in range(LOOPS):
            start_busy_loop(self)
        for number in range(1, ROUNDS + 1):
            with self.subTest(round=number):
                outlive_any_one_of_three(self, SERVICE_WITHIN_SECONDS)


if __name__ == "__main__":
    unittest.main()
