"""The commands of `veche` as a person uses them, against a real server."""

import base64
import json
import os
import pathlib
import re
import resource
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

    def test_a_folder_in_the_place_of_a_file_is_named(self):
        for arguments in (("poll", "draft", "/tmp", "--server", self.server.url),
                          ("serve", "--territories", "/tmp", "--data", self.server.folder / "new",
                           "--jwks", self.server.folder / "keys/jwks.json", "--voter-secret",
                           self.server.folder / "keys/voter.secret", "--listen", "127.0.0.1:0",
                           "--metrics", "127.0.0.1:0")):
            failed = self.run_veche(*arguments, code=1)
            self.assertIn("/tmp cannot be read: Is a directory", failed.stderr)
        failed = self.run_veche("--config", "/tmp", "poll", "list", code=2)
        self.assertIn("/tmp", failed.stderr)

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
class Output(CommandCase):
    """What a command says is there, or the exit tells that it is not."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        options = [f"o{i}" for i in range(500)]
        cls.server.open_poll(veche.poll("told", veche.question(options, "approval")))

    def commands(self):
        server = ["--server", self.server.url]
        keys = ["--keys", str(self.server.folder / "keys/issuer.json")]
        yield ["--help"]
        yield ["--version"]
        yield ["poll", "draft", "--help"]
        yield ["results", "told", "--csv", "--by-territory", *server]
        yield ["results", "told", "--json", *server]
        yield ["results", "told", *server]
        yield ["poll", "list", *server]
        yield ["poll", "show", "told", *server]
        yield ["poll", "history", "told", *server]
        yield ["token", "vote", *keys, "--poll", "told", "--voter", "x", "--territory", "75701310"]
        yield ["token", "staff", *keys, "--sub", "x", "--roles", "auditor"]
        yield ["recount", "--data", str(self.server.data), *self.server.log.recount_options(),
               *server]
        yield ["doctor", "--data", str(self.server.folder)]

    def test_lost_output_is_a_failure(self):
        for command in self.commands():
            for redirect in (">/dev/full", ">&-"):
                with self.subTest(f"{' '.join(command)} {redirect}"):
                    done = subprocess.run(["sh", "-c", f'"$@" {redirect}', "sh", veche.BINARY,
                                           *command], capture_output=True, text=True, timeout=60)
                    self.assertEqual(done.returncode, 1, done.stderr)
                    self.assertIn("the output could not be written", done.stderr)

    def test_output_that_is_cut_off_is_a_failure(self):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))

        command = [veche.BINARY, "results", "told", "--csv", "--by-territory", "--server",
                   self.server.url]
        whole = subprocess.run(command, capture_output=True, timeout=60).stdout
        with tempfile.TemporaryFile() as file:
            done = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, preexec_fn=limit,
                                  timeout=60)
            self.assertLess(file.seek(0, os.SEEK_END), len(whole))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(b"could not be written: File too large", done.stderr)

    def test_a_reader_that_has_gone_is_no_fault(self):
        for command in self.commands():
            with self.subTest(command):
                reader, writer = os.pipe()
                os.close(reader)
                done = subprocess.run([veche.BINARY, *command], stdout=writer, timeout=60,
                                      stderr=subprocess.PIPE)
                os.close(writer)
                self.assertEqual((done.returncode, done.stderr), (-signal.SIGPIPE, b""))

    def test_errors_that_nobody_reads_leave_the_exit_as_it_is(self):
        reader, writer = os.pipe()
        os.close(reader)
        self.addCleanup(os.close, writer)
        with open("/dev/full", "wb") as full:
            for errors in (writer, full):
                for code, command in ((1, ["poll", "show", "nowhere", "--server", self.server.url]),
                                      (2, ["poll", "show"])):
                    done = subprocess.run([veche.BINARY, *command], stdout=subprocess.PIPE,
                                          stderr=errors, timeout=60)
                    self.assertEqual((done.returncode, done.stdout), (code, b""), command)

    def test_the_demo_ends_with_its_reader_and_leaves_nothing(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(os.rmdir, folder)
        demo = subprocess.Popen([veche.BINARY, "demo", "--rate", "100"], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env={**os.environ, "TMPDIR": folder})
        self.addCleanup(demo.kill)
        demo.stdout.readline()
        demo.stdout.close()
        self.assertEqual(demo.wait(timeout=60), -signal.SIGPIPE)
        self.assertEqual(demo.stderr.read(), b"")
        demo.stderr.close()
        self.assertEqual(os.listdir(folder), [])


@veche.needs_binary
class Tokens(CommandCase):
    """From a file, from stdin, from the environment: nowhere that `ps` shows it."""

    def test_a_token_on_the_command_line_is_refused_and_not_repeated(self):
        token = self.server.staff("moderator")
        for command in (["poll", "list"], ["poll", "draft", "-"], ["ballot"], ["results", "p"],
                        ["watch", "p"]):
            for given in (["--token", token], [f"--token={token}"]):
                refused = self.run_veche(*command, *given, code=2)
                self.assertIn("VECHE_TOKEN", refused.stderr)
                self.assertIn("--token-file", refused.stderr)
                self.assertNotIn(token, refused.stderr)
            self.assertNotRegex(self.run_veche(*command[:2] if command[0] == "poll" else
                                               command[:1], "--help").stdout, r"--token[^-]")

    def test_where_a_token_comes_from(self):
        self.server.draft_poll(veche.poll("drafted"))
        token = self.server.staff("moderator")
        file = self.server.folder / "token"
        file.write_text(token + "\n")
        other = self.server.folder / "other"
        other.write_text("not-a-token")
        show = ["poll", "show", "drafted", "--json", "--server", self.server.url]
        for options, more in ((["--token-file", file], {}),
                              (["--token-file", "-"], {"stdin": token}),
                              ([], {"env": {"VECHE_TOKEN": token}}),
                              ([], {"env": {"VECHE_TOKEN_FILE": str(file)}}),
                              (["--token-file", file], {"env": {"VECHE_TOKEN": "not-a-token"}})):
            shown = self.run_veche(*show, *options, **more)
            self.assertEqual(json.loads(shown.stdout)["state"], "draft")
        self.run_veche(*show, code=1, env={"VECHE_TOKEN": ""})
        self.run_veche(*show, "--token-file", other, code=1)
        for text in ("", "\n", "a b", "a\nX-Header: b"):
            file.write_text(text)
            refused = self.run_veche(*show, "--token-file", file, code=1)
            self.assertIn("token", refused.stderr)
        twice = self.run_veche("poll", "draft", "-", "--token-file", "-", "--server",
                               self.server.url, code=1, stdin=token)
        self.assertIn("stdin", twice.stderr)

    def test_an_empty_list_of_territories_is_no_token_for_everywhere(self):
        keys = self.server.folder / "keys/issuer.json"
        command = ["token", "staff", "--keys", keys, "--sub", "x", "--roles", "moderator"]
        for nothing in ("", ",", ",,", "75701000,", ",75701000"):
            refused = self.run_veche(*command, "--territories", nothing, code=1)
            self.assertIn("--territories: '' is no code", refused.stderr)
        both = self.run_veche(*command, "--territories", "75701000,75603000").stdout.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(both + "=" * (-len(both) % 4)))
        self.assertEqual(claims["territories"], ["75701000", "75603000"])
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write("[token.staff]\nterritories = []\n")
            file.flush()
            refused = self.run_veche("--config", file.name, *command, code=2)
        self.assertIn("line 2", refused.stderr)


@veche.needs_binary
class Voice(unittest.TestCase):
    """A server whose log nobody can take goes on, drains, and ends as it would with one."""

    @classmethod
    def setUpClass(cls):
        cls.server = veche.Server()
        cls.addClassCleanup(cls.server.close)
        cls.server.start()
        cls.server.open_poll(veche.poll("heard"))
        cls.server.stop()

    def serve(self, redirect="", options=(), **streams):
        """Through a shell that redirects, and then becomes the server."""
        process = subprocess.Popen(["sh", "-c", f'exec "$@" {redirect}', "sh",
                                    *self.server.command(), *options],
                                   **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL,
                                      **streams})
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            self.assertIsNone(process.poll())
            try:
                if self.server.get("/readyz").status == 200:
                    return process
            except veche.Down:
                pass
            time.sleep(0.02)
        raise AssertionError("it does not serve")

    def assert_goes_on_and_drains(self, process, label):
        revoked = self.server.jwks.read_text()
        token = self.server.issuer.vote("heard", sub_of(label), "75701310")
        for text, reading in (("{", "stay as they are"), (revoked, "read again")):
            self.server.jwks.write_text(text)
            process.send_signal(signal.SIGHUP)
            self.assertIn(self.server.vote("heard", None, "a", token=token).status, (200, 201),
                          reading)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=40), 0, label)

    def test_streams_that_take_nothing(self):
        def gone():
            reader, writer = os.pipe()
            os.close(reader)
            return writer

        def stuck():
            reader, writer = os.pipe()
            self.addCleanup(os.close, reader)
            os.set_blocking(writer, False)
            try:
                while True:
                    os.write(writer, bytes(65536))
            except BlockingIOError:
                os.set_blocking(writer, True)
            return writer

        def full():
            return os.open("/dev/full", os.O_WRONLY)

        access_log = ["--access-log", "-"]
        for label, options, streams in (("stderr gone", access_log, {"stderr": gone()}),
                                        ("stderr full", access_log, {"stderr": full()}),
                                        ("stderr stuck", [], {"stderr": stuck()}),
                                        ("stdout gone", [], {"stdout": gone()}),
                                        ("all full", ["--access-log", "/dev/full"],
                                         {"stdout": full(), "stderr": full()})):
            with self.subTest(label):
                self.assert_goes_on_and_drains(self.serve(options=options, **streams), label)
            for descriptor in streams.values():
                os.close(descriptor)

    def test_streams_that_are_closed(self):
        for closed in ((0,), (1,), (2,), (0, 1, 2)):
            with self.subTest(closed=closed):
                redirect = " ".join("<&-" if stream == 0 else f"{stream}>&-" for stream in closed)
                process = self.serve(redirect)
                if os.geteuid() == 0:  # nobody else may look at its memory
                    for stream in range(3):
                        self.assertEqual(os.readlink(f"/proc/{process.pid}/fd/{stream}"),
                                         "/dev/null")
                self.assert_goes_on_and_drains(process, f"closed {closed}")
        self.assertEqual((self.server.data / "veche.lock").read_text(), str(process.pid))
        recount = self.server.recount()
        self.assertEqual(recount.returncode, 0, recount.stdout + recount.stderr)


@veche.needs_binary
class Secrecy(unittest.TestCase):
    """Log and index are for the owner, whatever the umask; memory is for nobody."""

    def start(self):
        server = veche.Server()
        self.addCleanup(server.close)
        umask = os.umask(0o022)
        self.addCleanup(os.umask, umask)
        server.options = ["--access-log", str(server.folder / "access")]
        server.start()
        return server

    def test_files(self):
        server = self.start()
        server.open_poll(veche.poll("secret"))
        server.vote("secret", sub_of("anna"), "a")
        self.assertEqual(server.stop(), 0)
        written = [server.folder / "access", server.data, *server.data.rglob("*")]
        self.assertGreater(len(written), 8)
        for path in written:
            self.assertEqual(path.stat().st_mode & 0o077, 0, path)
        for mode, is_open in ((0o755, True), (0o710, True), (0o701, True), (0o700, False)):
            server.data.chmod(mode)
            told = subprocess.run([veche.BINARY, "doctor", "--data", str(server.data), "--json"],
                                  capture_output=True, text=True, timeout=60)
            privacy, = [check for check in json.loads(told.stdout)["checks"]
                        if check["name"] == "privacy"]
            self.assertEqual(privacy["state"], "warning" if is_open else "ok")
            server.start()
            self.assertEqual(server.stop(), 0)
            for text in (server.errors(), privacy["advice"]):
                self.assertEqual(f"chmod 700 {server.data}" in text, is_open, text)
        self.assertEqual(server.data.stat().st_mode & 0o777, 0o700)

    def test_no_core_is_dumped(self):
        def allow():
            resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)

        server = veche.Server()
        self.addCleanup(server.close)
        server.make_log()
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        with tempfile.TemporaryDirectory() as folder:
            process = subprocess.Popen(server.command(), stdout=subprocess.PIPE, cwd=folder,
                                       stderr=subprocess.DEVNULL,
                                       preexec_fn=allow if hard == resource.RLIM_INFINITY else None)
            process.stdout.readline()
            process.stdout.close()
            limits = pathlib.Path(f"/proc/{process.pid}/limits").read_text()
            self.assertRegex(limits, r"Max core file size +0 +0 ")
            process.send_signal(signal.SIGABRT)
            _, status = os.waitpid(process.pid, 0)
            process.returncode = -os.WTERMSIG(status)
            self.assertEqual((os.WTERMSIG(status), os.WCOREDUMP(status)), (signal.SIGABRT, False))
            self.assertEqual(os.listdir(folder), [])


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
