"""The HTTP interface, row by row, over a real socket."""

import csv
import gzip
import io
import json
import subprocess
import time
import unittest
import zlib

import veche
from minting import sub_of

UNKNOWN_RECEIPT = "00000-00000-00000-00000-000000"


def zstd_frame(data):
    """A Zstandard frame of stored blocks (RFC 8878), so that no library is needed."""
    frame = bytes.fromhex("28b52ffd") + b"\xa0" + len(data).to_bytes(4, "little")
    pieces = [data[i:i + 65536] for i in range(0, len(data), 65536)] or [b""]
    for i, piece in enumerate(pieces):
        header = len(piece) << 3 | (i == len(pieces) - 1)
        frame += header.to_bytes(3, "little") + piece
    return frame


def zstd_bomb(size):
    """One frame, with a window of 1 MiB, whose blocks each repeat a byte 128 KiB times."""
    frame = bytes.fromhex("28b52ffd") + b"\x00\x50"
    blocks = size // 131072
    for i in range(blocks):
        frame += (131072 << 3 | 1 << 1 | (i == blocks - 1)).to_bytes(3, "little") + b"x"
    return frame


class Ballots(veche.ServerCase):
    """The table of answers to one ballot."""

    def test_a_first_ballot_is_accepted(self):
        poll = self.open()
        answer = self.server.vote(poll, sub_of("anna"), "a")
        self.assert_outcome(answer, 201)
        self.assertEqual(answer.json()["poll"], poll)
        self.assertEqual(answer.headers["content-type"].split(";")[0], "application/json")
        self.assert_counts(poll, {"a": 1})

    def test_the_same_ballot_again_is_recorded_with_the_same_receipt(self):
        poll = self.open(veche.question("abc", "approval", 1, 3))
        receipt = self.assert_outcome(self.server.vote(poll, sub_of("anna"), ["a", "b"]), 201)
        for order in (["a", "b"], ["b", "a"]):
            again = self.server.vote(poll, sub_of("anna"), order)
            self.assertEqual(self.assert_outcome(again, 200), receipt)
        self.assert_counts_of_ballots(poll, 1, {"a": 1, "b": 1})

    def assert_counts_of_ballots(self, poll, ballots, votes):
        results = self.server.settled_results(poll, ballots)
        self.assertEqual(results["ballots"], ballots)
        self.assertEqual({k: v for k, v in veche.votes_of(results).items() if v}, votes)

    def test_another_ballot_of_the_voter_is_refused(self):
        poll = self.open()
        self.server.vote(poll, sub_of("anna"), "a")
        self.assert_refused(self.server.vote(poll, sub_of("anna"), "b"), 409, "already-voted")
        self.assert_outcome(self.server.vote(poll, sub_of("anna"), "a"), 200)
        self.assert_counts(poll, {"a": 1})

    def test_an_unknown_poll(self):
        self.assert_refused(self.server.vote("nowhere", sub_of("anna"), "a"), 404, "unknown-poll")

    def test_a_poll_that_is_not_open_yet(self):
        self.server.create_poll(veche.poll(self.poll_id))
        answer = self.server.vote(self.poll_id, sub_of("anna"), "a")
        self.assert_refused(answer, 409, "poll-not-open")
        self.server.change_poll(self.poll_id, "open")
        self.assert_outcome(self.server.vote(self.poll_id, sub_of("anna"), "a"), 201)

    def test_a_cancelled_poll(self):
        poll = self.open()
        self.server.change_poll(poll, "cancel")
        self.assert_refused(self.server.vote(poll, sub_of("anna"), "a"), 409, "poll-cancelled")

    def test_a_poll_cancelled_before_it_opened(self):
        self.server.create_poll(veche.poll(self.poll_id))
        self.assertEqual(self.server.change_poll(self.poll_id, "cancel").status, 200)
        answer = self.server.vote(self.poll_id, sub_of("anna"), "a")
        self.assert_refused(answer, 409, "poll-cancelled")

    def test_after_the_close_retries_are_recorded_and_new_voters_are_late(self):
        poll = self.open()
        receipt = self.assert_outcome(self.server.vote(poll, sub_of("anna"), "a"), 201)
        self.server.change_poll(poll, "close")
        self.assertEqual(self.assert_outcome(self.server.vote(poll, sub_of("anna"), "a"), 200),
                         receipt)
        self.assert_refused(self.server.vote(poll, sub_of("anna"), "b"), 409, "already-voted")
        self.assert_refused(self.server.vote(poll, sub_of("boris"), "a"), 410, "poll-closed")
        self.assert_counts(poll, {"a": 1})

    def test_a_poll_opens_by_itself_and_stops_taking_at_its_time(self):
        definition = veche.poll(self.poll_id, opens_in=1, closes_in=4)
        self.server.create_poll(definition)
        self.wait_for_state("open", 5)
        self.assert_outcome(self.server.vote(self.poll_id, sub_of("anna"), "a"), 201)
        time.sleep(4.2)
        begin = time.monotonic()
        waited = self.server.vote(self.poll_id, sub_of("boris"), "a")
        self.assert_refused(waited, 503, "outcome-unknown")
        self.assertLess(time.monotonic() - begin, 10)
        self.assert_outcome(self.server.vote(self.poll_id, sub_of("anna"), "a"), 200)
        self.wait_for_state("closed", 20)
        answer = self.server.vote(self.poll_id, sub_of("boris"), "a")
        self.assert_refused(answer, 410, "poll-closed")
        # Until every partition has it.
        veche.eventually(lambda: self.server.results(self.poll_id)["final"])
        self.assertEqual(self.server.results(self.poll_id)["ballots"], 1)

    def wait_for_state(self, state, seconds):
        def shown():
            return self.server.get(f"/v1/polls/{self.poll_id}").json()["state"]

        veche.eventually(lambda: shown() == state, seconds, shown)

    def test_a_missing_token(self):
        poll = self.open()
        target = f"/v1/polls/{poll}/ballots"
        self.assert_refused(self.server.request("POST", target, veche.answers("a")), 401,
                            "token-missing")
        for value in ("Basic YTpi", "Bearer", "Bearer "):
            answer = self.server.request("POST", target, veche.answers("a"),
                                         {"Authorization": value})
            self.assertEqual(answer.status, 401)
            self.assertIn(answer.code, ("token-missing", "token-invalid"))

    def test_level_and_place(self):
        poll = self.open(targets=["75701000"], min_level=2)
        sub = sub_of("anna")
        self.assert_refused(self.server.vote(poll, sub, "a", lvl=1), 403, "level-too-low")
        self.assert_refused(self.server.vote(poll, sub, "a", "75603407"), 403, "not-eligible")
        self.assert_refused(self.server.vote(poll, sub, "a", "75000000"), 403, "not-eligible")
        self.assert_outcome(self.server.vote(poll, sub, "a", lvl=2), 201)
        self.assert_counts(poll, {"a": 1})

    def test_level_three_is_asked_for_unless_told_otherwise(self):
        poll = self.open()
        self.assert_refused(self.server.vote(poll, sub_of("x"), "a", lvl=2), 403, "level-too-low")

    def test_an_address_is_a_target(self):
        poll = self.open(targets=[{"addr": "house-7"}, {"territory": "01000000"}])
        vote = self.server.vote
        self.assert_outcome(vote(poll, sub_of(1), "a", addr=["street-1", "house-7"]), 201)
        self.assert_outcome(vote(poll, sub_of(2), "a", "01701000"), 201)
        self.assert_refused(vote(poll, sub_of(3), "a", addr=["house-8"]), 403, "not-eligible")
        self.assert_refused(vote(poll, sub_of(4), "a"), 403, "not-eligible")
        self.assert_counts(poll, {"a": 2})

    def test_a_token_of_another_poll(self):
        poll = self.open()
        other = self.server.issuer.vote("another", sub_of("anna"), "75701310")
        self.assert_refused(self.server.vote(poll, None, "a", token=other), 403, "poll-mismatch")

    def test_a_wrong_media_type(self):
        poll = self.open()
        target, token = f"/v1/polls/{poll}/ballots", self.server.issuer.vote(
            poll, sub_of("anna"), "75701310")
        for given in ("text/plain", "application/x-www-form-urlencoded", "application/jsonp",
                      "application/x-ndjson"):
            answer = self.server.request("POST", target, veche.answers("a"),
                                         {"Content-Type": given}, token)
            self.assertEqual(answer.status, 415, given)
        for given in ("application/json; charset=utf-8", "Application/JSON"):
            answer = self.server.request("POST", target, veche.answers("a"),
                                         {"Content-Type": given}, token)
            self.assertIn(answer.status, (200, 201), given)

    def test_all_four_kinds_of_question_are_counted(self):
        poll = self.open(veche.question("ab", name="s"),
                         veche.question("abc", "approval", 1, 2, name="p"),
                         veche.question("abc", "ranked", 1, 3, points=(5, 3, 1), name="r"),
                         veche.question("abc", "points", 2, 4, name="q"))
        ballots = [("a", ["a", "c"], ["c", "a"], {"a": 1, "b": 3}),
                   ("a", ["b"], ["c"], {"c": 2}),
                   ("b", ["c"], ["b", "c", "a"], {"b": 4})]
        for i, choices in enumerate(ballots):
            body = {"answers": [{"question": name, "choices": choice if name != "s" else [choice]}
                                for name, choice in zip("sprq", choices)]}
            answer = self.server.request("POST", f"/v1/polls/{poll}/ballots", body,
                                         token=self.server.issuer.vote(poll, sub_of(i), "75701310"))
            self.assert_outcome(answer, 201)
        results = self.server.settled_results(poll, 3)
        self.assertEqual(veche.votes_of(results, 0), {"a": 2, "b": 1})
        self.assertEqual(veche.votes_of(results, 1), {"a": 1, "b": 1, "c": 2})
        self.assertEqual(veche.votes_of(results, 2), {"a": 2, "b": 1, "c": 3})
        self.assertEqual(veche.points_of(results, 2), {"a": 3 + 1, "b": 5, "c": 5 + 5 + 3})
        self.assertEqual(veche.votes_of(results, 3), {"a": 1, "b": 2, "c": 1})
        self.assertEqual(veche.points_of(results, 3), {"a": 1, "b": 7, "c": 2})
        for place in (0, 1):
            self.assertNotIn("points", results["questions"][place]["options"][0])


class Refusals(veche.ServerCase):
    def test_unknown_paths(self):
        for path in ("/v1", "/v1/", "/v2/polls", "/v1/polls/", "/v1/polls/p/ballots/x", "/admin",
                     "/v1/polls/UPPER/results", "/v1/polls//results", "/v1/../etc/passwd",
                     "/v1/polls/..%2f..%2fetc/results"):
            answer = self.server.get(path)
            self.assertIn(answer.status, (400, 404), path)
            self.assertEqual(answer.headers["content-type"].split(";")[0],
                             "application/problem+json")

    def test_wrong_methods_say_which_are_right(self):
        self.open()
        for method, path, right in (("GET", f"/v1/polls/{self.poll_id}/ballots", {"POST"}),
                                    ("PUT", f"/v1/polls/{self.poll_id}/ballots", {"POST"}),
                                    ("GET", "/v1/ballots", {"POST"}),
                                    ("DELETE", f"/v1/polls/{self.poll_id}", {"GET"}),
                                    ("POST", f"/v1/polls/{self.poll_id}/results", {"GET"}),
                                    ("POST", "/v1/territories", {"GET", "PUT"}),
                                    ("DELETE", "/v1/polls", {"GET", "POST"}),
                                    ("POST", "/livez", {"GET"})):
            answer = self.server.request(method, path)
            self.assertEqual(answer.status, 405, (method, path))
            allowed = {name.strip() for name in answer.headers["allow"].split(",")}
            self.assertLessEqual(right, allowed, path)
            self.assertNotIn(method, allowed)
            self.assertEqual(answer.headers["content-type"].split(";")[0],
                             "application/problem+json")

    def test_browsers_are_refused_in_html_and_programs_are_not(self):
        self.open()
        page = f"/polls/{self.poll_id}"
        for method, path, status in (("POST", "/", 405), ("POST", page, 405),
                                     ("GET", f"{page}?level=9", 400)):
            answer = self.server.request(method, path, headers={"Accept": "text/html"})
            self.assertEqual((answer.status, answer.headers["content-type"].split(";")[0]),
                             (status, "text/html"), path)
            if status == 405:
                self.assertEqual(answer.headers["allow"], "GET, HEAD")
        for path in ("/", f"/v1/polls/{self.poll_id}/results"):
            self.assert_refused(self.server.request("POST", path), 405, "method-not-allowed")
        self.assertEqual(self.server.get(f"{page}?level=2", Accept="text/html").status, 200)

    def test_a_refusal_that_may_be_a_page_varies_by_what_is_asked_for(self):
        for path in ("/nowhere", "/nowhere?a=b"):
            for accept in ("text/html", "application/json"):
                vary = self.server.get(path, Accept=accept).headers["vary"]
                self.assertIn("Accept", vary.split(", "), (path, accept))
        self.assertNotIn("Accept,", self.server.get("/v1/nowhere").headers["vary"])

    def test_details_follow_the_reader_and_codes_do_not(self):
        seen = {}
        for language in (None, "en", "ru", "ru-RU,ru;q=0.9,en;q=0.5", "de, ru;q=0.5", "de",
                         "ru;q=0, en"):
            answer = self.server.request(
                "POST", "/v1/polls/nowhere/ballots", veche.answers("a"),
                {"Accept-Language": language},
                self.server.issuer.vote("nowhere", sub_of("anna"), "75701310"))
            seen[language] = self.assert_refused(answer, 404, "unknown-poll")["detail"]
        self.assertNotEqual(seen["en"], seen["ru"])
        self.assertRegex(seen["ru"], "[а-я]")
        self.assertEqual({seen[None], seen["de"], seen["ru;q=0, en"]}, {seen["en"]})
        self.assertEqual(seen["ru-RU,ru;q=0.9,en;q=0.5"], seen["ru"])
        self.assertEqual(seen["de, ru;q=0.5"], seen["ru"])

    def test_head_answers_as_get_without_a_body(self):
        answer = self.server.request("HEAD", "/v1/polls")
        self.assertIn(answer.status, (200, 405))
        self.assertEqual(answer.body, b"")


class Batches(veche.ServerCase):
    def voters(self, count):
        return [sub_of(self.poll_id, i) for i in range(count)]

    def lines(self, count, choices="a"):
        return [self.server.line(self.poll_id, sub, choices) for sub in self.voters(count)]

    def test_a_batch_is_counted_and_summed_up(self):
        self.open()
        answer = self.server.post_batch(self.lines(1000))
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json(), {"lines": 1000, "accepted": 1000, "recorded": 0,
                                         "rejected": 0, "unknown": 0, "items": []})
        again = self.server.post_batch(self.lines(1000)).json()
        self.assertEqual((again["accepted"], again["recorded"]), (0, 1000))
        self.assert_counts(self.poll_id, {"a": 1000})

    def test_one_bad_line_never_hurts_the_others(self):
        poll = self.open(targets=["75701000"], min_level=2)
        line, subs = self.server.line, self.voters(30)
        bad = [(b"{", 400, "malformed"), (b"", 400, "malformed"), (b"null", 400, "malformed"),
               (b"\xff\xfe", 400, "malformed"), (b'{"poll":"a"}', 400, "malformed"),
               (line("nowhere", subs[1], "a"), 404, "unknown-poll"),
               (line(poll, subs[2], "z"), 422, "invalid-answer"),
               (line(poll, subs[3], "a", "75603407"), 403, "not-eligible"),
               (line(poll, subs[4], "a", level=1), 403, "level-too-low"),
               ({**line(poll, subs[5], "a"), "extra": 1}, 400, "malformed"),
               (line(poll, "short", "a"), 400, "malformed"),
               (line(poll, subs[0], "b"), 409, "already-voted"),
               (json.dumps(line(poll, subs[6], "a")).encode() + b" " * 65536, None, None),
               ({**line(poll, subs[7], "a"), "level": 99}, None, None),
               ({**line(poll, subs[7], "a"), "level": "3"}, 400, "malformed"),
               (b'{"token":"a.b.c","answers":[]}', 401, "token-invalid")]
        lines = [line(poll, subs[0], "a")]
        for i, (content, _, _) in enumerate(bad):
            lines += [content, line(poll, subs[10 + i], "c")]
        answer = self.server.post_batch(lines)
        self.assertEqual(answer.status, 200, answer)
        summary = answer.json()
        self.assertEqual((summary["lines"], summary["accepted"], summary["rejected"]),
                         (len(lines), 1 + len(bad), len(bad)))
        items = {item["line"]: item for item in summary["items"]}
        self.assertEqual(len(items), len(bad))
        for i, (_, status, code) in enumerate(bad):
            item = items[2 * i + 2]  # lines are numbered from 1
            if status:
                self.assertEqual((item["status"], item["code"]), (status, code), bad[i])
            else:
                self.assertIn(item["status"], (400, 403, 413), item)
        self.assert_counts(poll, {"a": 1, "c": len(bad)})

    def test_every_line_with_its_receipt(self):
        poll = self.open()
        single = self.assert_outcome(self.server.vote(poll, self.voters(1)[0], "a"), 201)
        answer = self.server.post_batch(self.lines(3) + [b"{"] + self.lines(2, "b")[:1],
                                        "?detail=all")
        self.assertEqual(answer.headers["content-type"].split(";")[0], "application/x-ndjson")
        items = [json.loads(line) for line in answer.body.splitlines()]
        self.assertEqual([item["line"] for item in items], [1, 2, 3, 4, 5])
        self.assertEqual([item["status"] for item in items], [200, 201, 201, 400, 409])
        self.assertEqual(items[0]["receipt"], single)
        self.assertEqual(items[0]["outcome"], "recorded")
        self.assertEqual(items[1]["outcome"], "accepted")
        self.assertEqual(len({item["receipt"] for item in items[:3]}), 3)
        self.assertEqual(items[4]["code"], "already-voted")
        self.assertNotIn("receipt", items[4])

    def test_a_voter_twice_in_one_batch_counts_once(self):
        self.open()
        lines = self.lines(1) * 3 + self.lines(1, "b")
        summary = self.server.post_batch(lines).json()
        self.assertEqual((summary["accepted"], summary["recorded"], summary["rejected"]), (1, 2, 1))
        self.assert_counts(self.poll_id, {"a": 1})

    def test_lines_of_several_polls_and_with_tokens_of_their_own(self):
        poll = self.open()
        other = self.server.open_poll(veche.poll(poll + "-2"))["id"]
        vote = self.server.issuer.vote
        lines = [self.server.line(poll, sub_of(1), "a"), self.server.line(other, sub_of(1), "b"),
                 {"token": vote(poll, sub_of(2), "75701310"), **veche.answers("c")},
                 {"token": vote(other, sub_of(2), "75701310"), **veche.answers("c")},
                 {"token": vote(poll, sub_of(3), "75701310", lvl=1), **veche.answers("c")},
                 {"token": vote(poll, sub_of(4), "75701310"), "poll": poll, **veche.answers("c")}]
        items = [json.loads(line) for line in
                 self.server.post_batch(lines, "?detail=all").body.splitlines()]
        self.assertEqual([item["status"] for item in items], [201, 201, 201, 201, 403, 400])
        self.assert_counts(poll, {"a": 1, "c": 1})
        self.assert_counts(other, {"b": 1, "c": 1})

    def test_addresses_on_a_line(self):
        poll = self.open(targets=[{"addr": "house-7"}])
        lines = [self.server.line(poll, sub_of(1), "a", addr=["house-7"]),
                 self.server.line(poll, sub_of(2), "a", addr=["house-8"]),
                 self.server.line(poll, sub_of(3), "a")]
        items = [json.loads(line) for line in
                 self.server.post_batch(lines, "?detail=all").body.splitlines()]
        self.assertEqual([item["status"] for item in items], [201, 403, 403])

    def test_compressed_batches(self):
        self.open()
        for i, (encoding, pack) in enumerate((("gzip", gzip.compress), ("zstd", zstd_frame))):
            lines = [self.server.line(self.poll_id, sub_of(encoding, j), "a") for j in range(2000)]
            answer = self.server.post_batch(lines, headers={"Content-Encoding": encoding},
                                            encode=pack)
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(answer.json()["accepted"], 2000)
        self.assert_counts(self.poll_id, {"a": 4000})

    def test_batches_in_parts_and_by_other_names(self):
        """As pigz, bgzip, pzstd and log shippers pack them."""
        self.open()
        skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"

        def in_parts(pack):
            return lambda data: pack(data[:100]) + pack(data[100:]) + pack(b"")

        ways = (("gzip", in_parts(gzip.compress)), ("x-gzip", gzip.compress),
                ("GZip", gzip.compress), ("zstd", in_parts(zstd_frame)), ("ZSTD", zstd_frame),
                ("zstd", lambda data: skippable + zstd_frame(data)), ("Identity", None))
        for i, (encoding, pack) in enumerate(ways):
            lines = [self.server.line(self.poll_id, sub_of("parts", i, j), "a") for j in range(20)]
            answer = self.server.post_batch(lines, headers={"Content-Encoding": encoding},
                                            encode=pack)
            self.assertEqual((answer.status, answer.json()["accepted"]), (200, 20), encoding)
        large = [b" " * 60_000 + b"{}"] * 300  # 18 MB together
        answer = self.server.post_batch(large, headers={"Content-Encoding": "gzip"},
                                        encode=in_parts(gzip.compress))
        self.assertEqual(answer.status, 413)

    def test_a_batch_by_the_real_zstd(self):
        self.open()
        try:
            pack = lambda data: subprocess.run(["zstd", "-c"], input=data, capture_output=True,
                                               check=True).stdout
            answer = self.server.post_batch(self.lines(500), headers={"Content-Encoding": "zstd"},
                                            encode=pack)
        except FileNotFoundError:
            self.skipTest("no zstd program")
        self.assertEqual(answer.json()["accepted"], 500)

    def test_damaged_compression(self):
        self.open()
        for encoding, pack in (("gzip", gzip.compress), ("zstd", zstd_frame)):
            for damage in (lambda data: data[:-9], lambda data: data[:10], lambda data: b"x" + data,
                           lambda data: data + b"trailing", lambda data: b""):
                answer = self.server.post_batch(self.lines(50),
                                                headers={"Content-Encoding": encoding},
                                                encode=lambda data: damage(pack(data)))
                self.assertEqual(answer.status, 400, (encoding, answer))
                self.assertEqual(answer.code, "malformed")
        for encoding in ("br", "deflate", "gzip, gzip", "identity, gzip"):
            answer = self.server.post_batch(self.lines(5), headers={"Content-Encoding": encoding},
                                            encode=zlib.compress)
            self.assertEqual(answer.status, 415, encoding)
        self.server.post_batch(self.lines(1))
        self.assert_counts(self.poll_id, {"a": 1})

    def test_a_body_that_is_not_the_signed_one(self):
        self.open()
        lines = self.lines(10)
        body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        mint = self.server.issuer.batch
        for sent, token in ((body.replace(b'"a"', b'"b"', 1), mint(body, 10)),
                            (body, mint(body, 9)), (body, mint(body, 11)),
                            (body[:-1], mint(body, 10)), (body + b"\n", mint(body, 10)),
                            (body, mint(b"", 10))):
            answer = self.server.post_batch(lines, token=token, body=sent)
            self.assert_refused(answer, 401, "token-invalid")
        self.assert_refused(self.server.request("POST", "/v1/ballots", body,
                                                {"Content-Type": "application/x-ndjson"}),
                            401, "token-missing")
        self.server.post_batch(self.lines(1))
        self.assert_counts(self.poll_id, {"a": 1})

    def test_a_body_without_a_final_newline(self):
        self.open()
        body = b"\n".join(json.dumps(line).encode() for line in self.lines(3))
        answer = self.server.post_batch([1, 2, 3], body=body)
        self.assertEqual(answer.json()["accepted"], 3)

    def test_as_many_lines_as_allowed_and_one_more(self):
        self.open()
        lines = self.lines(10_000)
        self.assertEqual(self.server.post_batch(lines).json()["accepted"], 10_000)
        more = lines + [self.server.line(self.poll_id, sub_of("one more"), "a")]
        # A token for 10,001 lines is no token: n is checked first. A false n cannot hide them.
        body = b"".join(json.dumps(line).encode() + b"\n" for line in more)
        for n in (10_000, 10_001):
            answer = self.server.post_batch(more, token=self.server.issuer.batch(body, n))
            self.assertIn((answer.status, answer.code),
                          ((401, "token-invalid"), (413, "too-large")))
        self.assert_counts(self.poll_id, {"a": 10_000})

    def test_a_line_as_long_as_allowed_and_one_byte_more(self):
        self.open()
        line = json.dumps(self.lines(1)[0]).encode()
        fits = line[:-1] + b" " * (65536 - len(line)) + b"}"
        for content, status in ((fits[:-1] + b" }", 413), (fits, 201)):
            self.assertEqual(len(content), 65536 + (status == 413))
            answer = self.server.post_batch([content], "?detail=all")
            self.assertEqual(answer.status, 200, answer)
            item = json.loads(answer.body)
            self.assertIn(item["status"], (status, 400 if status == 413 else status), item)
        self.assert_counts(self.poll_id, {"a": 1})

    def test_more_than_16_mib_plain_or_packed(self):
        self.open()
        line = json.dumps(self.lines(1)[0]).encode()
        row = line[:-1] + b" " * (65536 - len(line)) + b"}\n"
        body = row * 257  # just above 16 MiB
        for encoding, pack in ((None, None), ("gzip", gzip.compress), ("zstd", zstd_frame)):
            try:
                answer = self.server.post_batch([1] * 257, headers={"Content-Encoding": encoding},
                                                body=body, encode=pack)
                self.assert_refused(answer, 413, "too-large")
            except veche.Down:
                self.assertNotEqual(encoding, "gzip", "a small body can be refused with an answer")

    def test_bombs(self):
        self.open()
        token = self.server.issuer.batch(b"x", 1)
        for encoding, bomb in (("gzip", gzip.compress(bytes(256 * 2**20))),
                               ("zstd", zstd_bomb(256 * 2**20))):
            begin = time.monotonic()
            answer = self.server.post_batch([], headers={"Content-Encoding": encoding}, body=bomb,
                                            token=token)
            self.assertEqual(answer.status, 413, answer)
            self.assertLess(time.monotonic() - begin, 2)

    def test_a_wrong_media_type(self):
        self.open()
        for given in ("application/json", "text/plain"):
            answer = self.server.post_batch(self.lines(1), headers={"Content-Type": given})
            self.assertEqual(answer.status, 415)

    def test_a_key_with_limits(self):
        poll = self.open()
        other = self.server.open_poll(veche.poll(poll + "-2"))["id"]
        self.limit_gateway(polls=[poll], territories=["75701000"])
        lines = [self.server.line(poll, sub_of(1), "a", "75701310"),
                 self.server.line(poll, sub_of(2), "a", "75603407"),
                 self.server.line(other, sub_of(3), "a", "75701310"),
                 self.server.line(poll, sub_of(4), "a", "75701000")]
        items = [json.loads(line) for line in
                 self.server.post_batch(lines, "?detail=all").body.splitlines()]
        self.assertEqual([item["status"] for item in items], [201, 403, 403, 201], items)
        self.assert_counts(poll, {"a": 2})

    def test_addresses_told_by_a_key_with_limits(self):
        """They lie anywhere: a key for some territories speaks for them in polls named to it alone."""
        poll = self.open(targets=[{"addr": "house-7"}, {"territory": "75701310"}])
        own = self.server.issuer.vote(poll, sub_of("own"), "75603407", addr=["house-7"])

        def statuses(step):
            lines = [self.server.line(poll, sub_of(step, 1), "a", "75603407", addr=["house-7"]),
                     self.server.line(poll, sub_of(step, 2), "b", "75701310", addr=["house-7"]),
                     {"token": own, **veche.answers("c")}]
            items = [json.loads(line) for line in
                     self.server.post_batch(lines, "?detail=all").body.splitlines()]
            return [item["status"] for item in items]

        self.limit_gateway(territories=["75000000"])
        self.assertEqual(statuses("places"), [403, 201, 201])
        self.limit_gateway(polls=[poll], territories=["75000000"])
        self.assertEqual(statuses("both"), [201, 201, 200])
        self.limit_gateway(polls=[poll])
        self.assertEqual(statuses("polls"), [201, 201, 200])
        self.assert_counts(poll, {"a": 2, "b": 3, "c": 1})

    def limit_gateway(self, **limits):
        """Until the end of the test, or the next limits."""
        if not hasattr(self, "unlimited_keys"):
            self.unlimited_keys = self.server.jwks.read_text()
            self.addCleanup(self.reload, self.unlimited_keys)
        keys = json.loads(self.unlimited_keys)
        for key in keys["keys"]:
            if key["typ"] == "batch+jwt":
                key.update(limits)
        self.reload(json.dumps(keys))

    def reload(self, text):
        self.server.jwks.write_text(text)
        self.server.reload_keys()


class Receipts(veche.ServerCase):
    def receipt(self, poll, receipt, **headers):
        return self.server.get(f"/v1/polls/{poll}/receipts/{receipt}", **headers)

    def test_a_receipt_proves_recorded_and_nothing_else(self):
        poll = self.open()
        receipt = self.assert_outcome(self.server.vote(poll, sub_of("anna"), "a"), 201)
        answer = self.receipt(poll, receipt)
        self.assertEqual((answer.status, answer.json()), (200, {"poll": poll, "recorded": True}))
        for written in (receipt.lower(), receipt.replace("-", "")):
            self.assertTrue(self.receipt(poll, written).json()["recorded"], written)

    def test_a_receipt_is_of_its_poll_only(self):
        poll = self.open()
        other = self.server.open_poll(veche.poll(poll + "-2"))["id"]
        receipt = self.assert_outcome(self.server.vote(poll, sub_of("anna"), "a"), 201)
        self.assertEqual(self.receipt(other, receipt).json(), {"poll": other, "recorded": False})

    def test_made_up_receipts(self):
        poll = self.open()
        receipt = self.assert_outcome(self.server.vote(poll, sub_of("anna"), "a"), 201)
        flipped = ("1" if receipt[0] != "1" else "2") + receipt[1:]
        other_end = receipt[:-1] + ("0" if receipt[-1] != "0" else "4")
        for made_up in (UNKNOWN_RECEIPT, flipped, other_end):
            answer = self.receipt(poll, made_up)
            self.assertEqual((answer.status, answer.json()["recorded"]), (200, False), made_up)
        for malformed in ("x", receipt + "A", receipt[:-1], "U" * 26, "%20" * 26):
            answer = self.receipt(poll, malformed)
            self.assertTrue(answer.status in (400, 404) or answer.json()["recorded"] is False,
                            answer)

    def test_an_unknown_poll(self):
        self.assert_refused(self.receipt("nowhere", UNKNOWN_RECEIPT), 404, "unknown-poll")

    def test_a_receipt_of_before_is_good_after_a_restart_and_after_the_close(self):
        poll = self.open()
        receipt = self.assert_outcome(self.server.vote(poll, sub_of("anna"), "a"), 201)
        self.server.change_poll(poll, "close")
        self.server.kill()
        self.server.start()
        self.assertTrue(self.receipt(poll, receipt).json()["recorded"])


class Polls(veche.ServerCase):
    def test_a_poll_is_shown_as_it_was_defined(self):
        definition = veche.poll(self.poll_id, veche.question("ab", "approval", 1, 2),
                                veche.question("xy", "ranked", 1, 2, points=(2, 1), name="q2"),
                                targets=["75701000", {"addr": "house-7"}], min_level=1,
                                visibility="after_close", disclosure={"mode": "exact"},
                                expected_voters={"75701310": 61000},
                                title={"ru": "Скверы", "en": "Squares"})
        created = self.server.create_poll(definition)
        self.assertEqual(created.status, 201, created)
        self.assertEqual(created.headers["location"], f"/v1/polls/{self.poll_id}")
        document = self.server.get(created.headers["location"]).json()
        self.assertEqual({**created.json(), "state": "scheduled"}, document)
        for member, value in definition.items():
            self.assertEqual(document[member], value, member)
        self.assertEqual(document["state"], "scheduled")
        self.assertEqual(document["territories_version"], 1)

    def test_the_same_definition_again_is_the_same_poll(self):
        definition = veche.poll(self.poll_id)
        self.assertEqual(self.server.create_poll(definition).status, 201)
        self.assertEqual(self.server.create_poll(definition).status, 200)
        self.server.change_poll(self.poll_id, "open")
        self.assertEqual(self.server.create_poll(definition).status, 200)
        other = {**definition, "title": "Another"}
        self.assert_refused(self.server.create_poll(other), 409, "poll-exists")

    def test_every_fault_of_a_definition_is_listed(self):
        definition = {**veche.poll("Bad Id"), "targets": [{"territory": "no code!"}],
                      "visibility": "secret", "closes_at": "tomorrow", "surprise": 1,
                      "questions": [veche.question("aa"), veche.question("ab", "guess")]}
        problem = self.assert_refused(self.server.create_poll(definition), 422, "invalid-poll")
        pointers = " ".join(error["pointer"] for error in problem["errors"])
        for place in ("/id", "/targets/0", "/visibility", "/closes_at", "/surprise",
                      "/questions/1/kind"):
            self.assertIn(place, pointers)

    def faults_of(self, answer):
        return [(error["pointer"], error["code"]) for error in answer.json()["errors"]]

    def test_ids_that_look_alike_or_cannot_be_seen_are_refused(self):
        for ids, fault in ((["\u0439", "\u0438\u0306"], ("/questions/0/options/1/id", "not-nfc")),
                           (["e\u0301", "b"], ("/questions/0/options/0/id", "not-nfc")),
                           (["\u0439", "\u0439"], ("/questions/0/options/1/id", "duplicate")),
                           (["a", "a\u0085"], ("/questions/0/options/1/id", "bad-id")),
                           (["a", "a\u200b"], ("/questions/0/options/1/id", "bad-id"))):
            question = veche.question() | {"options": [{"id": id, "title": "x"} for id in ids]}
            answer = self.server.draft_poll(veche.poll(self.poll_id, question))
            self.assertEqual((answer.status, self.faults_of(answer)), (422, [fault]), ids)
        answer = self.server.draft_poll(veche.poll(self.poll_id, veche.question(name="q\u009b")))
        self.assertEqual(self.faults_of(answer), [("/questions/0/id", "bad-id"),
                                                  ("/questions/0/title", "not-printable")])
        self.server.open_poll(veche.poll(self.poll_id, veche.question(["\u0439", "b"])))
        answer = self.server.vote(self.poll_id, sub_of(1), "\u0438\u0306")
        self.assertEqual((answer.status, self.faults_of(answer)),
                         (422, [("/answers/0/choices/0", "unknown-option")]))
        self.assertEqual(self.server.vote(self.poll_id, sub_of(1), "\u0439").status, 201)

    def test_pointers_escape_what_separates_names(self):
        definition = veche.poll(self.poll_id, expected_voters={"a/b~c": 1}) | {"x/~": 1}
        self.assertEqual(self.faults_of(self.server.draft_poll(definition)),
                         [("/x~1~0", "unknown-member"), ("/expected_voters/a~1b~0c", "bad-id")])

    def test_definitions_that_make_no_sense(self):
        good = veche.poll(self.poll_id)
        question = good["questions"][0]
        for change in ({"closes_at": good["opens_at"]}, {"targets": []}, {"questions": []},
                       {"targets": [{"territory": "99999999"}]}, {"min_level": 4},
                       {"min_level": 0}, {"disclosure": {"mode": "sometimes"}},
                       {"disclosure": {"mode": "exact", "k": 10}},
                       {"disclosure": {"mode": "steps", "k": 1}}, {"id": "x" * 65},
                       {"questions": [question, question]},
                       {"questions": [{**question, "options": []}]},
                       {"questions": [{**question, "min": 2}]},
                       {"questions": [{**question, "max": 4, "kind": "approval"}]},
                       {"questions": [{**question, "options": question["options"] * 2}]},
                       {"questions": [{**question, "kind": "ranked", "max": 3, "points": [1]}]},
                       {"questions": [veche.question([f"o{i}" for i in range(513)])]},
                       {"questions": [{**question, "id": f"q{i}"} for i in range(33)]},
                       {"questions": [veche.question(["x" * 65])]}):
            with self.subTest(change=list(change)):
                answer = self.server.create_poll({**good, **change})
                self.assert_refused(answer, 422, "invalid-poll")
        self.assert_refused(self.server.get(f"/v1/polls/{self.poll_id}"), 404, "unknown-poll")

    def test_bodies_that_are_no_definition(self):
        token = self.server.issuer.staff("moderator")
        for body in (b"", b"{", b"[]" * 2, b'{"id":"a","id":"b"}'):
            answer = self.server.request("POST", "/v1/polls", body, token=token)
            self.assert_refused(answer, 400, "malformed")

    def test_who_may_do_what(self):
        definition = veche.poll(self.poll_id)
        staff, request = self.server.issuer.staff, self.server.request
        self.assert_refused(request("POST", "/v1/polls", definition), 401, "token-missing")
        for role in ("approver", "operator", "certifier", "analyst", "auditor"):
            self.assert_refused(request("POST", "/v1/polls", definition, token=staff(role)),
                                403, "role-missing")
        voter = self.server.issuer.vote(self.poll_id, sub_of("anna"), "75701310")
        self.assert_refused(request("POST", "/v1/polls", definition, token=voter), 401,
                            "token-invalid")
        self.server.create_poll(definition)
        target = f"/v1/polls/{self.poll_id}/transitions"
        for action, role in (("open", "operator"), ("open", "moderator"), ("cancel", "operator"),
                             ("close", "approver"), ("close", "moderator")):
            change = {"action": action, "reason": "because"}
            self.assert_refused(request("POST", target, change, token=staff(role)), 403,
                                "role-missing")
            self.assert_refused(request("POST", target, change), 401, "token-missing")
        shown = self.server.get(f"/v1/polls/{self.poll_id}").json()
        self.assertEqual(shown["state"], "scheduled")

    def test_the_life_of_a_poll(self):
        definition = veche.poll(self.poll_id)
        self.server.create_poll(definition)
        for action, status, state in (("close", 409, None), ("open", 200, "open"),
                                      ("open", 409, None), ("close", 200, "closed"),
                                      ("close", 409, None), ("open", 409, None)):
            answer = self.server.change_poll(self.poll_id, action)
            self.assertEqual(answer.status, status, (action, answer))
            if status == 409:
                self.assert_refused(answer, 409, "wrong-state")
            else:
                self.assertEqual(answer.json()["state"], state)
        self.assert_refused(self.server.change_poll("nowhere", "open"), 404, "unknown-poll")

    def test_transitions_that_are_none(self):
        self.server.create_poll(veche.poll(self.poll_id))
        token = self.server.issuer.staff("approver", "operator")
        for body in (b"{", {}, {"action": "reopen"}, {"action": "open", "x": 1}, {"action": 1}):
            answer = self.server.request("POST", f"/v1/polls/{self.poll_id}/transitions", body,
                                         token=token)
            self.assertIn(answer.status, (400, 422), (body, answer))
        self.assertEqual(self.server.get(f"/v1/polls/{self.poll_id}").json()["state"], "scheduled")

    def test_a_restart_keeps_every_state(self):
        states = {}
        for name, actions in (("scheduled", ()), ("open", ("open",)), ("closed", ("open", "close")),
                              ("cancelled", ("cancel",))):
            poll = f"{self.poll_id}-{name}"
            self.server.create_poll(veche.poll(poll))
            for action in actions:
                self.assertEqual(self.server.change_poll(poll, action).status, 200)
            states[poll] = self.server.get(f"/v1/polls/{poll}").json()
            self.assertEqual(states[poll]["state"], name)
        self.server.kill()
        self.server.start()
        for poll, state in states.items():
            self.assertEqual(self.server.get(f"/v1/polls/{poll}").json(), state)


class Lists(veche.ServerCase):
    def setUp(self):
        super().setUp()
        if self.server.get("/v1/polls/list-0").status == 404:
            for i in range(7):
                target = "75701000" if i % 2 else "01000000"
                self.server.create_poll(veche.poll(f"list-{i}", targets=[target]))
            for i in range(3):
                self.server.change_poll(f"list-{i}", "open")

    def ids(self, query):
        answer = self.server.get("/v1/polls" + query)
        self.assertEqual(answer.status, 200, answer)
        return [poll["id"] for poll in answer.json()["polls"]]

    def test_all_page_by_page(self):
        found, cursor = [], ""
        for _ in range(10):
            document = self.server.get(f"/v1/polls?limit=3{cursor}").json()
            self.assertLessEqual(len(document["polls"]), 3)
            found += [poll["id"] for poll in document["polls"]]
            if document["next_cursor"] is None:
                break
            cursor = f"&cursor={document['next_cursor']}"
        self.assertEqual(sorted(found), [f"list-{i}" for i in range(7)])
        self.assertEqual(len(set(found)), len(found))

    def test_by_state(self):
        self.assertEqual(sorted(self.ids("?state=open")), ["list-0", "list-1", "list-2"])
        self.assertEqual(len(self.ids("?state=scheduled")), 4)
        self.assertEqual(self.ids("?state=cancelled"), [])

    def test_by_territory(self):
        """The polls in which somebody registered there may vote."""
        for code in ("75701000", "75701310"):
            self.assertEqual(sorted(self.ids(f"?territory={code}")),
                             ["list-1", "list-3", "list-5"], code)
        self.assertEqual(self.ids("?territory=75603407"), [])
        self.assertEqual(self.ids("?state=open&territory=75701310"), ["list-1"])

    def test_wrong_questions(self):
        for query in ("?state=nonsense", "?limit=0", "?limit=x", "?limit=501", "?cursor=%21",
                      "?territory=no%20code", "?limit=1&limit=2"):
            answer = self.server.get("/v1/polls" + query)
            self.assertIn(answer.status, (400, 422), query)

    def test_one_poll(self):
        self.assertEqual(self.server.get("/v1/polls/list-3").json()["id"], "list-3")
        self.assert_refused(self.server.get("/v1/polls/nowhere"), 404, "unknown-poll")


class Results(veche.ServerCase):
    def fill(self, **more):
        """Two ballots in 75701310, one each in 75701320, 75701000, 75603407, 01701000."""
        poll = self.open(veche.question("abc"),
                         veche.question("xyz", "ranked", 1, 2, points=(2, 1), name="q2"), **more)
        for i, territory in enumerate(["75701310", "75701310", "75701320", "75701000", "75603407",
                                       "01701000"]):
            body = {"answers": [{"question": "q1", "choices": ["abc"[i % 3]]},
                                {"question": "q2", "choices": ["x", "y"] if i % 2 else ["z"]}]}
            answer = self.server.request("POST", f"/v1/polls/{poll}/ballots", body,
                                         token=self.server.issuer.vote(poll, sub_of(i), territory))
            self.assert_outcome(answer, 201)
        return poll

    def test_totals(self):
        poll = self.fill()
        self.server.settled_results(poll, 6)
        document = self.server.results(poll, by_territory=False)
        self.assertEqual((document["poll"], document["ballots"], document["state"],
                          document["final"]), (poll, 6, "open", False))
        self.assertEqual(veche.votes_of(document), {"a": 2, "b": 2, "c": 2})
        self.assertEqual(veche.votes_of(document, 1), {"x": 3, "y": 3, "z": 3})
        self.assertEqual(veche.points_of(document, 1), {"x": 6, "y": 3, "z": 6})
        self.assertRegex(document["as_of"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*Z$")
        self.assertNotIn("territories", document)
        self.assertEqual(sum(document["partition_ballots"]), 6)
        self.assertEqual(len(document["partition_ballots"]), 4)

    def test_territories_add_up(self):
        poll = self.fill()
        document = self.server.settled_results(poll, 6)
        shown = {territory["code"]: territory for territory in document["territories"]}
        expected = {"75000000": (5, 0), "75701000": (4, 1), "75701310": (2, 2), "75701320": (1, 1),
                    "75603000": (1, 0), "75603407": (1, 1), "01000000": (1, 0), "01701000": (1, 1)}
        for code, (ballots, not_below) in expected.items():
            self.assertEqual((shown[code]["ballots"], shown[code]["not_below"]),
                             (ballots, not_below), code)
        self.assertEqual(shown.get("75603411", {"ballots": 0})["ballots"], 0)
        self.assertEqual((shown["75701310"]["name"], shown["75701310"]["parent"],
                          shown["75701310"]["level"], shown["75701310"]["kind"]),
                         ("Калининский район", "75701000", 2, "intra_city_district"))
        self.assertIsNone(shown["75000000"]["parent"])
        self.assertEqual(veche.votes_of(shown["75701310"]), {"a": 1, "b": 1, "c": 0})
        self.assertEqual(veche.points_of(shown["75701000"], 1), {"x": 4, "y": 2, "z": 4})

    def test_territories_by_level_and_parent(self):
        poll = self.fill()
        self.server.settled_results(poll, 6)

        def codes(query):
            return {territory["code"] for territory in self.server.get(
                f"/v1/polls/{poll}/results?by=territory{query}").json()["territories"]}
        self.assertLessEqual({"75000000", "01000000"}, codes("&level=0"))
        self.assertNotIn("75701000", codes("&level=0"))
        self.assertLessEqual({"75701310", "75701320"}, codes("&parent=75701000"))
        self.assertNotIn("75603407", codes("&parent=75701000"))
        self.assertNotIn("01701000", codes("&level=1&parent=75000000"))

    def test_wrong_questions(self):
        poll = self.fill()
        for query in ("?by=street", "?by=territory&level=x", "?by=territory&level=-1",
                      "?by=territory&level=9", "?by=territory&parent=75999999",
                      "?by=territory&parent=no%20code", "?by=territory&by=territory"):
            answer = self.server.get(f"/v1/polls/{poll}/results{query}")
            self.assertIn(answer.status, (400, 422), query)
        self.assert_refused(self.server.get("/v1/polls/nowhere/results"), 404, "unknown-poll")

    def test_csv_is_the_same_in_rows(self):
        poll = self.fill()
        results = self.server.settled_results(poll, 6)
        for target, headers in ((f"/v1/polls/{poll}/results.csv?by=territory", {}),
                                (f"/v1/polls/{poll}/results?by=territory", {"Accept": "text/csv"})):
            answer = self.server.request("GET", target, headers=headers)
            self.assertEqual(answer.headers["content-type"].split(";")[0], "text/csv")
            rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
            self.assertEqual(list(rows[0]), [
                "poll_id", "question_id", "option_id", "option_title", "level", "territory",
                "territory_name", "votes", "points", "ballots", "share", "suppressed", "state",
                "version", "as_of"])
            totals = {(row["question_id"], row["option_id"]): row for row in rows
                      if row["territory"] == "(all)"}
            self.assertEqual(totals["q1", "a"]["votes"], "2")
            self.assertEqual(totals["q1", "a"]["points"], "")
            self.assertEqual(totals["q2", "x"]["points"], "6")
            self.assertAlmostEqual(float(totals["q1", "a"]["share"]), 2 / 6, 5)
            by_place = {(row["territory"], row["question_id"], row["option_id"]): row["votes"]
                        for row in rows if row["territory"] != "(all)"}
            for territory in results["territories"]:
                for place, question in enumerate(results["questions"]):
                    for option, votes in veche.votes_of(territory, place).items():
                        self.assertEqual(by_place[territory["code"], question["id"], option],
                                         str(votes))

    def test_json_by_name_and_by_header(self):
        poll = self.fill()
        self.server.settled_results(poll, 6)
        for target, accept in ((f"/v1/polls/{poll}/results.json", "text/csv"),
                               (f"/v1/polls/{poll}/results", "application/json"),
                               (f"/v1/polls/{poll}/results", "*/*")):
            answer = self.server.get(target, Accept=accept)
            self.assertEqual(answer.json()["ballots"], 6)

    def test_a_list_on_several_lines_is_one_list(self):
        poll = self.fill()
        self.server.settled_results(poll, 6)
        target = f"/v1/polls/{poll}/results"
        tag = self.server.get(target).headers["etag"]

        def ask(*headers):
            with self.server.connect() as connection:
                connection.send("\r\n".join([f"GET {target} HTTP/1.1", "Host: veche", *headers,
                                              "", ""]).encode())
                return connection.read_answer("GET")

        csv_asked = ask("Accept: application/json;q=0.5", "X: y", "Accept: text/csv")
        self.assertTrue(csv_asked.headers["content-type"].startswith("text/csv"))
        json_asked = ask("Accept: text/csv;q=0.1", "Accept: application/json")
        self.assertEqual(json_asked.json()["ballots"], 6)
        self.assertEqual(ask('If-None-Match: "other"', f"If-None-Match: {tag}").status, 304)
        self.assertEqual(ask("Accept: text/csv", f"If-None-Match: {tag}").status, 200)
        for header in ("Authorization: Bearer a", "Content-Type: text/csv", "Host: other"):
            self.assertEqual(ask(header, header).status, 400, header)

    def test_a_page_for_who_names_html_among_others(self):
        for accept, kind in (("Text/HTML;q=0.1, */*", "text/html"), ("text/html;q=0", "problem"),
                             ("*/*", "problem"), ("text/htmlx", "problem")):
            answer = self.server.get("/no-such-page", Accept=accept)
            self.assertIn(kind, answer.headers["content-type"], accept)

    def test_etags(self):
        poll = self.fill()
        self.server.settled_results(poll, 6)
        target = f"/v1/polls/{poll}/results"
        first = self.server.get(target)
        tag = first.headers["etag"]
        self.assertRegex(tag, '^W/"[^"]+"$')
        for match in (tag, f'"other", {tag}', "*", tag[2:], tag[:-1] + '-gzip"', f'"a,b",{tag}'):
            unchanged = self.server.get(target, If_None_Match=match)
            self.assertEqual((unchanged.status, unchanged.body), (304, b""), match)
            self.assertEqual(unchanged.headers["etag"], tag)
        for match in ('W/"x"', tag[2:-1], tag[3:-1], f"x{tag}", tag[:-1] + 'x"'):
            self.assertEqual(self.server.get(target, If_None_Match=match).status, 200, match)
        self.server.vote(poll, None, "a", token="x")  # a refusal changes nothing
        self.assertEqual(self.server.get(target, If_None_Match=tag).status, 304)
        body = {"answers": [{"question": "q1", "choices": ["a"]},
                            {"question": "q2", "choices": ["z"]}]}
        self.server.request("POST", f"/v1/polls/{poll}/ballots", body,
                            token=self.server.issuer.vote(poll, sub_of("new"), "75701310"))
        self.server.settled_results(poll, 7)
        changed = self.server.get(target, If_None_Match=tag)
        self.assertEqual((changed.status, changed.json()["ballots"]), (200, 7))
        self.assertNotEqual(changed.headers["etag"], tag)

    def test_the_close_makes_them_final(self):
        poll = self.fill()
        self.server.change_poll(poll, "close")
        document = self.server.results(poll)
        self.assertEqual((document["state"], document["final"], document["ballots"]),
                         ("closed", True, 6))

    def test_before_the_opening_there_are_none(self):
        self.server.create_poll(veche.poll(self.poll_id))
        answer = self.server.get(f"/v1/polls/{self.poll_id}/results")
        self.assertEqual((answer.status, answer.json()["ballots"]), (200, 0))

    def test_after_close_hides_until_the_close(self):
        poll = self.fill(visibility="after_close")
        for form in ("/results", "/results.json", "/results.csv", "/results?by=territory"):
            self.assert_refused(self.server.get(f"/v1/polls/{poll}{form}"), 403, "results-hidden")
        self.server.change_poll(poll, "close")
        self.assertEqual(self.server.results(poll)["ballots"], 6)

    def test_after_certification_hides_after_the_close(self):
        poll = self.fill(visibility="after_certification")
        self.server.change_poll(poll, "close")
        self.assert_refused(self.server.get(f"/v1/polls/{poll}/results"), 403, "results-hidden")

    def test_after_vote_shows_to_voters_with_a_token(self):
        poll = self.fill(visibility="after_vote")
        target = f"/v1/polls/{poll}/results"
        self.assert_refused(self.server.get(target), 403, "results-hidden")
        token = self.server.issuer.vote("another", sub_of(0), "75701310")
        self.assert_refused(self.server.request("GET", target, token=token), 403, "results-hidden")
        token = self.server.issuer.vote(poll, sub_of(0), "75701310")
        self.assertEqual(self.server.request("GET", target, token=token).json()["ballots"], 6)
        self.server.change_poll(poll, "close")
        self.assertEqual(self.server.results(poll)["ballots"], 6)

    def test_hidden_results_leak_nowhere(self):
        poll = self.fill(visibility="after_close")
        shown = self.server.get(f"/v1/polls/{poll}").body
        self.assertNotIn(b"ballots", shown)
        self.assertNotIn(b'"votes"', shown)


class Territories(unittest.TestCase):
    """A server of its own for each test: a new tree is for ever."""

    def start(self, territories=veche.TERRITORIES, options=()):
        server = veche.Server(territories=territories, options=options)
        self.addCleanup(server.close)
        return server.start()

    def put(self, server, text, query="", role="operator", kind="text/csv"):
        body = text if isinstance(text, bytes) else text.encode()
        return server.request("PUT", "/v1/territories" + query, body, {"Content-Type": kind},
                              server.issuer.staff(role) if role else None)

    def test_the_tree_as_json_and_csv(self):
        server = self.start()
        answer = server.get("/v1/territories")
        document = answer.json()
        self.assertEqual(document["version"], 1)
        self.assertRegex(document["valid_from"], r"^\d{4}-\d\d-\d\d$")
        shown = {territory["code"]: territory for territory in document["territories"]}
        given = {row["oktmo8"]: row for row in csv.DictReader(io.StringIO(veche.TERRITORIES))}
        self.assertEqual(shown.keys(), given.keys())
        for code, row in given.items():
            territory = shown[code]
            self.assertEqual((territory["name"], territory["kind"], str(territory["level"]),
                              territory["parent"] or ""),
                             (row["name"], row["kind"], row["level"], row["parent_oktmo8"]))
        self.assertEqual(shown["75701000"]["population"], 1200000)
        self.assertEqual(server.get("/v1/territories",
                                    If_None_Match=answer.headers["etag"]).status, 304)
        rows = list(csv.DictReader(io.StringIO(
            server.get("/v1/territories", Accept="text/csv").body.decode())))
        self.assertEqual({row["oktmo8"] for row in rows}, given.keys())
        self.assertEqual({row["oktmo8"]: row["name"] for row in rows},
                         {code: row["name"] for code, row in given.items()})

    def test_a_new_version_holds_for_new_polls_only(self):
        server = self.start()
        server.open_poll(veche.poll("old", targets=["75701000"]))
        place = "75701320,,Курчатовский район,intra_city_district,2,"
        moved = veche.TERRITORIES.replace(place + "75701000", place + "75603000")
        answer = self.put(server, moved)
        self.assertEqual((answer.status, answer.json()["version"]), (200, 2), answer)
        self.assertEqual(server.get("/v1/territories").json()["version"], 2)
        server.open_poll(veche.poll("new", targets=["75701000"]))
        self.assertEqual(server.get("/v1/polls/new").json()["territories_version"], 2)
        self.assertEqual(server.get("/v1/polls/old").json()["territories_version"], 1)
        self.assertEqual(server.vote("old", sub_of(1), "a", "75701320").status, 201)
        self.assertEqual(server.vote("new", sub_of(1), "a", "75701320").code, "not-eligible")
        server.kill()
        server.start()
        self.assertEqual(server.get("/v1/territories").json()["version"], 2)
        self.assertEqual(server.vote("new", sub_of(2), "a", "75701320").code, "not-eligible")

    # A district gets another code.
    NEXT_YEAR = veche.TERRITORIES.replace("75603000,6,", "75503000,,").replace(
        "75603000", "75503000")

    def draft(self, server, name, opens_at, target):
        """What tree it gets, and for which day; or what is wrong."""
        answer = server.draft_poll(veche.poll(name, targets=[target]) | {
            "opens_at": opens_at, "closes_at": "2090-01-01T00:00:00Z"})
        if answer.status == 201:
            return answer.json()["territories_version"], answer.json()["territories_on"]
        return [error["code"] for error in answer.json()["errors"]]

    def test_a_poll_gets_the_tree_of_its_day_in_the_time_zone(self):
        server = self.start(options=["--time-zone", "Asia/Yekaterinburg"])
        self.assertEqual(self.put(server, self.NEXT_YEAR, "?valid_from=2087-01-01").status, 200)
        corrected = veche.TERRITORIES.replace("Агаповское", "Агаповское сельское поселение")
        self.assertEqual(self.put(server, corrected).json()["version"], 3)
        for name, opens_at, target, expected in (
                ("before", "2086-12-31T18:59:59Z", "75603000", (3, "2086-12-31")),
                ("midnight", "2086-12-31T19:00:00Z", "75503000", (2, "2087-01-01")),
                ("midnight-there", "2087-01-01T00:00:00+05:00", "75503000", (2, "2087-01-01")),
                ("midnight-elsewhere", "2087-01-01T00:00:00+09:00", "75603000", (3, "2086-12-31")),
                ("abolished", "2087-01-01T00:00:00+05:00", "75603000", ["unknown-territory"]),
                ("not-yet", "2086-12-31T18:59:59Z", "75503000", ["unknown-territory"]),
                ("later", "2088-06-01T00:00:00Z", "75000000", (2, "2088-06-01")),
                ("before-all", "1999-06-01T00:00:00Z", "75603000", (3, "1999-06-01"))):
            with self.subTest(name):
                self.assertEqual(self.draft(server, name, opens_at, target), expected)
        server.kill()
        server.options = ["--time-zone", "America/New_York"]  # decides nothing that was decided
        server.start()
        shown = server.request("GET", "/v1/polls/midnight", token=server.staff("auditor")).json()
        self.assertEqual((shown["territories_version"], shown["territories_on"]), (2, "2087-01-01"))

    def test_without_a_time_zone_the_day_is_that_of_opens_at_as_it_is_written(self):
        server = self.start()
        self.assertEqual(self.put(server, self.NEXT_YEAR, "?valid_from=2087-01-01").status, 200)
        for name, opens_at, expected in (
                ("ural", "2087-01-01T00:00:00+05:00", (2, "2087-01-01")),
                ("utc", "2087-01-01T00:00:00Z", (2, "2087-01-01")),
                ("utc-before", "2086-12-31T19:00:00Z", (1, "2086-12-31"))):
            with self.subTest(name):
                self.assertEqual(self.draft(server, name, opens_at, "75000000"), expected)
        auditor, moderator = server.staff("auditor"), server.staff("moderator")

        def edit(name, version, **changes):  # as it was read, with this alone changed
            shown = server.request("GET", f"/v1/polls/{name}", token=auditor).json()
            for member in ("state", "version", "territories_version", "territories_on"):
                del shown[member]
            answer = server.request("PATCH", f"/v1/polls/{name}", shown | changes,
                                    {"If-Match": f'"{version}"'}, moderator)
            return answer.json()["territories_version"], answer.json()["territories_on"]
        self.assertEqual(edit("ural", 1, title="Edited"), (2, "2087-01-01"))
        self.assertEqual(edit("ural", 2, opens_at="2086-12-31T18:00:00Z"), (1, "2086-12-31"))
        self.assertEqual(edit("utc-before", 1, opens_at="2087-01-01T00:00:00+05:00"),
                         (2, "2087-01-01"))
        # A tree that comes later reaches a draft with its next edit, and an approved poll never.
        self.assertEqual(self.put(server, self.NEXT_YEAR, "?valid_from=2086-06-01").status, 200)
        approved = server.create_poll(veche.poll("approved") | {
            "opens_at": "2087-02-01T00:00:00Z", "closes_at": "2090-01-01T00:00:00Z"})
        self.assertEqual(approved.json()["territories_version"], 2)
        self.assertEqual(self.put(server, self.NEXT_YEAR, "?valid_from=2087-01-01").status, 200)
        self.assertEqual(edit("utc", 1, title="Edited"), (4, "2087-01-01"))
        self.assertEqual(server.change_poll("approved", "open").json()["territories_version"], 2)

    def test_every_version_of_the_tree_can_be_read(self):
        server = self.start()
        for valid_from, version in (("9999-12-31", 2), ("1676-12-31", 3), ("2263-01-01", 4)):
            answer = self.put(server, self.NEXT_YEAR, f"?valid_from={valid_from}")
            self.assertEqual((answer.status, answer.json()["version"]), (200, version), answer)
        today = server.get("/v1/territories?version=1").json()["valid_from"]
        for query, version, valid_from in (
                ("", 4, "2263-01-01"), ("?version=1", 1, today), ("?version=2", 2, "9999-12-31"),
                ("?on=today", 1, today), ("?version=3", 3, "1676-12-31"), (f"?on={today}", 1, today),
                ("?on=1676-12-30", 3, "1676-12-31"), ("?on=1999-01-01", 3, "1676-12-31"),
                ("?on=2262-12-31", 1, today), ("?on=2263-01-01", 4, "2263-01-01"),
                ("?on=9999-12-31", 2, "9999-12-31")):
            with self.subTest(query):
                answer = server.get("/v1/territories" + query)
                document = answer.json()
                self.assertEqual((document["version"], document["valid_from"]),
                                 (version, valid_from))
                self.assertEqual(answer.headers["etag"], f'W/"{version}-json"')
                codes = {territory["code"] for territory in document["territories"]}
                self.assertEqual("75603000" in codes, version == 1)
                text = server.get("/v1/territories" + query, Accept="text/csv").body.decode()
                rows = csv.DictReader(io.StringIO(text))
                self.assertEqual(codes, {row["oktmo8"] for row in rows})
        for query, status, code in (
                ("?version=5", 404, "unknown-version"), ("?version=4294967295", 404,
                                                         "unknown-version"),
                *((query, 400, "bad-parameter") for query in (
                    "?version=0", "?version=-1", "?version=", "?version=two", "?version=4294967296",
                    "?on=", "?on=now", "?on=2026-02-30", "?on=10000-01-01",
                    "?version=1&on=2026-01-01", "?version=x&on=2026-01-01"))):
            with self.subTest(query):
                answer = server.get("/v1/territories" + query)
                self.assertEqual((answer.status, answer.code), (status, code))

    def test_a_tree_that_lost_its_leading_zeros_is_taken_only_if_somebody_insists(self):
        opened = "\n".join(  # as a spreadsheet writes it
            ",".join(cell.lstrip("0") if i in (0, 5) else cell
                     for i, cell in enumerate(line.split(",")))
            for line in veche.TERRITORIES.splitlines())
        server = self.start()
        answer = self.put(server, opened)
        self.assertEqual((answer.status, answer.code), (422, "invalid-territories"), answer)
        for told in ("level 0 has codes of 7 digits (1: 1000000 on line 9) and of 8 digits "
                     "(1: 75000000 on line 2)", "level 1 has codes of 7", "?force=1"):
            self.assertIn(told, answer.json()["detail"])
        wrong_digit = veche.TERRITORIES.replace("75603407,9", "75603407,8")
        self.assertIn("75603407 on line 7 has 8 instead of 9",
                      self.put(server, wrong_digit).json()["detail"])
        for no in ("?force=", "?force=0", "?force=yes"):
            self.assertEqual(self.put(server, opened, no).status, 400)
        self.assertEqual(self.put(server, opened + "\nx", "?force=1").status, 422)
        self.assertEqual(server.get("/v1/territories").json()["version"], 1)
        self.assertEqual(self.put(server, wrong_digit, "?force=1").json()["version"], 2)
        self.assertEqual(self.put(server, opened, "?force=1").json()["version"], 3)
        # A start asks the same, but not about what the log has.
        server.kill()
        server.territories.write_text(opened, encoding="utf-8")
        server.start().kill()
        server.territories.write_text(opened.replace("Барнаул", "Бийск"), encoding="utf-8")
        with self.assertRaises(veche.StartFailed) as failed:
            server.start()
        self.assertIn("--force", failed.exception.errors)
        self.assertIn("1000000 on line 9", failed.exception.errors)
        server.options = ["--force"]
        server.start()
        self.assertEqual(server.get("/v1/territories").json()["version"], 4)

    def test_an_unknown_time_zone_is_told_at_the_start(self):
        server = veche.Server(options=["--time-zone", "Asia/Ekaterinburg"])
        self.addCleanup(server.close)
        with self.assertRaises(veche.StartFailed) as failed:
            server.start()
        self.assertIn("Asia/Yekaterinburg", failed.exception.errors)

    def test_a_broken_tree_is_refused_with_its_line(self):
        server = self.start()
        rows = veche.TERRITORIES.splitlines()
        new = len(rows) + 1
        for line, broken in ((new, rows + [rows[1]]),                         # a code twice
                             (new, rows + ["75999999,,X,y,1,75123456,74,"]),  # no such parent
                             (2, [rows[0], rows[1].replace(",6,", ",7,", 1)] + rows[2:]),
                             (new, rows + ["75 999,,X,y,1,75000000,74,"]),
                             (new, rows + ["75999999,,X,y,1"]),
                             (2, [rows[0], "1,,A,x,1,2,,", "2,,B,x,1,1,,"])):     # a circle
            with self.subTest(broken=broken[-1]):
                answer = self.put(server, "\n".join(broken))
                self.assertEqual((answer.status, answer.code), (422, "invalid-territories"), answer)
                self.assertIn(str(line), answer.json()["detail"])
        for nothing in ("", rows[0], "a,b\n1,2\n"):
            answer = self.put(server, nothing)
            self.assertIn((answer.status, answer.code), ((422, "invalid-territories"),
                                                         (400, "malformed")))
        self.assertEqual(server.get("/v1/territories").json()["version"], 1)

    def test_who_may_change_the_tree(self):
        server = self.start()
        for role in ("moderator", "approver", "analyst"):
            self.assertEqual(self.put(server, veche.TERRITORIES, role=role).code, "role-missing")
        self.assertEqual(self.put(server, veche.TERRITORIES, role=None).code, "token-missing")
        self.assertEqual(self.put(server, veche.TERRITORIES, kind="application/json").status, 415)
        self.assertIn(self.put(server, veche.TERRITORIES, "?valid_from=soon").status, (400, 422))
        self.assertEqual(server.get("/v1/territories").json()["version"], 1)

    def test_without_a_tree_there_are_no_polls(self):
        server = self.start(territories=None)
        answer = server.create_poll(veche.poll("first"))
        self.assertEqual((answer.status, answer.code), (409, "no-territories"), answer)
        self.assertEqual(self.put(server, veche.TERRITORIES).status, 200)
        self.assertEqual(server.create_poll(veche.poll("first")).status, 201)


class Health(veche.ServerCase):
    def test_live_ready_version(self):
        for path in ("/livez", "/readyz"):
            self.assertEqual(self.server.get(path).status, 200)
        version = self.server.get("/version")
        self.assertEqual(version.status, 200)
        self.assertIn("version", version.json())
        description = self.server.get("/openapi.json").json()
        self.assertTrue(description["openapi"].startswith("3.1"))

    def test_metrics_move_and_name_nobody(self):
        poll = self.open()
        before = self.server.metrics()
        for i in range(10):
            self.assert_outcome(self.server.vote(poll, sub_of("metrics", i), "a"), 201)
        after = self.server.metrics()
        self.assertGreaterEqual(sum(after.values()) - sum(before.values()), 10)
        self.assertGreaterEqual(len(after), 5)
        for series in after:
            for secret in (poll, "75701310", "voter=", "territory=", sub_of("metrics", 1)):
                self.assertNotIn(secret, series)
        self.assertEqual(self.server.get("/metrics").status, 404, "not where everybody can ask")

    def test_the_log_names_no_voter_no_token_and_no_choice(self):
        poll = self.open(veche.question(["spinach", "kohlrabi"]))
        sub = sub_of("secret voter")
        token = self.server.issuer.vote(poll, sub, "75701310")
        self.assert_outcome(self.server.vote(poll, sub, "kohlrabi", token=token), 201)
        self.assert_refused(self.server.vote(poll, sub, "spinach", token=token), 409,
                            "already-voted")
        log = self.server.errors()
        for secret in (sub, token, token.split(".")[2], "kohlrabi", "spinach"):
            self.assertNotIn(secret, log)


class Listening(unittest.TestCase):
    @veche.needs_binary
    def test_port_0_takes_a_free_port_and_says_which(self):
        servers = [veche.Server(), veche.Server()]
        for server in servers:
            self.addCleanup(server.close)
            server.port = 0
            server.start()
            self.assertEqual(server.url, f"http://127.0.0.1:{server.port}")
            self.assertEqual(server.get("/livez").status, 200)
        self.assertNotEqual(servers[0].port, servers[1].port)


class AccessLog(unittest.TestCase):
    @veche.needs_binary
    def test_it_is_json_and_names_nobody(self):
        server = veche.Server()
        self.addCleanup(server.close)
        path = server.folder / "access"
        server.options = ["--access-log", str(path)]
        server.start()
        server.open_poll(veche.poll("logged"))
        sub = sub_of("logged voter")
        receipt = server.vote("logged", sub, "a").json()["receipt"]
        server.get(f"/v1/polls/logged/receipts/{receipt}")
        server.get("/v1/polls/logged/results?by=territory")
        self.assertEqual(server.stop(), 0)
        lines = path.read_text().splitlines()
        self.assertGreaterEqual(len(lines), 5)
        statuses = [json.loads(line)["status"] for line in lines]
        self.assertIn(201, statuses)
        for secret in (sub, receipt, "eyJ", "127.0.0.1", '"a"', "75701310"):
            self.assertNotIn(secret, path.read_text())


if __name__ == "__main__":
    unittest.main()
