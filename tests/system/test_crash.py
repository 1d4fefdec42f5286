"""What holds across kill -9, lost indexes, cut logs, full disks and second servers."""

import contextlib
import json
import os
import random
import shutil
import subprocess
import threading
import time
import unittest

import checker
import crash
import veche
from minting import sub_of, unb64


class Killed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not os.access(veche.BINARY, os.X_OK):
            raise unittest.SkipTest(f"no server at {veche.BINARY}")

    def test_nothing_said_is_lost_or_counted_twice_over_many_kills(self):
        scenario = crash.Scenario()
        self.addCleanup(scenario.close)
        faults = scenario.run(crash.rounds(50))
        self.assertEqual(faults[:checker.MAX_REPORTED], [])
        statuses = {request["status"] for request in scenario.load.requests}
        self.assertLessEqual({200, 201, 409, 410, None}, statuses, "the load met too little")
        self.assertGreater(len(scenario.staff.closed), 0, "no poll closed in the middle")


def counted_ballots(server, poll, count, prefix="voter"):
    """Posts ballots of different voters one after the other: [(sub, receipt)]."""
    receipts = []
    with server.connect() as connection:
        for i in range(count):
            sub = sub_of(prefix, poll, i)
            answer = connection.request("POST", f"/v1/polls/{poll}/ballots",
                                        veche.answers("abc"[i % 3]),
                                        token=server.issuer.vote(poll, sub, veche.LEAVES[i % 5]))
            if answer.status != 201:
                raise AssertionError(answer)
            receipts.append((sub, answer.json()["receipt"]))
    return receipts


def stable(results):
    """Results without what may differ from one run to the next."""
    return {member: results[member] for member in ("state", "ballots", "questions", "territories")}


@veche.needs_binary
class Stopped(unittest.TestCase):
    """One stopped server a test, its files changed, started again."""

    def setUp(self):
        self.server = veche.Server()
        self.addCleanup(self.server.close)

    def start_with_ballots(self, count=200):
        self.server.start()
        self.server.open_poll(veche.poll("kept"))
        receipts = counted_ballots(self.server, "kept", count)
        return receipts, stable(self.server.settled_results("kept", count))

    def index_folder(self):
        index, = [path for path in self.server.data.iterdir() if path.name.startswith("index")]
        return index

    def test_results_and_hashes_are_the_same_without_the_index(self):
        receipts, before = self.start_with_ballots()
        self.assertEqual(self.server.stop(), 0)
        stopped = self.server.positions("stop")
        self.assertGreater(len(stopped), 1, self.server.errors())
        shutil.rmtree(self.index_folder())
        self.server.start()
        self.assertEqual(self.server.positions("start"), stopped)
        self.assertEqual(stable(self.server.settled_results("kept", 200)), before)
        for i, (sub, receipt) in enumerate(receipts[:20]):
            again = self.server.vote("kept", sub, "abc"[i % 3], veche.LEAVES[i % 5])
            self.assertEqual((again.status, again.json()["receipt"]), (200, receipt))
        self.assertEqual(self.server.stop(), 0)
        if crash.has_command("recount"):
            self.assertEqual(crash.recount_faults(self.server), [])

    def test_results_and_hashes_are_the_same_after_kill_and_lost_index(self):
        _, before = self.start_with_ballots()
        self.server.kill()
        shutil.rmtree(self.index_folder(), ignore_errors=True)
        self.server.start()
        self.assertEqual(stable(self.server.settled_results("kept", 200)), before)
        with_index = self.server.positions("start")
        self.assertEqual(self.server.stop(), 0)
        stopped = self.server.positions("stop")
        self.assertEqual(stopped.keys(), with_index.keys())
        self.server.start()
        self.assertEqual(self.server.positions("start"), stopped)

    @veche.needs_embedded_log
    def test_a_log_that_ends_before_the_index_is_refused_with_the_reason(self):
        self.start_with_ballots(50)
        self.assertEqual(self.server.stop(), 0)
        older = self.server.folder / "older-log"
        shutil.copytree(self.server.data / "log", older)
        self.server.start()
        counted_ballots(self.server, "kept", 100, "later")
        self.assertEqual(self.server.stop(), 0)
        newer = self.server.folder / "newer-log"
        (self.server.data / "log").rename(newer)
        older.rename(self.server.data / "log")
        with self.assertRaises(veche.StartFailed) as refused:
            self.server.start()
        self.assertNotIn(refused.exception.code, (0, "too slow"))
        self.assertRegex(refused.exception.errors.lower(), r"log.*(end|short|cut|behind|before)")
        self.assertRegex(refused.exception.errors.lower(), r"index")
        # The refusal harmed nothing: with the whole log it starts and knows every ballot.
        shutil.rmtree(self.server.data / "log")
        newer.rename(self.server.data / "log")
        self.server.start()
        self.assertEqual(self.server.settled_results("kept", 150)["ballots"], 150)

    @veche.needs_embedded_log
    def test_a_log_that_was_cut_and_grew_again_is_refused(self):
        self.start_with_ballots(50)
        self.assertEqual(self.server.stop(), 0)
        data, cut = self.server.data, self.server.folder / "cut"
        shutil.copytree(data / "log", cut)
        self.server.start()
        counted_ballots(self.server, "kept", 30, "lost")
        self.assertEqual(self.server.stop(), 0)
        # The older log grows again, with another index, further than the one that was cut; what a
        # later start writes into it tells the difference.
        (data / "log").rename(self.server.folder / "whole")
        index = self.index_folder()
        index.rename(self.server.folder / "index-ahead")
        cut.rename(data / "log")
        self.server.start()
        counted_ballots(self.server, "kept", 120, "other")
        self.assertEqual(self.server.stop(), 0)
        self.server.start()
        self.assertEqual(self.server.stop(), 0)
        shutil.rmtree(index)
        (self.server.folder / "index-ahead").rename(index)
        with self.assertRaises(veche.StartFailed) as refused:
            self.server.start()
            veche.eventually(lambda: not self.server.is_running())
            raise veche.StartFailed(self.server.process.returncode, self.server.errors())
        self.assertNotIn(refused.exception.code, (0, "too slow"))
        self.assertRegex(refused.exception.errors.lower(), r"hash|differ|regrown|grew|diverge")

    def test_another_voter_secret_is_refused(self):
        self.start_with_ballots(5)
        self.assertEqual(self.server.stop(), 0)
        right = self.server.voter_secret.read_bytes()
        self.server.voter_secret.write_bytes(bytes(32))
        with self.assertRaises(veche.StartFailed) as refused:
            self.server.start()
        self.assertIn("secret", refused.exception.errors)
        self.server.voter_secret.write_bytes(right)
        self.server.start()
        self.assertEqual(self.server.settled_results("kept", 5)["ballots"], 5)

    def test_the_data_folder_holds_no_pseudonym_and_no_token(self):
        receipts, _ = self.start_with_ballots(50)
        self.assertEqual(self.server.stop(), 0)
        stored = b"".join(path.read_bytes() for path in self.server.data.rglob("*")
                          if path.is_file()) + self.server.error_log.read_bytes()
        for sub, _ in receipts:
            self.assertNotIn(sub.encode(), stored)
            self.assertNotIn(unb64(sub), stored)
        self.assertNotIn(b"eyJ", stored, "the beginning of a token")


@veche.needs_binary
class Drained(unittest.TestCase):
    def setUp(self):
        self.server = veche.Server()
        self.addCleanup(self.server.close)
        self.server.start()
        self.server.open_poll(veche.poll("drained"))

    def test_a_batch_that_was_taken_is_answered_before_the_end(self):
        lines = [self.server.line("drained", sub_of("drain", i), "abc"[i % 3]) for i in range(5000)]
        body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        token = self.server.issuer.batch(body, len(lines))

        def applied():
            return sum(value for name, value in self.server.metrics().items()
                       if name.startswith("veche_applied_offset"))

        before = applied()
        with self.server.connect() as connection:
            connection.send(veche.encode_request("POST", "/v1/ballots", body,
                                                 {"Content-Type": "application/x-ndjson"}, token))
            veche.eventually(lambda: applied() > before)
            ended = []
            stopper = threading.Thread(target=lambda: ended.append(self.server.stop()))
            stopper.start()
            answer = connection.read_answer()
            stopper.join()
        self.assertEqual(ended, [0], self.server.errors())
        self.assertEqual(answer.status, 200, answer)
        summary = answer.json()
        self.assertEqual(summary["accepted"] + summary["unknown"], 5000, summary)
        self.assertGreater(summary["accepted"], 0, summary)
        self.server.start()
        self.assertGreaterEqual(self.server.settled_results("drained", 5000)["ballots"],
                                summary["accepted"])

    def test_sigterm_under_load_ends_well_and_loses_no_answer(self):
        load = crash.Load(self.server, random.randrange(10**6))
        definition = veche.poll("drained")
        load.definitions["drained"] = definition
        load.active = [definition]
        load.start()
        self.addCleanup(load.finishing.set)
        for _ in range(3):
            sent = len(load.requests)
            veche.eventually(lambda: len(load.requests) > sent + 200)
            self.assertEqual(self.server.stop(), 0, self.server.errors())
            self.assertIn("position stop", self.server.errors())
            self.server.start()
        self.assertTrue(load.finish(), "some ballots stay unknown")
        self.assertEqual(load.surprises, [])
        counted = {request["sub"] for request in load.requests if request["status"] in (200, 201)}
        history = {"polls": load.definitions, "requests": load.requests,
                   "territories": self.server.get("/v1/territories").json()["territories"],
                   "results": {"drained": self.server.settled_results("drained", len(counted))}}
        self.assertEqual(checker.check(history), [])


@veche.needs_binary
class TwoServers(unittest.TestCase):
    def setUp(self):
        self.first = veche.Server()
        self.addCleanup(self.first.close)
        self.first.start()
        self.first.open_poll(veche.poll("held"))
        counted_ballots(self.first, "held", 10)

    def assert_first_unharmed(self):
        self.assertTrue(self.first.is_running())
        counted_ballots(self.first, "held", 10, "after")
        self.assertEqual(self.first.settled_results("held", 20)["ballots"], 20)
        self.first.kill()
        self.first.start()
        self.assertEqual(self.first.settled_results("held", 20)["ballots"], 20)

    def test_the_second_on_a_data_folder_says_what_holds_it(self):
        second = veche.Server(folder=self.first.folder)
        second.error_log = self.first.folder / "stderr-of-the-second"
        with self.assertRaises(veche.StartFailed) as refused:
            second.start()
        self.assertNotIn(refused.exception.code, (0, "too slow"))
        self.assertIn(str(self.first.data), refused.exception.errors)
        self.assertRegex(refused.exception.errors.lower(),
                         "another|held|in use|already|lock")
        self.assert_first_unharmed()

    def test_the_second_on_a_port_says_what_holds_it(self):
        second = veche.Server()
        self.addCleanup(second.close)
        second.port = self.first.port
        with self.assertRaises(veche.StartFailed) as refused:
            second.start()
        self.assertNotIn(refused.exception.code, (0, "too slow"))
        self.assertIn(str(self.first.port), refused.exception.errors)
        self.assertRegex(refused.exception.errors.lower(), "in use|already|another")
        self.assert_first_unharmed()


@veche.needs_binary
@veche.needs_embedded_log
@unittest.skipUnless(os.geteuid() == 0, "only root can mount a small disk")
class FullDisk(unittest.TestCase):
    def setUp(self):
        self.mount(size_mib=256)  # a log takes some 70 MiB in advance
        self.came = self.voted = 0

    def mount(self, size_mib):
        self.server = veche.Server()
        self.addCleanup(self.server.close)
        self.disk = self.server.folder / "disk"
        self.disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs",
                                  str(self.disk)], capture_output=True, text=True)
        if mounted.returncode:
            self.skipTest(f"no small disk: {mounted.stderr}")
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.disk)], check=True)
        self.addCleanup(self.stop_if_running)
        self.server.data = self.disk / "data"

    def stop_if_running(self):
        if self.server.is_running():
            self.server.kill()

    def start(self, reserve_mib):
        self.server.options = ["--disk-reserve-mib", str(reserve_mib)]
        self.server.start()
        self.server.open_poll(veche.poll("full"))
        return counted_ballots(self.server, "full", 100)

    def fill(self, leave_mib):
        left = shutil.disk_usage(self.disk).free - leave_mib * 2**20
        with open(self.disk / "filler", "ab", buffering=0) as file, contextlib.suppress(OSError):
            while left > 0:
                left -= file.write(bytes(min(2**20, left)))

    def assert_all_recorded(self, receipts):
        for i, (sub, receipt) in enumerate(receipts):
            again = self.server.vote("full", sub, "abc"[i % 3], veche.LEAVES[i % 5])
            self.assertEqual((again.status, again.json().get("receipt")), (200, receipt), again)

    def test_ballots_are_refused_in_time_and_taken_again_with_room(self):
        receipts = self.start(reserve_mib=24)
        self.fill(leave_mib=20)
        refused = self.vote_until(503)
        self.assertEqual(refused.code, "overloaded", refused)
        self.assertIn("retry-after", refused.headers)
        batch = self.server.post_batch([self.server.line("full", sub_of("late", i), "a")
                                        for i in range(10)])
        self.assertIn(batch.status, (200, 503), batch)
        if batch.status == 200:
            self.assertEqual(batch.json()["accepted"], 0, batch)
        self.assert_all_recorded(receipts[:10])
        (self.disk / "filler").unlink()
        self.vote_until(201)
        counted = 100 + self.voted
        self.assertEqual(self.server.settled_results("full", counted)["ballots"], counted)

    def vote_until(self, status):
        """New voters come until one of them gets this; `voted` counts those who got 201."""
        def vote():
            answer = self.server.vote("full", sub_of("later", self.came), "a")
            self.assertIn(answer.status, (201, 503), answer)
            self.came += 1
            self.voted += answer.status == 201
            return answer if answer.status == status else None

        return veche.eventually(vote)

    def test_a_start_without_room_is_refused_with_the_reason(self):
        self.start(reserve_mib=24)
        self.assertEqual(self.server.stop(), 0)
        self.fill(leave_mib=4)
        with self.assertRaises(veche.StartFailed) as refused:
            self.server.start()
        self.assertIn("MiB", refused.exception.errors)
        (self.disk / "filler").unlink()
        self.server.start()
        self.assertEqual(self.server.settled_results("full", 100)["ballots"], 100)

    def test_a_start_that_cannot_write_says_why_and_ends(self):
        """The log's own files leave less than the reserve, so not even HELLO can be written."""
        self.mount(size_mib=96)
        self.server.options = ["--disk-reserve-mib", "48"]
        with self.assertRaises(veche.StartFailed) as refused:
            self.server.start()
        self.assertNotIn(refused.exception.code, (0, "too slow"))
        self.assertIn("MiB", refused.exception.errors)

    def test_nothing_acknowledged_is_lost_when_the_disk_runs_full_at_once(self):
        receipts = self.start(reserve_mib=1)
        self.fill(leave_mib=0)
        accepted = []
        with contextlib.suppress(veche.Down):
            for i in range(3000):
                sub = sub_of("squeezed", i)
                answer = self.server.vote("full", sub, "b")
                self.assertIn(answer.status, (201, 503), answer)
                if answer.status == 503:
                    break
                accepted.append((sub, answer.json()["receipt"]))
        self.stop_if_running()
        (self.disk / "filler").unlink()
        self.server.start()
        self.assert_all_recorded(receipts)
        for sub, receipt in accepted:
            again = self.server.vote("full", sub, "b")
            self.assertEqual((again.status, again.json().get("receipt")), (200, receipt))


if __name__ == "__main__":
    unittest.main()
