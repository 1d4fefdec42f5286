"""The commands of `veche` as a person uses them, against a real server."""

import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.request

import veche
from minting import sub_of

POLL = veche.poll("embankment", opens_in=-60)


class CommandCase(veche.ServerCase):
    def run_veche(self, *arguments, code=0, stdin=None, env=None, timeout=60):
        done = subprocess.run([veche.BINARY, *map(str, arguments)], input=stdin, text=True,
                              capture_output=True, timeout=timeout,
                              env={**os.environ, **(env or {})})
        self.assertEqual(done.returncode, code, f"{arguments}: {done.stdout}{done.stderr}")
        return done

    def at_server(self, *arguments, **more):
        keys = self.server.folder / "keys/issuer.json"
        return self.run_veche(*arguments, "--server", self.server.url, "--keys", keys, **more)

    def json_of(self, *arguments, **more):
        return json.loads(self.at_server(*arguments, "--json", **more).stdout)


@veche.needs_binary
class Commands(CommandCase):
    def test_a_poll_from_its_definition_to_its_close(self):
        drafted = self.json_of("poll", "draft", "-", stdin=json.dumps(POLL))
        self.assertEqual((drafted["id"], drafted["state"], drafted["version"]),
                         ("embankment", "draft", 1))
        self.assertEqual(self.run_veche("poll", "list", "--server", self.server.url).stdout.count(
            "embankment"), 0)
        self.assertIn("embankment", self.at_server("poll", "list", "--state", "draft").stdout)
        self.json_of("poll", "submit", "embankment")
        self.at_server("poll", "return", "embankment", code=2)
        self.json_of("poll", "return", "embankment", "--reason", "a better title")
        edited = self.json_of("poll", "edit", "-", "--version", 1,
                              stdin=json.dumps({**POLL, "title": "Better"}))
        self.assertEqual((edited["title"], edited["version"]), ("Better", 2))
        self.json_of("poll", "submit", "embankment", "--sub", "anna")
        own = self.at_server("poll", "approve", "embankment", "--sub", "anna", code=1)
        self.assertIn("own-draft", own.stderr)
        self.assertEqual(self.json_of("poll", "approve", "embankment")["state"], "scheduled")
        # Its time has come: it may have opened by itself before the command does it.
        self.server.change_poll("embankment", "open")
        voted = self.json_of("ballot", "--poll", "embankment", "--voter", "anna", "--territory",
                             "75701310", "--answer", "q1=a")
        self.assertEqual(voted["outcome"], "accepted")
        again = self.json_of("ballot", "--poll", "embankment", "--voter", "anna", "--territory",
                             "75701310", "--answer", "q1=a")
        self.assertEqual((again["outcome"], again["receipt"]), ("recorded", voted["receipt"]))
        other = self.at_server("ballot", "--poll", "embankment", "--voter", "anna", "--territory",
                               "75701310", "--answer", "q1=b", code=1)
        self.assertIn("already-voted", other.stdout + other.stderr)
        shown = self.run_veche("results", "embankment", "--server", self.server.url)
        self.assertIn("Option a", shown.stdout)
        table = self.run_veche("results", "embankment", "--server", self.server.url, "--csv")
        self.assertTrue(table.stdout.startswith("poll_id,question_id,option_id"))
        self.assertEqual(self.json_of("poll", "close", "embankment")["state"], "closed")
        self.assertEqual(self.json_of("poll", "certify", "embankment")["state"], "certified")
        told = self.run_veche("poll", "history", "embankment", "--server", self.server.url).stdout
        for word in ("returned", "a better title", "approver veche-approver", "certified"):
            self.assertIn(word, told)
        listed = self.run_veche("poll", "list", "--server", self.server.url, "--json")
        self.assertIn("embankment", [poll["id"] for poll in json.loads(listed.stdout)])

    def test_a_server_that_is_not_there_is_named(self):
        port = veche.free_port()
        failed = self.run_veche("poll", "list", "--server", f"http://127.0.0.1:{port}", code=1)
        self.assertIn(str(port), failed.stderr)

    def test_an_unknown_key_in_the_file_of_options_is_refused_with_its_line(self):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write("[serve]\ndata = \"d\"\ncolour = \"red\"\n")
            file.flush()
            failed = self.run_veche("--config", file.name, "serve", code=2)
        self.assertIn("colour", failed.stderr)
        self.assertIn("3", failed.stderr)

    def test_the_environment_gives_options(self):
        listed = self.run_veche("poll", "list", "--json", env={"VECHE_SERVER": self.server.url})
        self.assertIsInstance(json.loads(listed.stdout), list)

    def test_keygen_never_overwrites(self):
        keys = self.server.folder / "keys"
        before = (keys / "voter.secret").read_bytes()
        self.run_veche("keygen", "--out", keys, code=1)
        self.assertEqual((keys / "voter.secret").read_bytes(), before)

    def test_doctor_looks_at_the_machine(self):
        report = json.loads(self.run_veche("doctor", "--data", self.server.folder, "--json").stdout)
        self.assertTrue(report["safe"], report)
        self.assertIn("synced append", [check["name"] for check in report["checks"]])


@veche.needs_binary
class Results(CommandCase):
    """Of a poll in steps of 3 that has shown one batch of three and was sent two more ballots."""

    options = ["--tick", "50ms"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        title = {"ru": "Дорожки", "en": "Paths"}
        question = veche.question()
        question["options"][0]["title"] = title
        expected = {code: 100 for code in veche.LEAVES} | {"75701000": 1000, "75603000": 1000}
        cls.server.open_poll(veche.poll("steps", question, title=title,
                                        disclosure={"mode": "steps", "k": 3},
                                        expected_voters=expected))
        cls.server.await_publication("steps")
        for step, choices in enumerate(("aab", "abc", "ab")):
            lines = [cls.server.line("steps", sub_of(f"{step}-{i}"), choice)
                     for i, choice in enumerate(choices)]
            if cls.server.post_batch(lines).json()["accepted"] != len(choices):
                raise AssertionError("a ballot was refused")
            time.sleep(0.5)  # each is a step of its own; that a batch is held cannot be seen
        cls.server.await_publication("steps", 2)

    def results(self, *options):
        return self.run_veche("results", "steps", "--server", self.server.url, *options).stdout

    def test_hidden_counts_are_told_as_hidden(self):
        text = self.results("--by-territory")
        self.assertIn("open, 3 ballots, turnout 0 as of", text)
        self.assertRegex(text, r"75701310 +2 +3  ")
        self.assertRegex(text, r"75603407 +2 +hidden: not enough ballots to show any yet  ")
        self.assertNotRegex(text, r"75603407 +2 +0")
        first = self.results("--version", "1-open")
        self.assertIn("counts hidden: not enough ballots to show any yet", first)
        self.assertRegex(first, r"a +hidden +Дорожки")

    def test_csv_is_in_the_form_that_is_asked_for(self):
        table = self.results("--csv", "--excel", "--lang", "en")
        self.assertTrue(table.startswith("\ufeffpoll_id;question_id"), table[:40])
        self.assertIn(";Paths;", table)
        self.assertIn(",Дорожки,", self.results("--csv"))
        self.assertIn("Paths", self.results("--lang", "en"))

    def test_the_turnout_is_a_table_by_steps(self):
        poll = self.open()
        for i in range(10):
            self.server.post_batch([self.server.line(poll, sub_of(f"voter-{i}"), "b")])
        table = self.run_veche("results", poll, "--server", self.server.url, "--turnout", "--step",
                               "1d").stdout
        self.assertIn("open, turnout 10 as of", table)
        self.assertRegex(table, r"UNTIL +BALLOTS +IN THE STEP\n\S+T00:00:00\S* +\d+ +\+\d+\n")
        self.run_veche("results", poll, "--step", "1d", code=2)

    def test_exact_counts_are_for_auditors_and_are_recorded(self):
        refused = self.run_veche("results", "steps", "--view", "exact", "--server",
                                 self.server.url, code=1)
        self.assertIn("--keys", refused.stderr)
        text = self.at_server("results", "steps", "--view", "exact").stdout
        self.assertNotIn("hidden", text)
        self.assertRegex(text, r"open, 8 ballots as of")
        told = self.run_veche("poll", "history", "steps", "--server", self.server.url).stdout
        self.assertEqual(told.count("audited"), 1, told)
        self.run_veche("results", "steps", "--version", "1", "--view", "exact", code=2)


@veche.needs_binary
class Recount(unittest.TestCase):
    def test_equals_the_live_results_and_the_index(self):
        server = veche.Server()
        self.addCleanup(server.close)
        server.start()
        server.open_poll(veche.poll("recounted"))
        lines = [server.line("recounted", sub_of(f"voter-{i}"), "abc"[i % 3], veche.PLACES[i % 8])
                 for i in range(500)]
        self.assertEqual(server.post_batch(lines).json()["accepted"], 500)
        live = server.recount("--server", server.url)
        self.assertEqual(live.returncode, 0, live.stdout + live.stderr)
        held = server.recount()
        self.assertEqual(held.returncode, 1)
        self.assertIn(str(server.process.pid), held.stderr)
        self.assertEqual(server.stop(), 0)
        stopped = server.recount("--json")
        self.assertEqual(stopped.returncode, 0, stopped.stdout + stopped.stderr)
        report = json.loads(stopped.stdout)
        self.assertEqual((report["polls"][0]["counted"], report["equal"]), (500, True))
        self.assertGreater(report["tails"]["compared"], 0)
        self.assertEqual(report["tails"]["different"], 0)

    def test_a_poll_in_steps_is_compared_when_it_is_final(self):
        server = veche.Server(options=["--tick", "50ms"])
        self.addCleanup(server.close)
        server.start()
        server.open_poll(veche.poll("exact"))
        server.open_poll(veche.poll("steps", disclosure={"mode": "steps", "k": 3}))
        lines = [server.line(poll, sub_of(f"{poll}-{i}"), "abc"[i % 3], veche.PLACES[i % 8])
                 for poll in ("exact", "steps") for i in range(60)]
        self.assertEqual(server.post_batch(lines).json()["accepted"], 120)
        live = server.recount("--server", server.url)
        self.assertEqual(live.returncode, 0, live.stdout + live.stderr)
        self.assertIn("steps does not show all its results now", live.stderr)
        self.assertRegex(live.stdout, r"exact .* numbers equal")
        self.assertEqual(server.change_poll("steps", "close").status, 200)
        self.assertEqual(server.settled_results("steps", 60)["final"], True)
        final = server.recount("--server", server.url)
        self.assertEqual(final.returncode, 0, final.stdout + final.stderr)
        self.assertNotIn("not compared", final.stderr)
        self.assertRegex(final.stdout, r"steps +60 +60 .* numbers equal")


@veche.needs_binary
class DrainDelay(unittest.TestCase):
    """What a balancer sees of a server that is told to end."""

    def setUp(self):
        self.server = veche.Server()
        self.addCleanup(self.server.close)

    def start(self, seconds):
        self.server.options = ["--drain-delay", str(seconds)]
        self.server.start()

    def ask_to_end(self):
        """Returns when readiness says so."""
        asked_at = time.monotonic()
        self.server.process.send_signal(signal.SIGTERM)
        while self.server.get("/readyz").status == 200:
            self.assertLess(time.monotonic() - asked_at, 5)
            time.sleep(0.01)
        return asked_at

    def test_readiness_says_draining_while_all_else_is_served(self):
        self.start(2)
        self.server.open_poll(veche.poll("p"))
        self.assertEqual(self.server.get("/readyz").status, 200)
        asked_at = self.ask_to_end()
        ready = self.server.get("/readyz")
        self.assertEqual((ready.status, ready.code), (503, "draining"))
        self.assertEqual(self.server.vote("p", sub_of("v"), ["a"]).status, 201)
        self.assertEqual(self.server.get("/v1/polls/p/results").status, 200)
        self.assertEqual(self.server.metrics()["veche_ready"], 0)
        self.assertEqual(self.server._wait(), 0)
        self.assertGreater(time.monotonic() - asked_at, 1.9)
        self.start(0)
        self.assertEqual(self.server.settled_results("p", 1)["ballots"], 1)

    def test_a_second_signal_ends_it(self):
        self.start(600)
        self.ask_to_end()
        self.assertEqual(self.server.stop(timeout=20), 0)

    def test_without_it_a_drain_begins_at_once(self):
        self.server.start()
        asked_at = time.monotonic()
        self.assertEqual(self.server.stop(timeout=20), 0)
        self.assertLess(time.monotonic() - asked_at, 5)


@veche.needs_binary
class Demo(unittest.TestCase):
    @staticmethod
    def page(url):
        with urllib.request.urlopen(url, timeout=30) as page:
            return page.read().decode()

    def test_counts_and_proves_it(self):
        before = set(pathlib.Path(tempfile.gettempdir()).glob("veche-*"))
        done = subprocess.run([veche.BINARY, "demo", "--seconds", "3", "--seed", "1"],
                              capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("counts equal", done.stdout)
        self.assertRegex(done.stdout,
                         r"^Open this in a browser: http://127\.0\.0\.1:\d+/ \(live results\)\n")
        program = re.search(r"^In another terminal: (\S+) watch bus-routes", done.stdout, re.M)[1]
        self.assertTrue(os.path.samefile(program, veche.BINARY))
        left = set(pathlib.Path(tempfile.gettempdir()).glob("veche-demo*")) - before
        self.assertEqual(left, set(), "the demo leaves nothing behind")

    def test_has_a_page_and_ctrl_c_ends_it_with_the_final_results(self):
        running = subprocess.Popen([veche.BINARY, "demo", "--rate", "1000"], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(running.kill)
        lines = [running.stdout.readline() for _ in range(4)]
        url = re.search(r"http://\S+/", lines[0]).group()
        polls = self.page(url)
        for poll in ("bus-routes", "budget", "embankment", "square"):
            self.assertIn(f"/polls/{poll}", polls)
        self.assertIn("Test data", self.page(url + "polls/budget?lang=en"))
        running.send_signal(signal.SIGINT)
        output, errors = running.communicate(timeout=60)
        self.assertEqual(running.returncode, 0, output + errors)
        self.assertRegex(output.splitlines()[-1], r"^all \d+ counts equal$")
        self.assertNotIn("budget hidden", output.splitlines()[-2], "its final results are shown")


if __name__ == "__main__":
    unittest.main()
