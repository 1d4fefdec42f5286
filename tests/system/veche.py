"""A real server in a temporary folder, and a plain HTTP client that sends what a test wants sent,
well formed or not. Standard library only. VECHE_TEST_LOG says which log the servers get: embedded, or
kafka, where each test has topics of its own."""

import atexit
import contextlib
import ctypes
import json
import os
import pathlib
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.parse

import kafka
import log_reader
from minting import Issuer

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("VECHE", str(REPOSITORY / "build/release/veche"))
# With a sanitizer a process keeps much more memory than it uses.
SANITIZED = bool(os.environ.get("VECHE_SANITIZED"))
KIND_OF_LOG = os.environ.get("VECHE_TEST_LOG", "embedded")
SHARED_DATA = pathlib.Path(os.environ.get("VECHE_SHARED", REPOSITORY.parent / "shared/data"))
CRYPTO_PRELOADED = ctypes.CDLL(None)  # loaded before any fork, so that the child only calls it

# Two regions: what lies below, beside and above a target, and a second root.
TERRITORIES = """\
oktmo8,control_digit,name,kind,level,parent_oktmo8,region_subject_code,town_population
75000000,6,Челябинская область,region,0,,74,
75701000,,Челябинск,city_okrug,1,75000000,74,1200000
75701310,,Калининский район,intra_city_district,2,75701000,74,
75701320,,Курчатовский район,intra_city_district,2,75701000,74,
75603000,6,Агаповский муниципальный район,municipal_district,1,75000000,74,
75603407,9,Агаповское,rural_settlement,2,75603000,74,
75603411,1,Буранное,rural_settlement,2,75603000,74,
01000000,,Алтайский край,region,0,,22,
01701000,,Барнаул,city_okrug,1,01000000,22,635585
"""
LEAVES = ["75701310", "75701320", "75603407", "75603411", "01701000"]
PLACES = LEAVES + ["75701000", "75603000", "75000000"]

_running = set()


@atexit.register
def _kill_what_is_left():
    for process in list(_running):
        process.kill()
        process.wait()


def eventually(happened, within=20.0, why=None):
    """What `happened` gives as soon as that is true: no test sleeps and hopes. `why` says what is
    there instead; the time is well above what busy cores need."""
    deadline = time.monotonic() + within
    while not (gave := happened()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {why() if why else gave}")
        time.sleep(0.02)
    return gave


def known(ask, within=20.0):
    """The first answer to `ask` that does not leave its outcome open, as a broker on busy cores may
    make it. What was done before that answer is "wrong-state" the second time."""
    asked = []
    return eventually(lambda: asked.append(ask()) or
                      (asked[-1].code != "outcome-unknown" and asked[-1]), within)


def needs_binary(case):
    return unittest.skipUnless(os.access(BINARY, os.X_OK), f"no server at {BINARY}")(case)


class Down(Exception):
    """The server did not answer: refused, reset, closed, or silent. What became of the request is
    not known."""


class CommandFailed(Exception):
    """What it printed is the text."""


class StartFailed(Exception):
    def __init__(self, code, errors):
        super().__init__(f"exit {code}: {errors[-2000:]}")
        self.code, self.errors = code, errors


# --- HTTP ----------------------------------------------------------------------------------------


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The code of a refusal, or the outcome of a ballot."""
        if "json" not in self.headers.get("content-type", ""):
            return None
        document = self.json()
        return document.get("code", document.get("outcome"))

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:600]!r}"


def encode_request(method, target, body=None, headers=None, token=None):
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if body is not None and not isinstance(body, (bytes, bytearray)):
        body = json.dumps(body, ensure_ascii=False).encode()
    given = {name.lower() for name in headers or {}}
    if body is not None and "content-type" not in given:
        lines.append("Content-Type: application/json")
    if body is not None and not given & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items() if value is not None]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + (body or b"")


class Connection:
    """One keep-alive connection. Any failure is Down, and the connection is then of no more use."""

    def __init__(self, port, timeout=15.0):
        self.buffer = b""
        try:
            self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise Down(f"connect: {error}") from error

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise Down(f"send: {error}") from error

    def _more(self):
        try:
            data = self.socket.recv(256 * 1024)
        except OSError as error:
            raise Down(f"receive: {error}") from error
        if not data:
            raise Down("closed")
        self.buffer += data

    def read_line_block(self):
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        return head.decode("latin-1").split("\r\n")

    def read_head(self):
        first, *lines = self.read_line_block()
        headers = {}
        for line in lines:
            name, value = line.split(":", 1)
            headers[name.lower()] = value.strip()
        return int(first.split(" ")[1]), headers

    def read_answer(self, method="GET"):
        status, headers = self.read_head()
        while status < 200:
            status, headers = self.read_head()
        length = int(headers.get("content-length", 0))
        if method == "HEAD" or status in (204, 304):
            length = 0
        while len(self.buffer) < length:
            self._more()
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return Answer(status, headers, body)

    def request(self, method, target, body=None, headers=None, token=None):
        self.send(encode_request(method, target, body, headers, token))
        return self.read_answer(method)

    def is_closed_by_server(self, within=5.0):
        """Whether the server ends the connection, reading away what it still sends."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            readable, _, _ = select.select([self.socket], [], [], deadline - time.monotonic())
            if not readable:
                return False
            try:
                if not self.socket.recv(65536):
                    return True
            except OSError:
                return True
        return False


# --- The server ----------------------------------------------------------------------------------


def free_port():
    """Below the ports that connections get by themselves: or, while the server is down, a client
    could be given this very port and be connected to itself."""
    while True:
        port = random.randrange(10_000, 30_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port


class EmbeddedLog:
    """In the server's own data folder."""

    options = ()

    def __init__(self, data):
        self.data = data

    def recount_options(self):
        return []

    def records(self):
        return log_reader.read_log(self.data / "log")


class KafkaLog:
    """Topics of its own in a cluster; `make` once, before the first start."""

    def __init__(self, cluster=None, name=None, partitions=4, replicas=1):
        self.cluster = cluster or kafka.Cluster.shared()
        self.name = name or f"t{os.getpid()}-{random.randrange(10**9)}"
        self.partitions, self.replicas, self.is_made = partitions, replicas, False
        self.url = self.cluster.log_url(self.name)
        self.options = ["--log", self.url]

    def make(self, server, *options):
        self.is_made = True
        return run_command(server.binary, "topic", "create", "--log", self.url, "--voter-secret",
                           server.voter_secret, "--partitions", self.partitions, "--replicas",
                           self.replicas, *options)

    def recount_options(self):
        return ["--log", self.url]

    def records(self):
        return log_reader.read_kafka(self.cluster, self.name)


def run_command(binary, *arguments):
    done = subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True,
                          timeout=120)
    if done.returncode:
        raise CommandFailed(f"{arguments}: exit {done.returncode}: {done.stdout}{done.stderr}")
    return done


def needs_embedded_log(case):
    return unittest.skipUnless(KIND_OF_LOG == "embedded", "about the embedded log's files")(case)


class Server:
    """`veche serve` on a folder. It keeps folder and port from one start to the next. `beside` is
    another server with whom it shares keys and log: an equal node."""

    def __init__(self, binary=None, territories=TERRITORIES, alg="hs256", folder=None, options=(),
                 log=None, beside=None):
        self.binary = binary or BINARY
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="veche-system-"))
        self.data = self.folder / "data"
        self.options = list(options)
        self.port, self.process = free_port(), None
        self.error_log = self.folder / "stderr"
        self.error_log_start = 0
        self.environment = {}
        keys = (beside or self).folder / "keys"
        if not keys.exists():
            subprocess.run([self.binary, "keygen", "--out", str(keys), "--alg", alg], check=True,
                           capture_output=True, timeout=60)
        self.jwks, self.voter_secret = keys / "jwks.json", keys / "voter.secret"
        self.issuer = Issuer(keys / "issuer.json")
        self.log = log or (beside and beside.log) or (
            KafkaLog() if KIND_OF_LOG == "kafka" else EmbeddedLog(self.data))
        self.territories = None
        if territories:
            self.territories = self.folder / "territories.csv"
            self.territories.write_text(territories, encoding="utf-8")

    def command(self):
        command = [self.binary, "serve", "--data", str(self.data), "--listen",
                   f"127.0.0.1:{self.port}", "--jwks", str(self.jwks), "--voter-secret",
                   str(self.voter_secret), "--metrics", "127.0.0.1:0"]
        if self.territories:
            command += ["--territories", str(self.territories)]
        return command + list(self.log.options) + self.options

    def make_log(self):
        """Of a log that is not in the data folder; it must be there before the server starts."""
        if isinstance(self.log, KafkaLog) and not self.log.is_made:
            self.log.make(self)

    def start(self, timeout=30.0, stderr=None):
        """Returns when the server serves. Call it on a thread that lives as long as the server.
        `stderr` is a descriptor, where its errors are not to be read by errors()."""
        def child():
            CRYPTO_PRELOADED.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: no server outlives tests

        self.make_log()
        self.error_log_start = self.error_log.stat().st_size if self.error_log.exists() else 0
        with open(self.error_log, "ab") as errors:
            self.process = subprocess.Popen(self.command(), stdout=subprocess.PIPE,
                                            stderr=errors if stderr is None else stderr,
                                            stdin=subprocess.DEVNULL, preexec_fn=child,
                                            env={**os.environ, **self.environment})
        _running.add(self.process)
        readable, _, _ = select.select([self.process.stdout], [], [], timeout)
        line = self.process.stdout.readline().decode() if readable else ""
        url = urllib.parse.urlsplit(line.strip())
        if url.scheme != "http" or not url.port:
            self.process.kill()
            code = self._wait()
            raise StartFailed(code if readable else "too slow", self.errors())
        self.url, self.port = line.strip(), url.port
        return self

    def _wait(self, timeout=40.0):
        code = self.process.wait(timeout)
        self.process.stdout.close()
        _running.discard(self.process)
        return code

    def stop(self, timeout=40.0):
        """Asks it to end; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self._wait(timeout)

    def reload_keys(self):
        """Returns when it has read its keys again, or has said why it keeps those it had."""
        def said():
            return len(re.findall("veche: (?:the keys stay|keys read again)", self.errors()))

        before = said()
        self.process.send_signal(signal.SIGHUP)
        eventually(lambda: said() > before, why=self.errors)

    def kill(self):
        self.process.kill()
        return self._wait()

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def errors(self):
        """What the last start wrote to stderr."""
        with open(self.error_log, "rb") as file:
            file.seek(self.error_log_start)
            return file.read().decode("utf-8", "replace")

    def positions(self, when):
        """{partition: (offset, hash)} as printed at "start" or "stop" of the last run."""
        found = re.findall(r"position (\w+) partition (\w+) offset (\d+) hash ([0-9a-fA-F]+)",
                           self.errors())
        return {partition: (int(offset), digest)
                for moment, partition, offset, digest in found if moment == when}

    def recount(self, *options):
        """The product's own recount: of a stopped server, unless the options say otherwise."""
        return subprocess.run([self.binary, "recount", "--data", str(self.data),
                               *self.log.recount_options(), *options],
                              capture_output=True, text=True, timeout=120)

    def resident_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1))

    # --- Requests, each on a connection of its own ---

    def connect(self, timeout=15.0):
        return Connection(self.port, timeout)

    def request(self, method, target, body=None, headers=None, token=None):
        with self.connect() as connection:
            return connection.request(method, target, body, headers, token)

    def get(self, target, **headers):
        return self.request("GET", target, headers={k.replace("_", "-"): v
                                                    for k, v in headers.items()})

    def vote(self, poll, sub, choices, territory="75701310", token=None, question="q1", **claims):
        """One ballot of a poll with one question."""
        token = token or self.issuer.vote(poll, sub, territory, **claims)
        return self.request("POST", f"/v1/polls/{poll}/ballots", answers(choices, question),
                            token=token)

    def post_batch(self, lines, query="", headers=None, token=None, body=None, encode=None):
        """`lines` are documents or bytes; `encode` packs the body after it was signed."""
        raw = body if body is not None else b"".join(
            (line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=False).encode())
            + b"\n" for line in lines)
        token = token or self.issuer.batch(raw, len(lines))
        sent = encode(raw) if encode else raw
        return self.request("POST", "/v1/ballots" + query, sent,
                            {"Content-Type": "application/x-ndjson", **(headers or {})}, token)

    def line(self, poll, voter, choices, territory="75701310", level=3, question="q1", **more):
        return {"poll": poll, "voter": voter, "territory": territory, "level": level,
                "answers": answers(choices, question)["answers"], **more}

    def staff(self, role, **more):
        """The token of somebody who has this role alone: nobody approves his own draft."""
        return self.issuer.staff(role, sub=f"the-{role}", **more)

    def draft_poll(self, definition):
        return self.request("POST", "/v1/polls", definition, token=self.staff("moderator"))

    def create_poll(self, definition):
        """From nothing to scheduled, in three steps, some of which an earlier try may have made.
        Returns the answer to the draft, or the first that says no."""
        drafted = known(lambda: self.draft_poll(definition))
        if drafted.status not in (200, 201):
            return drafted
        for action in ("submit", "approve"):
            answer = known(lambda: self.change_poll(definition["id"], action))
            if answer.status != 200 and answer.code != "wrong-state":
                return answer
        return drafted

    def change_poll(self, poll, action, reason="a test", token=None, **headers):
        """By somebody who may."""
        role = {"submit": "moderator", "close": "operator", "certify": "certifier"}.get(
            action, "approver")
        return self.request("POST", f"/v1/polls/{poll}/transitions",
                            {"action": action, "reason": reason},
                            {name.replace("_", "-"): value for name, value in headers.items()},
                            token or self.staff(role))

    def open_poll(self, definition):
        """Creates the poll and opens it early."""
        for answer in (self.create_poll(definition),
                       known(lambda: self.change_poll(definition["id"], "open"))):
            if answer.status not in (200, 201) and answer.code != "wrong-state":
                raise AssertionError(answer)
        return definition

    def results(self, poll, by_territory=True):
        answer = self.get(f"/v1/polls/{poll}/results" + ("?by=territory" if by_territory else ""))
        if answer.status != 200:
            raise AssertionError(answer)
        return answer.json()

    def await_publication(self, poll, version=1, within=15.0):
        """Of a poll in steps. A node that has just started publishes nothing until it knows what
        time it is."""
        target = f"/v1/polls/{poll}/results?version={version}"
        eventually(lambda: self.get(target).code != "version-not-kept", within,
                   lambda: self.results(poll))

    def settled_results(self, poll, ballots, within=5.0):
        """Results are published at a pace of their own: waits until they show so many ballots, and
        returns what they show at last."""
        deadline = time.monotonic() + within
        results = self.results(poll)
        while results["ballots"] != ballots and time.monotonic() < deadline:
            time.sleep(0.02)
            results = self.results(poll)
        return results

    def metrics(self):
        """{series: value} of the listener for metrics."""
        port = int(re.search(r"metrics at http://127.0.0.1:(\d+)", self.errors()).group(1))
        with Connection(port) as connection:
            text = connection.request("GET", "/metrics").body.decode()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in text.splitlines() if line and not line.startswith("#")}


# --- Builders ------------------------------------------------------------------------------------


def instant(seconds_from_now):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds_from_now))


def question(options="abc", kind="single", at_least=1, at_most=1, points=(), name="q1"):
    return {"id": name, "title": f"Question {name}", "kind": kind, "min": at_least,
            "max": at_most, "points": list(points),
            "options": [{"id": option, "title": f"Option {option}"} for option in options]}


def poll(name, *questions, targets=("75000000", "01000000"), opens_in=3600, closes_in=86400,
         **more):
    return {"id": name, "title": f"Poll {name}", "opens_at": instant(opens_in),
            "closes_at": instant(closes_in),
            "targets": [target if isinstance(target, dict) else {"territory": target}
                        for target in targets],
            "questions": list(questions) or [question()], **more}


def answers(choices, question_id="q1"):
    """Choices as the interface wants them: ["a"] or {"a": 2}; a lone string is one choice."""
    choices = [choices] if isinstance(choices, str) else choices
    return {"answers": [{"question": question_id, "choices": choices}]}


def votes_of(results, question_place=0):
    return {option["id"]: option["votes"]
            for option in results["questions"][question_place]["options"]}


def points_of(results, question_place=0):
    return {option["id"]: option["points"]
            for option in results["questions"][question_place]["options"]}


class ServerCase(unittest.TestCase):
    """One server for the tests of a class."""

    alg = "hs256"
    options = ()
    territories = TERRITORIES

    @classmethod
    def setUpClass(cls):
        if not os.access(BINARY, os.X_OK):
            raise unittest.SkipTest(f"no server at {BINARY}")
        cls.server = Server(alg=cls.alg, options=cls.options, territories=cls.territories)
        cls.addClassCleanup(cls.server.close)
        cls.server.start()

    def setUp(self):
        self.assertTrue(self.server.is_running(), "an earlier test ended the server")
        # A poll id is used once, so each test has its own.
        self.poll_id = re.sub("[^a-z0-9]+", "-", self._testMethodName.lower())[:50].strip("-")

    def open(self, *questions, **more):
        return self.server.open_poll(poll(self.poll_id, *questions, **more))["id"]

    def assert_memory_flat(self, before_kib, growth_kib):
        if not SANITIZED:
            self.assertLess(self.server.resident_kib() - before_kib, growth_kib)

    def assert_refused(self, answer, status, code):
        self.assertEqual((answer.status, answer.code), (status, code), answer)
        self.assertEqual(answer.headers.get("content-type", "").split(";")[0],
                         "application/problem+json", answer)
        problem = answer.json()
        self.assertEqual(problem["status"], status)
        for member in ("type", "title", "detail"):
            self.assertTrue(problem[member], problem)
        if status == 503:
            self.assertGreaterEqual(int(answer.headers["retry-after"]), 1)
        return problem

    def assert_outcome(self, answer, status):
        outcome = {201: "accepted", 200: "recorded"}[status]
        self.assertEqual((answer.status, answer.code), (status, outcome), answer)
        document = answer.json()
        self.assertRegex(document["receipt"], "^[0-9A-HJKMNP-TV-Z]{5}(-[0-9A-HJKMNP-TV-Z]{5}){3}-"
                                              "[0-9A-HJKMNP-TV-Z]{6}$")
        return document["receipt"]

    def assert_counts(self, poll_id, votes):
        """Exactly these votes; options that are not named have none."""
        results = self.server.settled_results(poll_id, sum(votes.values()))
        shown = {option: count for option, count in votes_of(results).items() if count}
        self.assertEqual(shown, {option: count for option, count in votes.items() if count})
