"""Ballots and clients that mean harm: never a partial count, never a crash, memory flat."""

import contextlib
import gzip
import itertools
import json
import os
import random
import re
import socket
import struct
import threading
import time
import unittest

import veche
from minting import sub_of

MEMORY_GROWTH_KIB = 64 * 1024
EMPTY_ZSTD_FRAME = bytes.fromhex("28b52ffd2000010000")
LINES = 4_000  # of a large batch: they last longer than anybody should wait


class HostileCase(veche.ServerCase):
    """After each test the server still serves, and counts what is good and nothing else."""

    def setUp(self):
        super().setUp()
        self.poll = self.open(veche.question("abc"),
                              veche.question("xyz", "approval", 1, 2, name="q2"),
                              veche.question("klm", "ranked", 1, 2, points=(2, 1), name="q3"),
                              veche.question("rst", "points", 1, 5, name="q4"))
        self.token = self.server.issuer.vote(self.poll, sub_of(self.poll), "75701310")

    def tearDown(self):
        """The very voter of the hostile ballots is not counted yet: one good ballot is."""
        answer = self.post(self.ballot())
        self.assert_outcome(answer, 201)
        results = self.server.settled_results(self.poll, 1)
        self.assertEqual(results["ballots"], 1)
        self.assertEqual([sum(veche.votes_of(results, place).values()) for place in range(4)],
                         [1, 1, 1, 1])

    def ballot(self, q1=("a",), q2=("x",), q3=("k",), q4=None):
        return {"answers": [{"question": "q1", "choices": list(q1)},
                            {"question": "q2", "choices": list(q2)},
                            {"question": "q3", "choices": list(q3)},
                            {"question": "q4", "choices": {"r": 1} if q4 is None else q4}]}

    def post(self, body, headers=None):
        return self.server.request("POST", f"/v1/polls/{self.poll}/ballots", body, headers,
                                   self.token)

    def head(self, *lines):
        return "\r\n".join([f"POST /v1/polls/{self.poll}/ballots HTTP/1.1", "Host: localhost",
                            f"Authorization: Bearer {self.token}",
                            "Content-Type: application/json", *lines, "", ""]).encode()


class HostileAnswers(HostileCase):
    def assert_invalid(self, body, *places):
        problem = self.assert_refused(self.post(body), 422, "invalid-answer")
        pointers = [error["pointer"] for error in problem["errors"]]
        self.assertGreaterEqual(len(pointers), 1)
        for error in problem["errors"]:
            self.assertTrue(error["code"] and error["detail"], problem)
        for place in places:
            self.assertTrue([pointer for pointer in pointers if pointer.startswith(place)],
                            f"no fault at {place}: {problem['errors']}")

    def test_an_option_twice(self):
        self.assert_invalid(self.ballot(q2=("x", "x")), "/answers/1")
        self.assert_invalid(self.ballot(q1=("a", "a")), "/answers/0")
        self.assert_invalid(self.ballot(q3=("k", "k")), "/answers/2")

    def test_options_of_another_question(self):
        self.assert_invalid(self.ballot(q1=("x",)), "/answers/0")
        self.assert_invalid(self.ballot(q2=("x", "a")), "/answers/1")

    def test_one_too_many_and_one_too_few(self):
        self.assert_invalid(self.ballot(q1=("a", "b")), "/answers/0")
        self.assert_invalid(self.ballot(q1=()), "/answers/0")
        self.assert_invalid(self.ballot(q2=()), "/answers/1")
        self.assert_invalid(self.ballot(q2=("x", "y", "z")), "/answers/1")
        self.assert_invalid(self.ballot(q3=("k", "l", "m")), "/answers/2")

    def test_points_outside(self):
        for points in ({"r": 6}, {"r": 3, "s": 3}, {"r": 0}, {"r": -1}, {"r": 6, "s": -1},
                       {"r": 2**31}, {"r": 2**32 + 1}, {"r": 2**63 - 1}):
            with self.subTest(points=points):
                self.assert_invalid(self.ballot(q4=points), "/answers/3")

    def test_points_that_would_sum_up_around_a_word(self):
        for a, b in ((2**63 - 1, 2**63 - 1), (2**32 - 1, 2), (2**31, 2**31 + 3)):
            self.assert_invalid(self.ballot(q4={"r": a, "s": b}), "/answers/3")

    def test_numbers_that_are_none(self):
        for text in ("1e400", "1.5", "2e0", "18446744073709551616", '"3"', "null", "true",
                     "[3]", "01", "+1", "NaN", "0x1"):
            with self.subTest(text=text):
                body = json.dumps(self.ballot(q4={"r": 7})).replace("7", text).encode()
                answer = self.post(body)
                self.assertIn((answer.status, answer.code),
                              ((400, "malformed"), (422, "invalid-answer")), answer)

    def test_all_faults_are_listed(self):
        self.assert_invalid(self.ballot(q1=("nobody",), q2=("x", "x"), q4={"r": 9}),
                            "/answers/0", "/answers/1", "/answers/3")

    def test_questions_missing_twice_or_unknown(self):
        good = self.ballot()["answers"]
        self.assert_invalid({"answers": []})
        self.assert_invalid({"answers": good[1:]})
        self.assert_invalid({"answers": good + good[:1]})
        self.assert_invalid({"answers": good + [{"question": "q9", "choices": ["a"]}]})

    def test_the_wrong_form_of_choices(self):
        self.assert_invalid(self.ballot(q4=["r"]), "/answers/3")
        self.assert_invalid({"answers": [{"question": "q1", "choices": {"a": 1}}]}, "/answers/0")

    def test_a_thousand_choices(self):
        self.assert_invalid(self.ballot(q1=[f"o{i}" for i in range(1000)]), "/answers/0")


class HostileBodies(HostileCase):
    def assert_malformed(self, body):
        self.assert_refused(self.post(body), 400, "malformed")

    def test_not_json(self):
        good = json.dumps(self.ballot()).encode()
        for body in (b"", b"{", b"null", b"[]", b"7", b'"text"', good[:-1], good + b"x",
                     good + good, b"\xef\xbb\xbf" + good[:-2], b"answers=a", b"<a/>",
                     good.replace(b'"', b"'"), good[:-1] + b",}"):
            with self.subTest(body=body[:40]):
                self.assert_malformed(body)

    def test_nothing_at_all_at_every_route_that_takes_a_body(self):
        staff = self.server.issuer.staff("moderator", "approver", "operator")
        tokens = {"postBallot": self.token, "postBatch": self.server.issuer.batch(b"", 1)}
        paths = self.server.get("/openapi.json").json()["paths"]
        routes = [(method.upper(), path.replace("{poll}", self.poll), operation)
                  for path, operations in paths.items() for method, operation in operations.items()
                  if "requestBody" in operation]
        self.assertGreaterEqual(len(routes), 6)
        for method, path, operation in routes:
            kind, = operation["requestBody"]["content"]
            token = tokens.get(operation["operationId"], staff)
            for headers, body in (({}, b""), ({"Content-Encoding": "gzip"}, b""),
                                  ({"Content-Encoding": "gzip"}, gzip.compress(b"")),
                                  ({"Content-Encoding": "zstd"}, b""),
                                  ({"Content-Encoding": "zstd"}, EMPTY_ZSTD_FRAME)):
                with self.subTest(method=method, path=path, headers=headers, body=body):
                    answer = self.server.request(
                        method, path, body, {"Content-Type": kind, "If-Match": '"1"', **headers},
                        token)
                    if path == "/v1/ballots" and answer.status == 401:  # no token is for no line
                        self.assertIn("another number of lines", answer.json()["detail"])
                    else:
                        self.assertIn(answer.status, (400, 415, 422), answer)

    def test_members_that_a_ballot_does_not_have(self):
        for member in ("poll", "territory", "sub", "level", "voter", "token", "x", ""):
            with self.subTest(member=member):
                self.assert_malformed({**self.ballot(), member: "75603407"})
        good = self.ballot()["answers"]
        self.assert_malformed({"answers": [{**good[0], "weight": 2}, *good[1:]]})
        self.assert_malformed({})

    def test_duplicate_members_at_every_level_also_escaped(self):
        good = json.dumps(self.ballot(q4={"r": 1}))
        for old, new in (('{"answers": ', '{"answers": [], "answers": '),
                         ('{"answers": ', '{"\\u0061nswers": [], "answers": '),
                         ('"choices": ["a"]', '"choices": ["b"], "choices": ["a"]'),
                         ('"choices": ["a"]', '"choices": ["b"], "\\u0063hoices": ["a"]'),
                         ('{"r": 1}', '{"r": 2, "r": 1}'),
                         ('{"r": 1}', '{"r": 2, "\\u0072": 1}')):
            with self.subTest(new=new):
                self.assertIn(old, good)
                self.assert_malformed(good.replace(old, new, 1).encode())

    def test_bad_utf8_and_nul(self):
        for bad in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82",
                    b"\x00", b"\\u0000", b"\\ud800", b"\n", b"\x1f"):
            with self.subTest(bad=bad):
                self.assert_malformed(json.dumps(self.ballot()).encode().replace(
                    b'"a"', b'"a' + bad + b'"'))

    def test_depth(self):
        for depth in (17, 1000, 5000):
            self.assert_malformed(b"[" * depth + b"]" * depth)
            self.assert_malformed(b'{"answers":' * (depth // 2) + b"1" + b"}" * (depth // 2))

    def test_ten_megabytes(self):
        body = json.dumps(self.ballot()).encode() + b" " * 10_000_000
        try:
            self.assert_refused(self.post(body), 413, "too-large")
        except veche.Down:
            pass  # the answer came before the body was sent, and the connection was closed

    def test_just_too_large(self):
        good = json.dumps(self.ballot()).encode()
        self.assert_refused(self.post(good + b" " * (64 * 1024 + 1 - len(good))), 413, "too-large")

    def test_compressed_ballots(self):
        bomb = gzip.compress(bytes(64 * 1024 * 1024))
        for body in (bomb, gzip.compress(json.dumps(self.ballot()).encode())):
            answer = self.post(body, {"Content-Encoding": "gzip"})
            self.assertIn(answer.status, (400, 413, 415), answer)

    def test_memory_stays_flat(self):
        def round_of_hostility():
            for body in (b"[" * 60_000, b'{"answers":[' + b'{"question":"q1"},' * 3000,
                         json.dumps(self.ballot(q1=[f"o{i}" for i in range(5000)])).encode()):
                for _ in range(100):
                    self.assertGreaterEqual(self.post(body).status, 400)
        round_of_hostility()
        before = self.server.resident_kib()
        round_of_hostility()
        self.assert_memory_flat(before, 8 * 1024)


class HostileTransport(HostileCase):
    def raw(self, *parts, within=8.0):
        """The answers to raw bytes, until the server closes or is silent."""
        answers = []
        with self.server.connect(timeout=within) as connection:
            try:
                for part in parts:
                    connection.send(part)
                while True:
                    answers.append(connection.read_answer("POST"))
            except veche.Down:
                return answers

    def assert_refused_raw(self, statuses, *parts):
        answers = self.raw(*parts, within=4.0)
        self.assertGreaterEqual(len(answers), 1)
        for answer in answers:
            self.assertIn(answer.status, statuses, answer)

    def test_two_lengths(self):
        body = json.dumps(self.ballot()).encode()
        for lines in ((f"Content-Length: {len(body)}", f"Content-Length: {len(body)}"),
                      (f"Content-Length: {len(body)}", "Content-Length: 5"),
                      (f"Content-Length: {len(body)}, {len(body)}",),
                      (f"Content-Length: {len(body)}", "Transfer-Encoding: chunked"),
                      ("Content-Length: -1",), ("Content-Length: +5",), ("Content-Length: 0x10",),
                      ("Content-Length: 99999999999999999999",), ("Content-Length: ",)):
            with self.subTest(lines=lines):
                self.assert_refused_raw((400, 413), self.head(*lines) + body)

    def test_false_chunks(self):
        body = json.dumps(self.ballot()).encode()
        head = self.head("Transfer-Encoding: chunked")
        size = f"{len(body):x}".encode()
        for sent in (b"zz\r\n" + body + b"\r\n0\r\n\r\n", b"-5\r\n" + body,
                     size + b"\r\n" + body + b"x\r\n0\r\n\r\n",
                     b"ffffffffffffffffff\r\n" + body, b"5\r\n" + body + b"\r\n0\r\n\r\n"):
            with self.subTest(sent=sent[:30]):
                self.assert_refused_raw((400, 413), head + sent)

    def test_a_chunk_that_never_comes_is_never_counted(self):
        body = json.dumps(self.ballot()).encode()
        for size in (b"7fffffffffffffff", b"%x" % (len(body) + 1)):
            self.assertEqual(self.raw(self.head("Transfer-Encoding: chunked") + size + b"\r\n"
                                      + body, within=0.5), [])

    def test_true_chunks_are_read_to_their_end(self):
        body = json.dumps(self.ballot(q1=("nobody",))).encode()
        sent = b"".join(b"1\r\n" + body[i:i + 1] + b"\r\n" for i in range(len(body)))
        answer, = self.raw(self.head("Transfer-Encoding: chunked", "Connection: close") + sent
                           + b"0\r\n\r\n")
        self.assert_refused(answer, 422, "invalid-answer")

    def test_smuggling_framings(self):
        for lines in (("Transfer-Encoding: chunked, gzip",), ("Transfer-Encoding: gzip",),
                      ("Transfer-Encoding : chunked",), ("Transfer-Encoding: xchunked",),
                      ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
                      ("Bad Name: x",), ("NoColon",), ("X: a\x00b",)):
            with self.subTest(lines=lines):
                self.assert_refused_raw((400, 501), self.head(*lines) + b"0\r\n\r\n")

    def test_a_folded_header_belongs_to_the_one_before(self):
        self.assert_refused_raw((400, 415), self.head(" Folded: header") + b"0\r\n\r\n")

    def test_header_floods(self):
        for flood in ("X: " + "y" * 9000, "\r\n".join(f"X-{i}: y" for i in range(2000)),
                      "Authorization: Bearer " + "A" * 100_000):
            self.assert_refused_raw((400, 431), self.head(flood, "Content-Length: 0"))

    def test_a_slow_header_is_cut_off(self):
        self.assert_cut_off(b"POST /v1/ballots HTTP/1.1\r\nX-Slow: and", 10)

    def test_a_slow_body_is_cut_off(self):
        self.assert_cut_off(self.head("Content-Length: 4000") + b'{"answers"', 30)

    def assert_cut_off(self, beginning, deadline_seconds):
        """A byte now and then does not hold the connection open."""
        with self.server.connect(timeout=0.5) as connection:
            connection.send(beginning)
            begin = time.monotonic()
            while time.monotonic() < begin + deadline_seconds + 6:
                try:
                    connection.send(b" ")
                    answer = connection.read_answer()
                    self.assertEqual(answer.status, 408)
                    break
                except veche.Down as down:
                    if "timed out" not in str(down):
                        break
            took = time.monotonic() - begin
        self.assertGreater(took, deadline_seconds - 1)
        self.assertLess(took, deadline_seconds + 5)

    def test_clients_that_vanish_in_their_bodies(self):
        body = json.dumps(self.ballot()).encode()
        request = self.head(f"Content-Length: {len(body)}") + body
        for cut in range(0, len(request), 7):
            connection = self.server.connect()
            connection.send(request[:cut])
            connection.close()

    def test_clients_that_vanish_before_their_answers(self):
        """They may be counted; so other voters vanish here, whose ballots are looked at later."""
        poll = self.server.open_poll(veche.poll(self.poll + "-2"))["id"]
        subs = [sub_of("vanished", i) for i in range(200)]
        for sub in subs:
            token = self.server.issuer.vote(poll, sub, "75701310")
            connection = self.server.connect()
            connection.send(veche.encode_request("POST", f"/v1/polls/{poll}/ballots",
                                                 veche.answers("a"), token=token))
            reset_on_close = struct.pack("ii", 1, 0)
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_on_close)
            connection.close()
        for sub in subs:
            self.assertIn(self.server.vote(poll, sub, "a").status, (200, 201))
        self.assert_counts(poll, {"a": 200})

    def test_pipelining_64_deep(self):
        poll = self.server.open_poll(veche.poll(self.poll + "-2"))["id"]
        requests = []
        for i in range(64):
            token = self.server.issuer.vote(poll, sub_of("piped", i), "75701310")
            requests.append(veche.encode_request("POST", f"/v1/polls/{poll}/ballots",
                                                 veche.answers("abcz"[i % 4]), token=token))
        with self.server.connect() as connection:
            connection.send(b"".join(requests))
            statuses = [connection.read_answer().status for _ in range(64)]
            connection.send(b"".join(requests * 8))
            again = [connection.read_answer().status for _ in range(64 * 8)]
        self.assertEqual(statuses, [201, 201, 201, 422] * 16)
        self.assertEqual(again, [200, 200, 200, 422] * 16 * 8)
        self.assert_counts(poll, {"a": 16, "b": 16, "c": 16})

    def test_expect_continue(self):
        body = json.dumps(self.ballot(q1=("nobody",))).encode()
        with self.server.connect() as connection:
            connection.send(self.head(f"Content-Length: {len(body)}", "Expect: 100-continue"))
            status, _ = connection.read_head()
            self.assertEqual(status, 100)
            connection.send(body)
            self.assert_refused(connection.read_answer(), 422, "invalid-answer")
            connection.send(self.head("Content-Length: 99999999", "Expect: 100-continue"))
            self.assertEqual(connection.read_answer().status, 413)
        self.assert_refused_raw((417,), self.head("Content-Length: 5", "Expect: a-miracle"))

    def test_clients_that_do_not_read_their_answers(self):
        """Half a thousand requests for results and never a look at the answers."""
        request = veche.encode_request("GET", f"/v1/polls/{self.poll}/results?by=territory")
        before = self.server.resident_kib()
        connections = [self.server.connect(timeout=2) for _ in range(20)]
        for connection in connections:
            try:
                connection.send(request * 2000)
            except veche.Down:
                pass
        self.assertEqual(self.server.get("/livez").status, 200)
        self.assert_memory_flat(before, MEMORY_GROWTH_KIB)
        for connection in connections:
            connection.close()

    def test_garbage(self):
        tls_hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300)
        rest = b" HTTP/1.1\r\nHost: x\r\n\r\n"
        for garbage in (tls_hello, bytes(100), b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                        b"\r\n\r\n\r\nPRI * HTTP/2.0\r\n", b"GET /%zz" + rest, b"GET /%00" + rest,
                        b"GET " + b"/a" * 8000 + rest):
            for answer in self.raw(garbage, within=1.0):
                self.assertGreaterEqual(answer.status, 400, garbage[:20])

    def test_a_crowd_of_idle_and_half_open_connections(self):
        idle = [self.server.connect() for _ in range(500)]
        for connection in idle[::2]:
            connection.send(self.head("Content-Length: 100")[:50])
        self.assertEqual(self.server.get("/livez").status, 200)
        for connection in idle:
            connection.close()


class HostileBatches(veche.ServerCase):
    def test_bombs_and_floods_leave_memory_flat(self):
        poll = self.open()
        bomb = gzip.compress(bytes(512 * 1024 * 1024), 9)
        body = b"x" * 100
        good = [self.server.line(poll, sub_of("good"), "a")]

        def attack():
            for encoding, packed in (("gzip", bomb), ("gzip", bomb[:-9]), ("zstd", bomb),
                                     ("gzip", gzip.compress(bomb))):
                token = self.server.issuer.batch(body, 1)
                answer = self.server.post_batch([], headers={"Content-Encoding": encoding},
                                                token=token, body=packed)
                self.assertIn(answer.status, (400, 401, 413), answer)
        self.assertEqual(self.server.post_batch(good).status, 200)
        attack()
        before = self.server.resident_kib()
        for _ in range(5):
            attack()
        threads = [threading.Thread(target=attack) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assert_memory_flat(before, MEMORY_GROWTH_KIB)
        self.assert_counts(poll, {"a": 1})

    def test_a_batch_for_a_poll_that_is_not_open_lets_others_in_between(self):
        """Each line is judged twice, its token too: before the barrier and behind it."""
        poll = self.server.create_poll(veche.poll("later")).json()["id"]
        body = b"".join(
            json.dumps({"token": self.server.issuer.vote(poll, sub_of("later", i), "75701310"),
                        **veche.answers("a")}).encode() + b"\n" for i in range(LINES))
        for _ in range(5):  # the machine may hold one of them up, but not all
            longest, took = self.wait_beside_batch(body)
            if longest < took / 4:
                return
        self.fail(f"others waited {longest} s of {took} s")

    def wait_beside_batch(self, body):
        """How long somebody else waited while the batch was read, and how long that took."""
        token = self.server.issuer.batch(body, LINES)
        told = []

        def send():
            begin = time.monotonic()
            answer = self.server.post_batch([], token=token, body=body)
            told.append((answer, time.monotonic() - begin))
        batch = threading.Thread(target=send)
        longest = 0
        # One on each HTTP thread.
        probes = [self.server.connect() for _ in range(os.cpu_count())]
        batch.start()
        while batch.is_alive():
            for probe in probes:
                begin = time.monotonic()
                self.assertEqual(probe.request("GET", "/livez").status, 200)
                longest = max(longest, time.monotonic() - begin)
        for probe in probes:
            probe.close()
        answer, took = told[0]
        self.assertEqual(answer.json()["rejected"], LINES, answer)
        return longest, took

    @veche.needs_embedded_log
    def test_refused_ballots_write_nothing(self):
        later = self.server.create_poll(veche.poll("refused")).json()["id"]
        tokens = [self.server.issuer.vote(poll, sub_of(poll), "75701310")
                  for poll in (later, "no-such-poll")]
        before = self.server.metrics()["veche_log_records"]
        with self.server.connect() as connection:
            for _ in range(500):
                for poll, token in zip((later, "no-such-poll"), tokens, strict=True):
                    answer = connection.request("POST", f"/v1/polls/{poll}/ballots",
                                                veche.answers("a"), token=token)
                    self.assertIn(answer.code, ("poll-not-open", "unknown-poll"), answer)
        written = self.server.metrics()["veche_log_records"] - before
        self.assertLess(written, 50, "of a thousand refusals: a proof of each tail once a minute")

    def test_a_gateway_that_vanishes_leaves_whole_ballots_only(self):
        poll = self.open()
        lines = [self.server.line(poll, sub_of("vanish", i), "a") for i in range(2000)]
        body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        request = veche.encode_request("POST", "/v1/ballots", body,
                                       {"Content-Type": "application/x-ndjson"},
                                       self.server.issuer.batch(body, len(lines)))
        with self.server.connect() as connection:
            connection.send(request[:-1])  # never whole: never counted
        with self.server.connect() as connection:
            connection.send(request)
        answer = self.server.post_batch(lines)
        summary = answer.json()
        self.assertEqual(summary["accepted"] + summary["recorded"], 2000, summary)
        self.assert_counts(poll, {"a": 2000})


STORM_PLACES = int(os.environ.get("VECHE_STORM_PLACES", "3000"))
STORM_OPTIONS = int(os.environ.get("VECHE_STORM_OPTIONS", "12"))
# Two such documents are more than a thread may owe: then a ballot is answered without results.
FILLS_A_THREAD = STORM_PLACES * STORM_OPTIONS > 100_000
STORM_SECONDS = 3.0


class Storms(veche.ServerCase):
    """A poll of many places, whose documents cost more than a ballot: who asks for many of them makes
    nobody's ballot wait."""

    territories = "\n".join(
        ["oktmo8,name,kind,level,parent_oktmo8", "75000000,Область,region,0,"] +
        [f"{10000000 + i},Муниципальное образование номер {i},m,1,75000000"
         for i in range(1, STORM_PLACES)]) + "\n"

    def setUp(self):
        super().setUp()
        options = [f"option-{i:02}" for i in range(STORM_OPTIONS)]
        self.large = self.open(veche.question(options), targets=["75000000"])
        self.poll_id += "-small"
        self.small = self.open(targets=["75000000"])

    def vote(self, poll, name, choice, query=""):
        token = self.server.issuer.vote(poll, sub_of(poll, name), "10000001")
        begin = time.monotonic()
        answer = self.server.request("POST", f"/v1/polls/{poll}/ballots" + query,
                                     veche.answers(choice), None, token)
        self.assert_outcome(answer, 201)
        return time.monotonic() - begin, answer

    def storm(self, requests, statuses, clients=4):
        """Threads that ask all of it again and again, 16 at a time, and read what comes. A path is
        to be got."""
        requests = [veche.encode_request("GET", request) if isinstance(request, str) else request
                    for request in requests]
        over = time.monotonic() + STORM_SECONDS

        def ask(mine):
            while time.monotonic() < over:
                with contextlib.suppress(veche.Down), self.server.connect() as connection:
                    connection.send(b"".join(mine[:16]))
                    for _ in mine[:16]:
                        statuses.add(connection.read_answer().status)
                random.shuffle(mine)

        threads = [threading.Thread(target=ask, args=(requests[i::clients],)) for i in range(clients)]
        for thread in threads:
            thread.start()
            self.addCleanup(thread.join)  # also of a test that has failed: the next begins in peace
        return threads

    def assert_ballots_pass(self, requests, status=200):
        statuses = set()
        threads = self.storm(requests, statuses)
        latencies, i = [], 0
        while any(thread.is_alive() for thread in threads):
            latencies.append(self.vote(self.small, f"v{i}", "a")[0])
            i += 1
        for thread in threads:
            thread.join()
        self.assertLessEqual(statuses, {status, 503})
        self.assertIn(status, statuses)
        latencies.sort()
        told = f"{len(latencies)} ballots, median {latencies[len(latencies) // 2]:.3f} s, " \
               f"worst {latencies[-1]:.3f} s"
        if os.environ.get("VECHE_STORM_PLACES"):
            print(told)
        if not veche.SANITIZED:
            # Seconds where views are not shared, whatever else the machine does.
            self.assertLess(latencies[len(latencies) // 2], 0.3, told)
            self.assertLess(latencies[-1], 3, told)

    def test_views_that_differ_in_nothing(self):
        self.vote(self.large, "first", "option-00")
        self.assert_ballots_pass(
            [f"/v1/polls/{self.large}/results?by=territory&step={hours}{unit}&lang={lang}{excel}"
             for hours in range(1, 13) for unit in "hd" for lang in ("ru", "en")
             for excel in ("", "&excel=1")])

    def test_views_that_differ(self):
        self.vote(self.large, "first", "option-00")
        places = [f"&parent={10000000 + i}" for i in range(1, 40)] + ["", "&level=1", "&level=0"]
        self.assert_ballots_pass(
            [f"/v1/polls/{self.large}/results{form}?by=territory{place}"
             for form in (".json", ".csv") for place in places] +
            [f"/v1/polls/{self.large}/results.csv?by=territory&excel=1&lang=en",
             f"/v1/polls/{self.large}/turnout?step=3h", "/v1/territories", "/v1/polls?limit=500"] +
            [f"/polls/{self.large}?q={i}" for i in range(40)] + [f"/?q={i}" for i in range(40)])

    def test_trees_that_are_sent(self):
        """Large ones, each with a doubt: nothing is written."""
        rows = [f"{10000000 + i},{'Муниципальное образование ' * 2}{i},m,1,75000000"
                for i in range(1, 50_000)]
        rows[40_000] = "1,Code without its zeros,m,1,75000000"
        tree = "\n".join([*self.territories.splitlines()[:2], *rows]).encode()
        put = veche.encode_request("PUT", "/v1/territories", tree, {"Content-Type": "text/csv"},
                                   self.server.staff("operator"))
        self.assert_ballots_pass([put] * 4, 422)

    def test_results_with_a_ballot_come_beside_a_storm(self):
        statuses = set()
        threads = self.storm([f"/v1/polls/{self.large}/results.csv?by=territory&level={i % 2}"
                              f"&lang=en&excel=1&n={i}" for i in range(64)], statuses)
        for i in range(1, 6):
            took, answer = self.vote(self.large, f"v{i}", "option-00", "?results=1")
            shown = answer.json()["results"]
            if shown is None and FILLS_A_THREAD:
                self.assertLess(took, 1)
            else:
                self.assertGreaterEqual(shown["ballots"], i)
        for thread in threads:
            thread.join()

        def is_shown_again():
            _, answer = self.vote(self.large, f"late-{next(numbers)}", "option-00", "?results=1")
            return answer.json()["results"]

        numbers = itertools.count()
        veche.eventually(is_shown_again)

    def test_parameters_of_other_forms_change_no_byte(self):
        self.vote(self.large, "first", "option-00")

        def body(path):
            answer = self.server.get(f"/v1/polls/{self.large}/{path}")
            self.assertEqual(answer.status, 200, answer)
            return re.sub(rb"20\d\d-\d\d-\d\dT[0-9:.]+Z", b"", answer.body)

        for plain, other in (("results?by=territory", "&step=3h&lang=en&excel=1&unknown=7"),
                             ("results.csv?by=territory", "&step=2d&lang=en"),
                             ("turnout?step=2h", "&by=territory&level=1&lang=en&excel=1")):
            self.assertEqual(body(plain), body(plain + other))
        for bad in ("results?step=0h", "results?lang=de", "results.csv?step=25h",
                    "turnout?by=town"):
            self.assert_refused(self.server.get(f"/v1/polls/{self.large}/{bad}"), 400,
                                "bad-parameter")

    def test_a_list_of_large_polls_comes_in_pages(self):
        title = "т" * 500
        ids = []
        for i in range(5):
            questions = [{**veche.question([f"{n}" for n in range(40)], name=f"q{q}"),
                          "title": title} for q in range(6)]
            for each in questions:
                for option in each["options"]:
                    option["title"] = title
            ids.append(f"zz-{self.poll_id}-{i}")
            answer = self.server.create_poll(veche.poll(ids[-1], *questions,
                                                        targets=["75000000"]))
            self.assertIn(answer.status, (200, 201), answer)
        pages, cursor = [], "zz"
        while cursor is not None:
            answer = self.server.get(f"/v1/polls?limit=500&cursor={cursor}")
            self.assertEqual(answer.status, 200, answer)
            self.assertLess(len(answer.body), 1.1 * 2**20)
            pages.append([poll["id"] for poll in answer.json()["polls"]])
            cursor = answer.json()["next_cursor"]
        self.assertGreater(len(pages), 1)
        self.assertTrue(all(pages), pages)
        self.assertEqual(sum(pages, []), ids)


if __name__ == "__main__":
    unittest.main()
