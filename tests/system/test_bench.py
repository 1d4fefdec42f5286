"""`veche bench` against real servers: what it proves, and that it notices what is not true."""

import gzip
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import veche


def bench(*arguments, binary=veche.BINARY):
    done = subprocess.run([binary, "bench", "--json", *map(str, arguments)], text=True,
                          capture_output=True, timeout=120)
    return done, json.loads(done.stdout) if done.stdout.startswith("{") else None


@veche.needs_binary
class Bench(unittest.TestCase):
    def proved(self, *arguments):
        done, report = bench(*arguments)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIs(report["proved"], True)
        return report

    def test_every_outcome_of_a_mix_is_counted_and_proved(self):
        report = self.proved("--rate", 3000, "--duration", 2, "--warmup", 0.2, "--dup-percent", 10,
                             "--other-answer-percent", 10, "--bad-percent", 10, "--readers", 3)
        outcomes = report["outcomes"]
        self.assertEqual(set(outcomes), {"accepted", "recorded", "already-voted", "token-invalid",
                                         "token-expired", "not-eligible", "invalid-answer",
                                         "malformed"})
        self.assertAlmostEqual(report["ballots_per_second"], 3000, delta=600)
        self.assertGreater(outcomes["accepted"], outcomes["recorded"])
        self.assertEqual(report["reads_failed"], 0)
        self.assertGreater(report["reads"], 2)
        self.assertGreater(report["server_cpu_us"], 0)
        self.assertGreater(report["group_records"], 0)

    def test_a_closed_loop_ends_after_its_ballots(self):
        report = self.proved("--max", "--ballots", 2000, "--connections", 16, "--pipeline", 4)
        self.assertEqual(report["voters_counted"], 2000)
        self.assertLess(report["seconds"], 30)

    def test_batches_of_a_gateway(self):
        report = self.proved("--batch", 300, "--ballots", 6000, "--connections", 4, "--dup-percent",
                             10, "--bad-percent", 5)
        self.assertIn("malformed", report["outcomes"])

    def test_each_algorithm(self):
        for algorithm in ("rs256", "ps256", "ed25519"):
            with self.subTest(algorithm):
                report = self.proved("--alg", algorithm, "--ballots", 200, "--connections", 8)
                self.assertEqual(report["voters_counted"], 200)

    def test_a_connection_for_each_ballot(self):
        report = self.proved("--connections", 300, "--per-connection", 1, "--ballots", 300)
        self.assertGreaterEqual(report["connections_made"], 300)
        self.assertEqual(report["connections_broken"], 0)

    def test_ballots_come_in_the_shape_of_real_arrivals(self):
        with tempfile.NamedTemporaryFile(suffix=".csv.gz") as file:
            late = "".join(f"{30_000 + i}\n" for i in range(900))  # and time to catch up
            file.write(gzip.compress(("time\n0\n" + late + "100000\n").encode()))
            file.flush()
            report = self.proved("--arrivals", file.name, "--rate", 1000, "--duration", 1,
                                 "--warmup", 0.2)
        self.assertAlmostEqual(report["ballots_per_second"], 1000, delta=300)
        self.assertEqual(report["unsent"], 0)

    def test_a_sweep_finds_a_rate(self):
        report = self.proved("--sweep", "--p99-limit", 1000, "--duration", 0.3,
                             "--warmup", 0.1)
        self.assertGreater(report["highest_rate"], 0)
        self.assertGreater(len(report["steps"]), 2)

    def test_what_does_not_go_together_is_refused(self):
        done, _ = bench("--dup-percent", 60, "--bad-percent", 60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("more than 100", done.stderr)
        done, _ = bench("--arrivals", "any.csv", "--rate", 10, "--ballots", 10)
        self.assertEqual(done.returncode, 1)
        self.assertIn("--arrivals needs --duration", done.stderr)
        done, _ = bench("--arrivals", "any.csv", "--rate", 10)
        self.assertEqual(done.returncode, 1)
        self.assertIn("any.csv", done.stderr)

    def test_a_server_that_answers_too_early_is_noticed(self):
        binary = pathlib.Path(veche.BINARY).parent / "veche-answer_on_append"
        if not os.access(binary, os.X_OK):
            self.skipTest(f"no {binary}")
        done, report = bench("--ballots", 2000, "--dup-percent", 40, "--other-answer-percent", 40,
                             "--connections", 64, binary=binary)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIs(report["proved"], False)
        self.assertTrue(report["differences"])


class AtAServer(veche.ServerCase):
    def test_the_poll_is_closed_behind_it(self):
        keys = self.server.folder / "keys/issuer.json"
        done, report = bench("--server", self.server.url, "--keys", keys, "--ballots", 500)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIsNone(report["server_cpu_us"])
        listed = subprocess.run([veche.BINARY, "poll", "list", "--server", self.server.url,
                                 "--json"], text=True, capture_output=True, timeout=30)
        states = {poll["id"]: poll["state"] for poll in json.loads(listed.stdout)
                  if poll["id"].startswith("bench-")}
        self.assertEqual(set(states.values()), {"closed"})


if __name__ == "__main__":
    unittest.main()
