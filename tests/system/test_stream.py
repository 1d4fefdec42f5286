"""Live results: what a reader of a stream is told, in which order, and what never."""

import http.server
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import veche
from events import Stream
from minting import sub_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
TICK_S = 0.05

# What docs/operations.md says of a server goes into the place of its own.
NGINX = """\
daemon off;
error_log {folder}/error.log;
pid {folder}/pid;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  {server}
}}
"""


def nginx_config(folder, port, backend):
    block = re.search(r"```nginx\n(.*?)```", (ROOT / "docs/operations.md").read_text(), re.S)[1]
    server = block[block.index("server {"):].replace("127.0.0.1:8080", f"127.0.0.1:{backend}")
    return NGINX.format(folder=folder, server=server.replace(
        "server {", f"server {{\n  listen 127.0.0.1:{port};", 1))


def assert_come_back(case, answer):
    """What a reader gets instead of 503, which an EventSource would never get over."""
    case.assertEqual((answer.status, answer.headers["content-type"]), (200, "text/event-stream"))
    case.assertRegex(answer.body.decode(), r"\A: .*\nretry: [1-5]\d{3}\n\n\Z")
    case.assertEqual(answer.headers["cache-control"], "no-store")


class StreamCase(veche.ServerCase):
    options = ("--tick", f"{TICK_S * 1000:.0f}ms")

    def stream(self, target, port=None, **more):
        stream = Stream(port or self.server.port, target, **more)
        self.addCleanup(stream.close)
        self.assertEqual(stream.status, 200)
        return stream

    def of_poll(self, poll, query="", **more):
        return self.stream(f"/v1/polls/{poll}/stream{query}", **more)

    def vote(self, poll, voter, choice="a", **more):
        answer = self.server.vote(poll, sub_of(poll, voter), [choice], **more)
        self.assert_outcome(answer, 201)
        return time.monotonic()


@veche.needs_binary
class Streams(StreamCase):
    def test_a_reader_gets_all_of_it_and_then_what_changes(self):
        poll = self.open()
        stream = self.of_poll(poll)
        self.assertEqual(stream.headers["content-type"], "text/event-stream")
        first = stream.next()
        self.assertEqual((first.name, first.data["ballots"]), ("snapshot", 0))
        self.assertNotIn("territories", first.data)
        self.vote(poll, "anna", "b")
        second = stream.next()
        self.assertEqual((second.name, second.data["ballots"]), ("totals", 1))
        self.assertEqual(veche.votes_of(second.data), {"a": 0, "b": 1, "c": 0})
        self.server.change_poll(poll, "close")
        state = stream.wait_for("state")
        while not state.data["final"]:
            state = stream.wait_for("state")
        self.assertEqual(state.data, {"poll": poll, "state": "closed", "final": True})
        self.assertEqual({line for line in stream.raw if line.startswith("retry")},
                         {"retry: 3000"})

    def test_a_stream_says_what_the_results_say(self):
        poll = self.open()
        self.vote(poll, "anna")
        shown = self.server.get(f"/v1/polls/{poll}/results?by=territory&level=2").json()
        snapshot = self.of_poll(poll, "?by=territory&level=2").next()
        told = snapshot.data
        for document in (shown, told):
            document.pop("as_of")
        self.assertEqual(told, shown)

    def test_territories_come_with_the_filter_alone(self):
        poll = self.open()
        stream = self.of_poll(poll, "?by=territory&parent=75701000")
        codes = [place["code"] for place in stream.next().data["territories"]]
        self.assertIn("75701310", codes)
        self.vote(poll, "anna", territory="75701310")
        self.assertEqual(stream.next().name, "totals")
        event = stream.next()
        self.assertEqual(event.name, "territories")
        self.assertEqual(sorted(event.data), ["groups", "poll", "territories", "version"])
        self.assertEqual([place["code"] for place in event.data["territories"]], codes)
        self.assertEqual([place["ballots"] for place in event.data["territories"]
                          if place["code"] == "75701310"], [1])

    def test_nothing_is_sent_while_nothing_changes(self):
        poll = self.open()
        stream = self.of_poll(poll)
        stream.next()
        self.assertTrue(stream.is_silent(10 * TICK_S))

    def test_a_stream_begins_with_how_fresh_it_is(self):
        poll = self.open()
        reader = self.of_poll(poll)
        first = reader.next().data
        second = veche.eventually(lambda: next(
            (data for data in (self.of_poll(poll).next().data,) if data["as_of"] > first["as_of"]),
            None))
        self.assertEqual(second["version"], first["version"])

    def test_who_comes_back_gets_all_of_it_again(self):
        poll = self.open()
        self.vote(poll, "anna")
        with self.of_poll(poll) as before:
            seen = before.next()
        self.vote(poll, "boris")
        after = self.of_poll(poll, headers={"Last-Event-ID": seen.id})
        again = after.wait_for("snapshot")
        if again.data["ballots"] == 1:  # of the last tick; the next one has it
            again = after.wait_for("totals")
        self.assertEqual(again.data["ballots"], 2)
        self.assertEqual(again.id.split("-")[0], seen.id.split("-")[0])
        self.assertNotEqual(again.id, seen.id)

    def test_a_hidden_poll_gives_nothing_away_until_it_is_shown(self):
        poll = self.open(visibility="after_close")
        stream = self.of_poll(poll, "?by=territory")
        several = self.stream(f"/v1/stream?polls={poll}")
        for reader in (stream, several):
            hidden = reader.next()
            self.assertEqual((hidden.name, hidden.data),
                             ("hidden", {"poll": poll, "state": "open",
                                         "until": "the poll is closed"}))
            self.assertIsNone(hidden.id)
        for number in range(7):
            self.vote(poll, f"voter-{number}")
        self.assertTrue(stream.is_silent(5 * TICK_S))
        self.assertNotIn("ballots", "".join(stream.raw))
        self.server.change_poll(poll, "close")
        before_it_shows = []
        while (event := stream.next()).name != "snapshot":
            before_it_shows.append(event)
        for event in before_it_shows:
            self.assertEqual((event.name, sorted(event.data), event.id),
                             ("state", ["final", "poll", "state"], None))
        self.assertEqual((event.data["ballots"], event.data["final"]), (7, True))
        self.assertEqual(several.wait_for("totals").data["ballots"], 7)

    def test_after_vote_shows_the_counts_to_a_voter_alone(self):
        poll = self.open(visibility="after_vote")
        self.vote(poll, "anna")
        token = self.server.issuer.vote(poll, sub_of(poll, "anna"), "75701310")
        self.assertEqual(self.of_poll(poll, token=token).next().name, "snapshot")
        self.assertEqual(self.stream(f"/v1/stream?polls={poll}", token=token).next().name,
                         "totals")
        self.assertEqual(self.of_poll(poll).next().name, "hidden")
        other = self.server.issuer.vote("another", sub_of("another", "anna"), "75701310")
        self.assertEqual(self.of_poll(poll, token=other).next().name, "hidden")
        forged = token[:-4] + ("AAAA" if not token.endswith("AAAA") else "BBBB")
        self.assert_refused(self.server.request("GET", f"/v1/polls/{poll}/stream", token=forged),
                            401, "token-invalid")

    def test_several_polls_side_by_side(self):
        names = [f"{self.poll_id}-{number}" for number in (1, 2)]
        for name in names:
            self.server.open_poll(veche.poll(name))
        stream = self.stream(f"/v1/stream?polls={','.join(names)},{names[0]}")
        begin = [stream.next(), stream.next()]
        self.assertEqual(sorted(event.data["poll"] for event in begin), names)
        self.assertEqual({event.name for event in begin}, {"totals"})
        self.vote(names[1], "anna")
        changed = stream.next()
        self.assertEqual((changed.name, changed.data["poll"], changed.data["ballots"]),
                         ("totals", names[1], 1))
        self.server.change_poll(names[0], "close")
        state = stream.wait_for("state", lambda data: data["final"])
        self.assertEqual(state.data["poll"], names[0])

    def test_what_cannot_be_streamed_is_refused(self):
        poll = self.open()
        for target, status, code in (
                ("/v1/polls/nowhere/stream", 404, "unknown-poll"),
                (f"/v1/stream?polls={poll},nowhere", 404, "unknown-poll"),
                ("/v1/stream", 400, "bad-parameter"),
                ("/v1/stream?polls=", 400, "bad-parameter"),
                ("/v1/stream?polls=" + ",".join(f"p{n}" for n in range(33)), 400,
                 "bad-parameter"),
                (f"/v1/polls/{poll}/stream?level=2", 400, "bad-parameter"),
                (f"/v1/polls/{poll}/stream?by=territory&level=9", 400, "bad-parameter"),
                (f"/v1/polls/{poll}/stream?by=territory&parent=75999999", 400, "bad-parameter"),
                (f"/v1/polls/{poll}/stream?view=exact", 400, "bad-parameter")):
            self.assert_refused(self.server.get(target), status, code)

    def test_views_above_the_limit_are_refused_until_there_is_room(self):
        places = [f"{2_000_000 + i:08}" for i in range(4_200)] + ["01000000", "75000000"]
        rows = [f"{code},Place,rural_settlement,0," for code in places]
        tree = "\n".join(["oktmo8,name,kind,level,parent_oktmo8", *rows]) + "\n"
        answer = self.server.request("PUT", "/v1/territories", tree.encode(),
                                     {"Content-Type": "text/csv"}, self.server.staff("operator"))
        self.assertIn(answer.status, (200, 201), answer.body)
        self.addCleanup(self.server.request, "PUT", "/v1/territories", veche.TERRITORIES.encode(),
                        {"Content-Type": "text/csv"}, self.server.staff("operator"))
        poll = self.open()
        sockets = []
        self.addCleanup(lambda: [each.close() for each in sockets])

        def is_taken(view):
            sockets.append(socket.create_connection(("127.0.0.1", self.server.port), 15))
            sockets[-1].sendall(f"GET /v1/polls/{poll}/stream?by=territory&parent={places[view]} HTTP/1.1"
                                "\r\nHost: veche\r\n\r\n".encode())
            answer = sockets[-1].recv(65536)
            self.assertEqual(answer.split()[1], b"200")
            return b"Content-Length" not in answer

        fit = 0
        while is_taken(fit):
            fit += 1
        self.assertLessEqual(fit, 4096)
        self.assertGreater(fit, 4000, "other tests have but a few")
        assert_come_back(self, self.server.get(
            f"/v1/polls/{poll}/stream?by=territory&parent={places[-1]}"))
        self.assertTrue(is_taken(0), "a view that is there already takes no room")
        for each in sockets[:20]:
            each.close()
        veche.eventually(lambda: is_taken(-1))

    def test_head_gets_the_headers_alone(self):
        poll = self.open()
        with self.server.connect() as connection:
            answer = connection.request("HEAD", f"/v1/polls/{poll}/stream")
            self.assertEqual((answer.status, answer.headers["content-type"], answer.body),
                             (200, "text/event-stream", b""))

    def test_metrics_tell_how_many_read_and_what_they_were_sent(self):
        poll = self.open()
        before = self.server.metrics()["veche_stream_events_total"]
        streams = [self.of_poll(poll) for _ in range(3)]
        for stream in streams:
            stream.next()
        # Events are added up a few times a second.
        veche.eventually(lambda: self.server.metrics()["veche_stream_events_total"] >= before + 3)
        metrics = self.server.metrics()
        readers = sum(value for name, value in metrics.items()
                      if name.startswith("veche_stream_readers{"))
        self.assertGreaterEqual(readers, 3)
        self.assertGreater(metrics["veche_stream_encode_seconds_count"], 0)

    def test_a_ballot_is_shown_soon_after_it_was_taken(self):
        poll = self.open()
        stream = self.of_poll(poll)
        stream.next()
        late = []
        for number in range(100):
            taken_at = self.vote(poll, f"voter-{number}")
            event = stream.wait_for("totals", lambda data, n=number: data["ballots"] > n)
            late.append(max(event.at - taken_at, 0))
        late.sort()
        print(f"\nfrom 201 to the event at a tick of {TICK_S * 1000:.0f} ms: "
              f"p50 {late[50] * 1000:.1f} ms, p99 {late[98] * 1000:.1f} ms")
        self.assertLess(late[98], 1.0 if veche.SANITIZED else 0.1 + 0.2)


class Scripted:
    """A server whose streams are these events in one piece, and then nothing for long."""

    def __init__(self, events):
        stream = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                is_stream = self.path.endswith("/stream")
                body = stream if is_stream else json.dumps({"id": "p", "title": "P",
                                                            "questions": []})
                self.send_response(200)
                self.send_header("Content-Type",
                                 "text/event-stream" if is_stream else "application/json")
                if not is_stream:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())
                self.wfile.flush()
                if is_stream:
                    self.rfile.read(1)  # until the reader leaves

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self):
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@veche.needs_binary
class Watching(StreamCase):
    def watch(self, *arguments, server=None, **more):
        process = subprocess.Popen([veche.BINARY, "watch", *arguments, "--server",
                                    server or self.server.url], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, **more)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def test_in_a_pipe_an_event_is_a_line_until_the_result_is_final(self):
        poll = self.open()
        process = self.watch(poll)
        first = json.loads(process.stdout.readline())
        self.assertEqual((first["event"], first["data"]["ballots"]), ("snapshot", 0))
        self.vote(poll, "anna")
        second = json.loads(process.stdout.readline())
        self.assertEqual((second["event"], second["data"]["ballots"]), ("totals", 1))
        self.server.change_poll(poll, "close")
        rest, errors = process.communicate(timeout=10)
        last = json.loads(rest.splitlines()[-1])
        self.assertTrue(last["data"]["final"])
        self.assertEqual((process.returncode, errors), (0, ""))

    def test_it_ends_where_a_poll_was_cancelled_before_it_opened(self):
        self.server.create_poll(veche.poll(self.poll_id))
        process = self.watch(self.poll_id)
        self.assertEqual(json.loads(process.stdout.readline())["data"]["state"], "scheduled")
        self.server.change_poll(self.poll_id, "cancel")
        for follower in (process, self.watch(self.poll_id)):
            rest, errors = follower.communicate(timeout=10)
            last = json.loads(rest.splitlines()[-1])
            self.assertEqual((last["data"]["state"], last["data"]["final"]), ("cancelled", False))
            self.assertEqual((follower.returncode, errors), (0, ""))

    def test_it_ends_where_a_hidden_poll_was_cancelled_before_it_opened(self):
        self.server.create_poll(veche.poll(self.poll_id, visibility="after_close"))
        self.server.change_poll(self.poll_id, "cancel")
        process = self.watch(self.poll_id)
        out, errors = process.communicate(timeout=10)
        self.assertEqual([json.loads(line)["event"] for line in out.splitlines()], ["hidden"])
        self.assertEqual((process.returncode, errors), (0, ""))

    def test_it_ends_where_a_cancelled_poll_stays_hidden(self):
        poll = self.open(visibility="after_certification")
        process = self.watch(poll)
        process.stdout.readline()
        self.server.change_poll(poll, "cancel")
        for follower in (process, self.watch(poll)):
            rest, errors = follower.communicate(timeout=10)
            self.assertEqual(json.loads(rest.splitlines()[-1])["data"]["state"], "cancelled")
            self.assertEqual((follower.returncode, errors), (0, ""))

    def test_it_waits_for_the_counts_of_a_poll_that_was_cancelled_while_open(self):
        for visibility in ("public_live", "after_close"):
            poll = f"{self.poll_id[:35]}-{visibility.replace('_', '-')}"
            self.server.open_poll(veche.poll(poll, visibility=visibility))
            self.vote(poll, "anna")
            process = self.watch(poll)
            process.stdout.readline()
            self.server.change_poll(poll, "cancel")
            rest, errors = process.communicate(timeout=10)
            told = [json.loads(line)["data"] for line in rest.splitlines()]
            self.assertEqual((told[-1]["state"], told[-1]["final"]), ("cancelled", True))
            self.assertEqual((process.returncode, errors), (0, ""))

    def test_what_came_with_the_final_counts_is_printed_too(self):
        with Scripted([("totals", self.final_counts()), ("territories", {}),
                       ("state", {"poll": "p", "state": "closed", "final": True})]) as url:
            process = self.watch("p", server=url)
            out, errors = process.communicate(timeout=10)
        self.assertEqual([json.loads(line)["event"] for line in out.splitlines()],
                         ["totals", "territories", "state"])
        self.assertEqual((process.returncode, errors), (0, ""))

    def test_once_is_once_whatever_came_with_it(self):
        with Scripted([("totals", self.final_counts()),
                       ("state", {"poll": "p", "state": "closed", "final": True})]) as url:
            out, _ = self.watch("p", "--once", server=url).communicate(timeout=10)
        self.assertEqual([json.loads(line)["event"] for line in out.splitlines()], ["totals"])

    @staticmethod
    def final_counts():
        return {"poll": "p", "state": "closed", "final": True, "as_of": "2026-09-01T00:00:00Z",
                "turnout": 0, "ballots": 0, "suppressed": None, "questions": []}

    def test_once_ends_after_the_first_event(self):
        poll = self.open(visibility="after_close")
        out, _ = self.watch(poll, "--once").communicate(timeout=10)
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([line["event"] for line in lines], ["hidden"])

    def test_a_token_shows_what_only_voters_may_see(self):
        poll = self.open(visibility="after_vote")
        token = self.server.issuer.vote(poll, sub_of(poll, "anna"), "75701310")
        out, _ = self.watch(poll, "--once", env={**os.environ, "VECHE_TOKEN": token}).communicate(
            timeout=10)
        self.assertEqual(json.loads(out)["event"], "snapshot")

    def test_it_ends_with_its_reader_though_nothing_happens(self):
        process = self.watch(self.open())
        self.assertEqual(json.loads(process.stdout.readline())["event"], "snapshot")
        process.stdout.close()
        self.assertEqual(process.wait(timeout=10), -signal.SIGPIPE)
        self.assertEqual(process.stderr.read(), "")

    def test_what_cannot_be_printed_is_told(self):
        with open("/dev/full", "wb") as full:
            process = subprocess.Popen([veche.BINARY, "watch", self.open(), "--once", "--server",
                                        self.server.url], stdout=full, stderr=subprocess.PIPE,
                                       text=True)
            _, errors = process.communicate(timeout=10)
        self.assertEqual((process.returncode, errors),
                         (1, "veche: the output could not be written: No space left on device\n"))

    def test_a_stream_that_makes_no_sense_is_a_fault(self):
        for name, data in (("totals", {}), ("snapshot", []), ("totals", 7), ("hidden", {"until": 1})):
            with Scripted([(name, data)]) as url:
                process = self.watch("p", server=url)
                out, errors = process.communicate(timeout=10)
            self.assertEqual((process.returncode, out), (1, ""), errors)
            self.assertIn("veche watch: ", errors)

    def test_ctrl_c_ends_it_in_order(self):
        process = self.watch(self.open())
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=5)
        self.assertEqual((process.returncode, out, errors), (130, "", ""))

    def test_an_unknown_poll_is_told(self):
        process = self.watch("nowhere")
        _, errors = process.communicate(timeout=10)
        self.assertEqual(process.returncode, 1)
        self.assertIn("unknown-poll", errors)

    def test_a_terminal_shows_bars_that_move_in_place(self):
        poll = self.open()
        main, side = os.openpty()
        process = subprocess.Popen([veche.BINARY, "watch", poll, "--server", self.server.url,
                                    "--lang", "ru"], stdout=side, stderr=side,
                                   env={**os.environ, "TERM": "xterm"})
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        os.close(side)
        self.addCleanup(os.close, main)
        self.assertIn("0 бюллетеней", self.screen_until(main, "Option c"))
        self.vote(poll, "anna", "b")
        screen = self.screen_until(main, "100.0 %")
        self.assertIn("█", screen + self.screen_until(main, "█"))
        self.assertRegex(screen, r"\x1b\[\d+A")

    def test_a_dumb_terminal_gets_what_a_pipe_gets(self):
        main, side = os.openpty()
        process = subprocess.Popen([veche.BINARY, "watch", self.open(), "--once", "--server",
                                    self.server.url], stdout=side, stderr=side,
                                   env={**os.environ, "TERM": "dumb"})
        os.close(side)
        self.addCleanup(os.close, main)
        screen = self.screen_until(main, "\n")
        self.assertEqual(process.wait(timeout=10), 0)
        self.assertNotIn("\x1b", screen)
        self.assertEqual(json.loads(screen)["event"], "snapshot")

    def screen_until(self, terminal, text, within=10):
        seen = b""
        deadline = time.monotonic() + within
        while text.encode() not in seen:
            readable, _, _ = select.select([terminal], [], [], deadline - time.monotonic())
            self.assertTrue(readable, seen)
            seen += os.read(terminal, 65536)
        return seen.decode("utf-8", "replace")


@veche.needs_binary
class Options(unittest.TestCase):
    def test_a_tick_out_of_range_is_refused(self):
        for tick in ("19ms", "61s", "0s", "1", "s", "-1s", "1m"):
            done = subprocess.run([veche.BINARY, "serve", "--data", "d", "--jwks", "j",
                                   "--voter-secret", "v", f"--tick={tick}"], capture_output=True,
                                  text=True, timeout=10)
            self.assertEqual(done.returncode, 2, tick)
            self.assertIn("20ms to 60s", done.stderr)


@veche.needs_binary
class Ends(unittest.TestCase):
    @staticmethod
    def accepts(port):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    def test_a_reader_who_asks_in_the_drain_comes_back_to_the_next_server(self):
        """Its request was begun before; EventSource would take 503 for the last word."""
        server = veche.Server()
        self.addCleanup(server.close)
        server.start()
        server.open_poll(veche.poll("drained"))
        for target in ("/v1/polls/drained/stream", "/v1/stream?polls=drained"):
            with server.connect() as reader, server.connect() as other:
                for connection, path in ((reader, target), (other, "/v1/polls/drained/results")):
                    connection.send(f"GET {path} HTTP/1.1\r\nHost: ".encode())
                time.sleep(0.1)  # the server has read it: an idle connection would be closed
                server.process.send_signal(signal.SIGTERM)
                deadline = time.monotonic() + 10
                while self.accepts(server.port):
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.01)
                reader.send(b"veche\r\n\r\n")
                assert_come_back(self, reader.read_answer("GET"))
                other.send(b"veche\r\n\r\n")
                refused = other.read_answer("GET")
                self.assertEqual((refused.status, refused.code), (503, "draining"))
            self.assertEqual(server._wait(), 0)
            server.start()

    def test_a_server_that_drains_says_when_to_come_back(self):
        server = veche.Server(options=StreamCase.options).start()
        self.addCleanup(server.close)
        server.open_poll(veche.poll("drained"))
        streams = [Stream(server.port, "/v1/polls/drained/stream") for _ in range(5)]
        epochs = {stream.next().id.split("-")[0] for stream in streams}
        begin = time.monotonic()
        self.assertEqual(server.stop(), 0)
        self.assertLess(time.monotonic() - begin, 10)
        for stream in streams:
            bye = stream.wait_for("bye")
            self.assertTrue(1000 <= bye.retry <= 5000, bye.retry)
            self.assertIsNone(stream.next())
            stream.close()
        server.start()
        with Stream(server.port, "/v1/polls/drained/stream") as stream:
            self.assertNotIn(stream.next().id.split("-")[0], epochs)

    def assert_lost(self, process):
        readable, _, _ = select.select([process.stderr], [], [], 10)
        self.assertTrue(readable, "not a word about the loss")
        self.assertEqual(process.stderr.readline(), "veche watch: lost the stream; trying again\n")

    def test_watch_comes_back_when_the_server_does(self):
        server = veche.Server(options=StreamCase.options).start()
        self.addCleanup(server.close)
        server.open_poll(veche.poll("returning"))
        process = subprocess.Popen([veche.BINARY, "watch", "returning", "--server", server.url],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        seen = [json.loads(process.stdout.readline())]
        server.stop()
        self.assertEqual(json.loads(process.stdout.readline())["event"], "bye")
        self.assert_lost(process)
        for end in (server.kill, server.stop):
            server.start()
            seen.append(json.loads(process.stdout.readline()))
            self.assertEqual(seen[-1]["event"], "snapshot")
            self.assertNotEqual(seen[-1]["id"], seen[-2]["id"])
            end()
            self.assert_lost(process)
        time.sleep(1.5)  # tries that fail are no further losses
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=10)
        self.assertEqual([json.loads(line)["event"] for line in out.splitlines()], ["bye"])
        self.assertEqual((process.returncode, errors), (130, ""))


@veche.needs_binary
class BehindNginx(StreamCase):
    """As it is installed: buffering on, HTTP/1.0 to the server, and no word about streams."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = pathlib.Path(tempfile.mkdtemp(prefix="veche-nginx-"))
        cls.addClassCleanup(shutil.rmtree, folder, True)
        folder.chmod(0o755)  # its workers are nobody, and large bodies go through files
        cls.port = veche.free_port()
        (folder / "nginx.conf").write_text(nginx_config(folder, cls.port, cls.server.port))
        nginx = subprocess.Popen(["/usr/sbin/nginx", "-c", folder / "nginx.conf", "-p", folder,
                                  "-e", folder / "error.log"], stderr=subprocess.DEVNULL)
        cls.addClassCleanup(nginx.wait)
        cls.addClassCleanup(nginx.send_signal, signal.SIGTERM)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                return Stream(cls.port, "/livez").close()
            except OSError:
                time.sleep(0.02)
        raise AssertionError((folder / "error.log").read_text())

    def test_events_pass_at_once(self):
        poll = self.open()
        stream = self.of_poll(poll, port=self.port)
        self.assertEqual(stream.next().name, "snapshot")
        for number in range(5):
            taken_at = self.vote(poll, f"voter-{number}")
            event = stream.wait_for("totals", lambda data, n=number: data["ballots"] > n)
            self.assertLess(event.at - taken_at, 1)

    def test_the_server_hears_of_a_reader_who_leaves(self):
        poll = self.open()
        stream = self.of_poll(poll, port=self.port)
        stream.next()
        self.assertEqual(self.readers(), 1)
        stream.close()
        veche.eventually(lambda: self.readers() == 0)

    def test_a_batch_of_megabytes_passes(self):
        """The lines are as long as they may be: a few of them are megabytes."""
        poll = self.open()
        line = json.dumps(self.server.line(poll, sub_of(poll, "anna"), "a")) + " " * 60_000 + "\n"
        body = line.encode() * 160
        with veche.Connection(self.port, 30) as connection:
            answer = connection.request("POST", "/v1/ballots", body,
                                        {"Content-Type": "application/x-ndjson"},
                                        self.server.issuer.batch(body, 160))
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual((answer.json()["accepted"], answer.json()["recorded"]), (1, 159))

    def test_a_reader_comes_back_although_the_server_was_away(self):
        """An EventSource never gets over the 502 of a proxy: it is told to come back instead."""
        poll = self.open()
        self.server.kill()
        with veche.Connection(self.port, 30) as connection:
            away = connection.request("GET", f"/v1/polls/{poll}/stream")
        self.assertEqual((away.status, away.headers["content-type"], away.headers["cache-control"],
                          away.body), (200, "text/event-stream", "no-store", b"retry: 3000\n\n"))
        with veche.Connection(self.port, 30) as connection:
            self.assertEqual(connection.request("GET", "/livez").status, 502)
        self.server.start()
        self.assertEqual(self.of_poll(poll, port=self.port).next().name, "snapshot")

    def readers(self):
        return sum(value for name, value in self.server.metrics().items()
                   if name.startswith("veche_stream_readers{"))
