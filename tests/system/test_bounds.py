"""Strangers who take no answers, end no requests and hold connections: what the server keeps for
them is bounded, and voters beside them vote. VECHE_CROWD is how many strangers, VECHE_CROWD_PLACES
how many territories there are: the test with the label long has 1,000 and 10,000."""

import contextlib
import os
import pathlib
import re
import socket
import stat
import time
import unittest

import veche
from minting import sub_of

CROWD = int(os.environ.get("VECHE_CROWD", "150"))
PLACES = int(os.environ.get("VECHE_CROWD_PLACES", "2000"))
IS_LONG = CROWD >= 1000
GROWTH_MIB = 256
# A voter's, beside a crowd: the promise, and what holds whatever else the machine does.
P99_SECONDS, WORST_P99_SECONDS = 0.05, 0.5
SECONDS = 8 if IS_LONG else 3  # of voting beside each crowd
PIPELINED = 64
FEW_BYTES = 4096  # that a stranger's kernel takes


def tree():
    rows = ["oktmo8,name,kind,level,parent_oktmo8", "75000000,Region,region,0,"]
    rows += [f"{10_000_000 + i},Municipality number {i},district,1,75000000"
             for i in range(PLACES)]
    return "\n".join(rows) + "\n"


class Strangers:
    """A crowd of connections, each of which sends these bytes and reads nothing."""

    def __init__(self, server, count, data):
        self.sockets = []
        for _ in range(count):
            stranger = socket.socket()
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, FEW_BYTES)
            stranger.settimeout(5)
            self.sockets.append(stranger)
            with contextlib.suppress(OSError):  # refused, as there are too many
                stranger.connect(("127.0.0.1", server.port))
                stranger.settimeout(0.2)
                stranger.sendall(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for stranger in self.sockets:
            stranger.close()


class BoundsCase(veche.ServerCase):
    territories = tree()
    voters = 0

    def setUp(self):
        super().setUp()
        self.poll = self.open(veche.question([f"option-{i:02}" for i in range(12)]),
                              targets=["75000000"])
        self.ballots = 0

    def vote(self):
        """A new voter on a new connection; how long it took."""
        BoundsCase.voters += 1
        token = self.server.issuer.vote(self.poll, sub_of("good", BoundsCase.voters), "10000001")
        begin = time.monotonic()
        answer = self.server.request("POST", f"/v1/polls/{self.poll}/ballots",
                                     veche.answers("option-03"), token=token)
        took = time.monotonic() - begin
        self.assertEqual(answer.status, 201, answer)
        self.ballots += 1
        return took

    def assert_bounded(self, data, count=CROWD):
        """Beside a crowd that sends these bytes all ballots are counted, and memory stays."""
        self.server.get(f"/v1/polls/{self.poll}/results?by=territory")
        before = top = self.server.resident_kib()
        took = []
        with Strangers(self.server, count, data):
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                took.append(self.vote())
                top = max(top, self.server.resident_kib())
                time.sleep(0.02)
        growth = (top - before) // 1024
        p99 = sorted(took)[len(took) * 99 // 100]
        print(f"\n{data[:60]!r} of {count}: {growth} MiB more; {len(took)} ballots, "
              f"p99 {p99 * 1000:.1f} ms, worst {max(took) * 1000:.1f} ms", flush=True)
        self.assertLess(growth, GROWTH_MIB)
        self.assertLess(p99, WORST_P99_SECONDS)
        self.server.settled_results(self.poll, self.ballots)
        return p99


@veche.needs_binary
class Answers(BoundsCase):
    def requests(self, target, method="GET", **headers):
        return veche.encode_request(method, target, headers=headers) * PIPELINED

    def test_documents_that_nobody_takes(self):
        for target in (f"/v1/polls/{self.poll}/results?by=territory",
                       f"/v1/polls/{self.poll}/results.csv?by=territory", "/v1/territories",
                       f"/polls/{self.poll}"):
            with self.subTest(target=target):
                p99 = self.assert_bounded(self.requests(target))
                if IS_LONG:
                    self.assertLess(p99, P99_SECONDS)

    def test_short_answers_that_nobody_takes(self):
        asset = re.search(r'/assets/[^"]+', self.server.get("/").body.decode()).group()
        for data in (self.requests(asset), self.requests("/no/such/page"),
                     self.requests(f"/v1/polls/{self.poll}"),
                     self.requests("/v1/polls?limit=500"), self.requests("/openapi.json"),
                     self.requests(f"/v1/polls/{self.poll}/results?by=territory", "HEAD")):
            with self.subTest(data=data[:40]):
                self.assert_bounded(data)

    def test_refusals_of_ballots_that_nobody_takes(self):
        token = self.server.issuer.vote(self.poll, sub_of("stranger"), "10000001")
        faulty = veche.encode_request("POST", f"/v1/polls/{self.poll}/ballots", {
            "answers": [{"question": "q1", "choices": [f"no-{i}" for i in range(64)]}]},
            token=token)
        self.assert_bounded(faulty * PIPELINED)

    def test_answers_to_batches_that_nobody_takes(self):
        lines = [self.server.line(self.poll, sub_of("batch", i), "option-01", "10000002")
                 for i in range(500)]
        self.assertEqual(self.server.post_batch(lines).json()["accepted"], len(lines))
        self.ballots += len(lines)
        body = b"".join(veche.json.dumps(line).encode() + b"\n" for line in lines)
        request = veche.encode_request(
            "POST", "/v1/ballots?detail=all", body, {"Content-Type": "application/x-ndjson"},
            self.server.issuer.batch(body, len(lines)))
        # Each stands for thousands of voters, and is counted: it costs what they would.
        self.assert_bounded(request * 4)

    def test_results_that_nobody_takes_with_a_ballot(self):
        many = veche.poll(f"{self.poll}-many", *[
            veche.question([f"option-{i:03}-{'x' * 24}" for i in range(512)], name=f"q{q}") for q in range(8)],
            targets=["75000000"])
        poll = self.server.open_poll(many)["id"]
        ballot = {"answers": [{"question": f"q{q}", "choices": [f"option-003-{'x' * 24}"]}
                              for q in range(8)]}

        def request(voter):
            token = self.server.issuer.vote(poll, sub_of("with-results", voter), "10000001")
            return (f"/v1/polls/{poll}/ballots?results=1", ballot, None, token)

        crowd = max(CROWD, 600)  # so that all of it is more than both threads may owe
        with Strangers(self.server, crowd, veche.encode_request("POST", *request("stranger"))):
            answer = veche.eventually(lambda: self.without_results(request), within=10)
            self.assertEqual(answer["outcome"], "accepted")
        self.assert_bounded(veche.encode_request("POST", *request("stranger")), crowd)

    def without_results(self, request):
        """What a voter is told who comes when too much is owed to others."""
        BoundsCase.voters += 1
        answer = self.server.request("POST", *request(BoundsCase.voters))
        self.assertEqual(answer.status, 201, answer)
        return None if answer.json()["results"] else answer.json()

    def test_streams_that_nobody_reads(self):
        self.assert_bounded(veche.encode_request(
            "GET", f"/v1/polls/{self.poll}/stream?by=territory"))


@veche.needs_binary
class Bodies(BoundsCase):
    def head(self, method, target, content_type, length, token):
        return veche.encode_request(method, target, None, {
            "Content-Type": content_type, "Content-Length": str(length)}, token)

    def test_batches_that_never_end(self):
        token = self.server.issuer.batch(b"x", 1)
        head = self.head("POST", "/v1/ballots", "application/x-ndjson", 16 << 20, token)
        self.assert_bounded(head + b" " * (15 << 20), count=60)

    def test_ballots_that_never_end(self):
        head = self.head("POST", f"/v1/polls/{self.poll}/ballots", "application/json", 60_000,
                         self.server.issuer.vote(self.poll, sub_of("slow"), "10000001"))
        self.assert_bounded(head + b" " * 59_000)

    def test_who_may_not_send_a_body_is_told_before_it(self):
        analyst = self.server.issuer.staff("analyst", sub="an-analyst")
        somewhere = self.server.staff("operator", territories=["10000001"])
        ballots = f"/v1/polls/{self.poll}/ballots"
        for method, target, content_type, token, status in (
                ("PUT", "/v1/territories", "text/csv", analyst, 403),
                ("PUT", "/v1/territories", "text/csv", self.server.staff("moderator"), 403),
                ("PUT", "/v1/territories", "text/csv", somewhere, 403),
                ("PUT", "/v1/territories", "text/csv", None, 401),
                ("POST", "/v1/polls", "application/json", analyst, 403),
                ("POST", "/v1/polls", "application/json", self.server.staff("operator"), 403),
                ("PATCH", f"/v1/polls/{self.poll}", "application/json", analyst, 403),
                ("POST", f"/v1/polls/{self.poll}/transitions", "application/json", analyst, 403),
                ("POST", f"/v1/polls/{self.poll}/transitions", "application/json", None, 401),
                ("POST", "/v1/ballots", "application/x-ndjson", analyst, 401),
                ("POST", ballots, "application/json", analyst, 401),
                ("POST", ballots, "application/json", None, 401)):
            with self.subTest(target=target, method=method, status=status):
                with self.server.connect(timeout=5) as connection:
                    connection.send(self.head(method, target, content_type, 60_000, token))
                    self.assertEqual(connection.read_answer().status, status)

    def test_who_sends_the_body_all_the_same_can_read_why(self):
        analyst = self.server.issuer.staff("analyst", sub="an-analyst")
        with self.server.connect(timeout=5) as connection:
            connection.send(self.head("PUT", "/v1/territories", "text/csv", 8 << 20, analyst))
            connection.send(b" " * (7 << 20))
            self.assertEqual(connection.read_answer().status, 403)


@veche.needs_binary
class Descriptors(unittest.TestCase):
    """A server that may have few files open."""

    FILES = 300

    def setUp(self):
        self.server = veche.Server()
        self.addCleanup(self.server.close)
        limited = pathlib.Path(self.server.folder) / "veche-limited"
        limited.write_text(f"#!/bin/sh\nulimit -n {self.FILES}\nexec {veche.BINARY} \"$@\"\n",
                           encoding="utf-8")
        limited.chmod(limited.stat().st_mode | stat.S_IXUSR)
        self.server.binary = str(limited)
        self.server.start()

    def test_strangers_who_hold_connections_keep_nobody_out(self):
        self.assertIn(f"{self.FILES} files may be open", self.server.errors())
        poll = self.server.open_poll(veche.poll("held"))["id"]
        stream = veche.encode_request("GET", f"/v1/polls/{poll}/stream")
        half = b"GET /livez HTTP/1.1\r\nX-Slow: and"
        with Strangers(self.server, self.FILES, b""), Strangers(self.server, self.FILES, stream), \
                Strangers(self.server, self.FILES, half), Strangers(self.server, self.FILES, b""):
            for i in range(50):
                self.assertEqual(self.server.vote(poll, sub_of("held", i), "a").status, 201)
            used = len(os.listdir(f"/proc/{self.server.process.pid}/fd"))
            self.assertLess(used, self.FILES - 100, "the store has its own")
            self.assertEqual(self.server.stop(), 0, self.server.errors())
        self.server.start()
        self.assertEqual(self.server.settled_results(poll, 50)["ballots"], 50)


if __name__ == "__main__":
    unittest.main()
