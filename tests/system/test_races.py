"""A thousand clients with one voter: exactly one ballot counts."""

import collections
import json
import resource
import threading
import time
import unittest

import veche
from minting import sub_of

CLIENTS = 1000
VOTERS = 4


def allow_many_files():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))


class AtOnce:
    """Connections that have sent all of a request but its last byte, and then send it together."""

    def __init__(self, port, requests):
        self.connections = []
        for request in requests:
            connection = veche.Connection(port, timeout=30)
            connection.send(request[:-1])
            self.connections.append((connection, request[-1:]))

    def release(self):
        for connection, last in self.connections:
            connection.send(last)
        answers = [connection.read_answer() for connection, _ in self.connections]
        for connection, _ in self.connections:
            connection.close()
        return answers


class Races(veche.ServerCase):
    @classmethod
    def setUpClass(cls):
        allow_many_files()
        super().setUpClass()

    def requests(self, poll, sub):
        token = self.server.issuer.vote(poll, sub, "75701310")
        return [veche.encode_request("POST", f"/v1/polls/{poll}/ballots",
                                     veche.answers("ab"[i % 2]), token=token)
                for i in range(CLIENTS)]

    def assert_one_counts(self, answers, choices):
        """Whose choice counts, and with which receipt."""
        statuses = collections.Counter(answer.status for answer in answers)
        self.assertEqual(statuses, {201: 1, 200: CLIENTS // 2 - 1, 409: CLIENTS // 2})
        good = [(choice, answer.json()["receipt"]) for answer, choice in zip(answers, choices)
                if answer.status in (200, 201)]
        (winner, receipt), = set(good)
        for answer in answers:
            if answer.status == 409:
                self.assert_refused(answer, 409, "already-voted")
        return winner, receipt

    def test_a_thousand_clients_with_one_voter(self):
        poll = self.open()
        choices = ["ab"[i % 2] for i in range(CLIENTS)]
        counted = collections.Counter()
        for voter in range(VOTERS):
            requests = self.requests(poll, sub_of("raced", voter))
            answers = AtOnce(self.server.port, requests).release()
            winner, receipt = self.assert_one_counts(answers, choices)
            counted[winner] += 1
            again = AtOnce(self.server.port, requests).release()
            for answer, choice in zip(again, choices):
                self.assertEqual(answer.status, 200 if choice == winner else 409)
                self.assertEqual(answer.json().get("receipt"),
                                 receipt if choice == winner else None)
        self.assert_counts(poll, counted)

    def test_all_voters_raced_at_once_by_single_ballots_and_batches(self):
        """Eight gateways post the same thousand voters, every other one with other answers, while
        single clients post them, too."""
        poll = self.open()
        subs = [sub_of("crowd", i) for i in range(1000)]
        outcomes, gathered = [], threading.Lock()

        def gateway(choice):
            lines = [self.server.line(poll, sub, choice) for sub in subs]
            answer = self.server.post_batch(lines, "?detail=all")
            with gathered:
                outcomes.extend(zip(subs, [choice] * len(subs), json.loads(
                    b"[" + b",".join(answer.body.splitlines()) + b"]")))

        def single(choice):
            for sub in subs[::10]:
                answer = self.server.vote(poll, sub, choice)
                with gathered:
                    outcomes.append((sub, choice, {"status": answer.status, **answer.json()}))

        threads = [threading.Thread(target=gateway, args=("ab"[i % 2],)) for i in range(8)]
        threads += [threading.Thread(target=single, args=("ab"[i % 2],)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(outcomes), 8 * 1000 + 4 * 100, "a batch was refused as a whole")
        counted = self.assert_each_voter_counted_once(outcomes)
        self.assert_counts(poll, collections.Counter(counted.values()))

    def assert_each_voter_counted_once(self, outcomes):
        by_voter = collections.defaultdict(list)
        for sub, choice, outcome in outcomes:
            by_voter[sub].append((outcome["status"], choice, outcome.get("receipt")))
        counted = {}
        for sub, seen in by_voter.items():
            self.assertEqual([status for status, _, _ in seen].count(201), 1, seen)
            winner, = {choice for status, choice, _ in seen if status in (200, 201)}
            self.assertEqual(len({receipt for status, _, receipt in seen
                                  if status in (200, 201)}), 1, seen)
            self.assertTrue(all((status in (200, 201)) == (choice == winner)
                                for status, choice, _ in seen), seen)
            counted[sub] = winner
        return counted


class CloseRace(veche.ServerCase):
    def test_a_close_amid_ballots_splits_them_cleanly(self):
        """What was accepted before is counted, what came after got 410, and nothing else."""
        for attempt in range(5):
            poll = self.server.open_poll(veche.poll(f"split-{attempt}"))["id"]
            subs = [sub_of(attempt, i) for i in range(3000)]
            answered = []

            def gateway(part):
                for at in range(0, len(part), 50):
                    answer = self.server.post_batch(
                        [self.server.line(poll, sub, "a") for sub in part[at:at + 50]],
                        "?detail=all")
                    answered.extend(json.loads(line) for line in answer.body.splitlines())

            threads = [threading.Thread(target=gateway, args=(subs[i::4],)) for i in range(4)]
            for thread in threads:
                thread.start()
            time.sleep(0.03)
            closed = veche.known(lambda: self.server.change_poll(poll, "close"))
            self.assertIn(closed.code or closed.status, (200, "wrong-state"))
            shown = self.server.results(poll)
            for thread in threads:
                thread.join()
            statuses = collections.Counter(item["status"] for item in answered)
            self.assertEqual(sum(statuses.values()), len(subs))
            self.assertLessEqual(statuses.keys(), {201, 410}, statuses)
            self.assertTrue(shown["final"])
            self.assertEqual(shown["ballots"], statuses[201])
            self.assertEqual(self.server.results(poll)["ballots"], statuses[201])


if __name__ == "__main__":
    unittest.main()
