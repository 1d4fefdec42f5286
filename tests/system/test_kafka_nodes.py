"""Several equal nodes over one log in a real Kafka."""

import collections
import json
import random
import shutil
import signal
import threading
import time
import unittest

import checker
import crash
import veche
from minting import sub_of

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
PAUSE_SECONDS = 13  # longer than every deadline of a request, of a record and of a connection


def start_nodes(case, count, **log_options):
    """Equal nodes, all serving."""
    first = veche.Server(log=veche.KafkaLog(**log_options))
    nodes = [first] + [veche.Server(beside=first) for _ in range(count - 1)]
    for node in nodes:
        case.addCleanup(node.close)
        node.start()
    return nodes


def until(seconds, happened):
    """Whether it happened in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if happened():
            return True
        time.sleep(0.05)
    return bool(happened())


def counts(results):
    return {member: results[member] for member in ("state", "ballots", "questions", "territories")}


class NodesCase(unittest.TestCase):
    def assert_equal_in_all(self, nodes, poll, ballots):
        """The same results everywhere; and, stopped, the same hashes as a node that starts from
        nothing and as the recount. The nodes are stopped then."""
        shown = [counts(node.settled_results(poll, ballots)) for node in nodes]
        self.assertEqual(shown[0]["ballots"], ballots)
        for other in shown[1:]:
            self.assertEqual(other, shown[0])
        for node in nodes:
            self.assertEqual(node.stop(), 0, node.errors())
        stopped = [node.positions("stop") for node in nodes]
        compared = 0
        for earlier, later in zip(stopped, stopped[1:]):
            for partition, position in earlier.items():
                if position[0] == later[partition][0]:
                    compared += 1
                    self.assertEqual(position, later[partition], partition)
        self.assertGreater(compared, len(stopped), "too few partitions stood still")
        rebuilt = veche.Server(beside=nodes[0])
        self.addCleanup(rebuilt.close)
        rebuilt.start()
        self.assertEqual(rebuilt.positions("start"), stopped[-1])
        self.assertEqual(counts(rebuilt.settled_results(poll, ballots)), shown[0])
        self.assertEqual(rebuilt.stop(), 0)
        for node in [*nodes, rebuilt]:
            done = node.recount("--json")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            report = json.loads(done.stdout)
            self.assertGreater(report["tails"]["compared"], 0)
            self.assertEqual(report["tails"]["different"], 0)


@veche.needs_binary
class SameVoterEverywhere(NodesCase):
    """Each voter sends another choice to each node, to all at the same time."""

    ROUNDS, BATCH, SINGLES = 10, 2000, 400

    def race(self, nodes, poll, subs, send):
        """[(sub, choice, outcome)] of all nodes."""
        outcomes, gathered, begin = [], threading.Lock(), threading.Barrier(len(nodes))

        def client(node, choice):
            begin.wait()
            answers = send(node, poll, subs, choice)
            with gathered:
                outcomes.extend((sub, choice, answer) for sub, answer in zip(subs, answers))

        threads = [threading.Thread(target=client, args=(node, "abc"[i]))
                   for i, node in enumerate(nodes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return outcomes

    @staticmethod
    def in_a_batch(node, poll, subs, choice):
        answer = node.post_batch([node.line(poll, sub, choice) for sub in subs], "?detail=all")
        return [json.loads(line) for line in answer.body.splitlines()]

    @staticmethod
    def one_by_one(node, poll, subs, choice):
        """Pipelined, so that many are on their way at once."""
        with node.connect() as connection:
            for at in range(0, len(subs), 40):
                for sub in subs[at:at + 40]:
                    connection.send(veche.encode_request(
                        "POST", f"/v1/polls/{poll}/ballots", veche.answers(choice),
                        token=node.issuer.vote(poll, sub, "75701310")))
                for _ in subs[at:at + 40]:
                    answer = connection.read_answer()
                    yield {"status": answer.status, **answer.json()}

    def winners(self, outcomes):
        """{sub: (choice, receipt)}; every answer must fit to it."""
        by_voter = collections.defaultdict(list)
        for sub, choice, outcome in outcomes:
            by_voter[sub].append((outcome["status"], choice, outcome.get("receipt")))
        found = {}
        for sub, seen in by_voter.items():
            self.assertLessEqual({status for status, _, _ in seen}, {200, 201, 409}, seen)
            self.assertEqual([status for status, _, _ in seen].count(201), 1, seen)
            good = {(choice, receipt) for status, choice, receipt in seen if status in (200, 201)}
            self.assertEqual(len(good), 1, seen)
            found[sub], = good
        return found

    def run_with(self, count):
        nodes = start_nodes(self, count)
        poll = nodes[0].open_poll(veche.poll("raced"))["id"]
        counted = {}
        for number in range(self.ROUNDS):
            subs = [sub_of("batch", number, i) for i in range(self.BATCH)]
            counted |= self.winners(self.race(nodes, poll, subs, self.in_a_batch))
            subs = [sub_of("single", number, i) for i in range(self.SINGLES)]
            counted |= self.winners(self.race(nodes, poll, subs, self.one_by_one))
        self.assertEqual(len(counted), self.ROUNDS * (self.BATCH + self.SINGLES))
        won = collections.Counter(choice for choice, _ in counted.values())
        self.assertGreater(len(won), 1, "one node was always first: this was no race")
        self.assert_every_node_says_so(nodes, poll, counted)
        self.assertEqual(veche.votes_of(nodes[-1].results(poll)),
                         {"a": 0, "b": 0, "c": 0, **won})
        self.assert_equal_in_all(nodes, poll, len(counted))

    def assert_every_node_says_so(self, nodes, poll, counted):
        """Asked again, the same and other choices: the same receipt, and 409."""
        subs = list(counted)
        for node in nodes:
            for choice in "abc"[:len(nodes)]:
                for at in range(0, len(subs), 5000):
                    part = subs[at:at + 5000]
                    for sub, outcome in zip(part, self.in_a_batch(node, poll, part, choice)):
                        winner, receipt = counted[sub]
                        self.assertEqual((outcome["status"], outcome.get("receipt")),
                                         (200, receipt) if choice == winner else (409, None))

    def test_two_nodes(self):
        self.run_with(2)

    def test_three_nodes(self):
        self.run_with(3)


@veche.needs_binary
class NodesDie(unittest.TestCase):
    def test_killed_paused_wiped_and_stopped_nodes_lose_and_double_nothing(self):
        scenario = crash.Scenario(log=veche.KafkaLog(), nodes=3, pause_seconds=0.01)
        self.addCleanup(scenario.close)
        scenario.begin()
        dice = scenario.dice
        for number in range(crash.rounds(50) // 2):
            time.sleep(dice.uniform(0.05, 0.6))
            node = dice.choice(scenario.servers)
            if number % 5 == 4:
                scenario.stop(node)
            else:
                node.kill()
            if number % 5 == 3:
                shutil.rmtree(node.data)  # as a new machine in its place
            node.start()
        node = dice.choice(scenario.servers)
        node.process.send_signal(signal.SIGSTOP)
        time.sleep(PAUSE_SECONDS)
        node.process.send_signal(signal.SIGCONT)
        time.sleep(1)
        faults = scenario.end()
        self.assertEqual(faults[:checker.MAX_REPORTED], [])
        statuses = {request["status"] for request in scenario.load.requests}
        self.assertLessEqual({200, 201, 409, 410, None}, statuses, "the load met too little")
        self.assertGreater(len(scenario.staff.closed), 0, "no poll closed in the middle")

    def test_a_change_cut_off_half_way_is_finished_by_another_node(self):
        nodes = start_nodes(self, 2)
        dice, finished = random.Random(7), 0
        for number in range(12):
            name = f"cut-{number}"
            self.assertEqual(nodes[0].create_poll(veche.poll(name)).status, 201)
            for action, state in (("open", "open"), ("close", "closed")):
                self.kill_amid(nodes[0], name, action, dice.uniform(0, 0.012))
                took = until(3, lambda: self.state(nodes[1], name) == state)
                finished += took
                if not took:  # it never came into the log
                    self.assertIn(nodes[1].change_poll(name, action).status, (200, 409))
                self.assertTrue(until(10, lambda: self.state(nodes[1], name) == state))
                if action == "open":
                    for i in range(8):  # every partition takes ballots
                        answer = nodes[1].vote(name, sub_of(name, i), "a")
                        self.assertEqual(answer.status, 201, answer)
                else:
                    self.assertTrue(until(10, lambda: nodes[1].results(name)["final"]))
                nodes[0].start()
        self.assertGreater(finished, 0, "no change survived its node")
        for number in range(12):
            shown = [counts(node.settled_results(f"cut-{number}", 8)) for node in nodes]
            self.assertEqual(shown[0], shown[1])
            self.assertTrue(nodes[0].results(f"cut-{number}")["final"])

    def kill_amid(self, node, name, action, seconds):
        role = "operator" if action == "close" else "approver"
        with node.connect() as connection:
            connection.send(veche.encode_request(
                "POST", f"/v1/polls/{name}/transitions", {"action": action, "reason": "a test"},
                token=node.issuer.staff(role)))
            time.sleep(seconds)
            node.kill()

    @staticmethod
    def state(node, name):
        return node.get(f"/v1/polls/{name}").json().get("state")


@veche.needs_binary
@unittest.skipIf(veche.SANITIZED, "libfaketime and a sanitizer's run-time both want to come first")
class Clocks(unittest.TestCase):
    def add_node(self, first, offset):
        node = veche.Server(beside=first)
        self.addCleanup(node.close)
        node.environment = {"LD_PRELOAD": FAKETIME, "FAKETIME": offset,
                            "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        node.start()
        return node

    def test_a_node_with_a_wrong_clock_is_not_ready_and_opens_nothing(self):
        for offset in ("+6s", "-6s"):
            with self.subTest(offset=offset):
                right = start_nodes(self, 2)
                wrong = self.add_node(right[0], offset)
                # Within seconds, or on busy cores with the others' next tails, a minute later.
                self.assertTrue(until(75, lambda: wrong.get("/readyz").status == 503))
                answer = wrong.get("/readyz")
                self.assertEqual((answer.status, answer.code), (503, "not-ready"))
                self.assertIn("clock", answer.json()["detail"])
                self.assertIn("retry-after", answer.headers)
                for node in right:
                    self.assertEqual(node.get("/readyz").status, 200)
                self.assert_opens_in_time(right, wrong)

    def assert_opens_in_time(self, right, wrong):
        poll = veche.poll("timely", opens_in=4)
        opens_at = time.time() + 3  # at the earliest, as times are whole seconds
        self.assertEqual(right[0].create_poll(poll).status, 201)
        self.assertTrue(until(5, lambda: all(
            node.get("/v1/polls/timely").status == 200 for node in [*right, wrong])))
        while time.time() < opens_at:
            self.assertEqual(right[1].get("/v1/polls/timely").json()["state"], "scheduled")
            time.sleep(0.1)
        self.assertTrue(until(5, lambda: all(
            node.get("/v1/polls/timely").json()["state"] == "open" for node in [*right, wrong])))
        self.assertEqual(wrong.vote("timely", sub_of("late"), "a").status, 201)

    def test_a_lone_newcomer_with_a_wrong_clock_does_not_unseat_the_node_that_was_there(self):
        right, = start_nodes(self, 1)
        wrong = self.add_node(right, "+6s")
        self.assertTrue(until(10, lambda: wrong.get("/readyz").status == 503))
        self.assertEqual(right.get("/readyz").status, 200)


if __name__ == "__main__":
    unittest.main()
