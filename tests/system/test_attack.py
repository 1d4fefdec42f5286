"""Everything that a real server publishes of polls that disclose in steps, while voters vote, goes
to the attack of tests/attack: it must not be able to isolate anybody. What is shown at the end is
the truth, in the groups that the rules of tests/attack/model.py make."""

import collections
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import veche
from minting import sub_of

sys.path.insert(0, str(veche.REPOSITORY / "tests/attack"))
import attack  # noqa: E402
import documents as published  # noqa: E402
import model  # noqa: E402
from random_polls import RandomPoll  # noqa: E402

TICK = "50ms"
SEEDS = 6
TRIES = 6
PAUSE_SECONDS = 0.02  # of a reader between two looks: shorter than a tick


def can_tick():
    return os.access(veche.BINARY, os.X_OK) and "--tick" in subprocess.run(
        [veche.BINARY, "serve", "--help"], capture_output=True, text=True, timeout=20).stdout


def territories_csv(territories):
    parents = {place["code"]: place["parent"] for place in territories}

    def level(code):
        return 0 if parents[code] is None else 1 + level(parents[code])

    return "oktmo8,name,kind,level,parent_oktmo8\n" + "".join(
        f"{code},Place {code},place,{level(code)},{parent or ''}\n"
        for code, parent in parents.items())


def whole_definition(random_poll):
    """With what a server asks for and the rules do not."""
    drawn = random_poll.definition
    return {**veche.poll(drawn["id"]), "targets": drawn["targets"],
            "expected_voters": drawn["expected_voters"], "disclosure": drawn["disclosure"],
            "questions": [{**question, "title": question["id"], "options": [
                {**option, "title": option["id"]} for option in question["options"]],
                # points in all, where the rules do not count them
                "max": 9 * question["max"] if question["kind"] == "points" else question["max"]}
                for question in drawn["questions"]]}


class Reader(threading.Thread):
    """Looks at everything, all the time. `documents` is shared: they stay in order."""

    def __init__(self, server, poll, paths, documents):
        super().__init__(daemon=True)
        self.server, self.poll, self.paths = server, poll, paths
        self.documents, self.failure = documents, None
        self.stopping = threading.Event()
        self.turn = 0
        tree = server.get("/v1/territories").json()["territories"]
        self.levels = 1 + max(place["level"] for place in tree)

    def run(self):
        try:
            with self.server.connect() as connection:
                while not self.stopping.is_set():
                    self.look(connection)
                    self.stopping.wait(PAUSE_SECONDS)
                self.turn = 0  # counters are worth most from the first ballot to the last
                self.look(connection)
        except Exception as failure:  # told by finish(), on the thread of the test
            self.failure = failure

    def finish(self):
        self.stopping.set()
        self.join(30)
        if self.failure:
            raise self.failure

    def look(self, connection):
        """The same at once in every look; narrowed lists, counters and the rest in turn."""
        base = f"/v1/polls/{self.poll}"
        self.take(connection, "results", f"{base}/results.json?by=territory")
        self.take(connection, "csv", f"{base}/results.csv?by=territory"
                  + ("&excel=1" if self.turn % 2 else ""))
        if self.turn % 5 == 1:
            self.take(connection, "results", f"{base}/results")
            self.take(connection, "results",
                      f"{base}/results?by=territory&level={self.turn // 5 % self.levels}")
        if self.turn % 5 == 0 and "/v1/polls/{poll}/turnout" in self.paths:
            self.take(connection, "turnout", f"{base}/turnout?step=1h")
        if self.turn % 5 == 0:
            self.documents.append(("metrics", self.server.metrics()))
        self.turn += 1

    def look_back(self):
        """At every version before the last: some may have come and gone unseen."""
        last = published.number_of(self.server.results(self.poll)["version"])
        for version in range(1, last):
            answer = self.server.get(f"/v1/polls/{self.poll}/results.json?by=territory"
                                     f"&version={version}")
            if answer.status == 200:
                self.documents.append(("results", answer.json()))
            elif answer.code != "version-not-kept":
                raise AssertionError(answer)

    def take(self, connection, kind, target):
        answer = connection.request("GET", target)
        if answer.status != 200:
            raise AssertionError(f"{target}: {answer}")
        self.documents.append((kind, answer.body.decode() if kind == "csv" else answer.json()))


class StreamReader(threading.Thread):
    """Keeps one stream open; its text is one document at the end."""

    def __init__(self, server, poll, documents):
        super().__init__(daemon=True)
        self.documents = documents
        self.connection = server.connect(timeout=1.0)
        self.connection.send(veche.encode_request(
            "GET", f"/v1/polls/{poll}/stream?by=territory", headers={"Connection": "close"}))
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            try:
                self.connection._more()  # read by nobody else
            except veche.Down:
                continue  # silent for a second, or ended

    def finish(self):
        self.stopping.set()
        self.join(30)
        self.connection.close()
        head, _, body = self.connection.buffer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200") or b"text/event-stream" not in head:
            raise AssertionError(head)
        if b"chunked" in head.lower():
            body = b"".join(chunks_of(body))
        self.documents.append(("stream", body.decode(errors="ignore")))


def chunks_of(body):
    while b"\r\n" in body:
        size, _, body = body.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        yield body[:length]
        body = body[length + 2:]


class Voters:
    """Seeded ballots from real tokens: some are sent again, some with other answers, some too late.
    Keeps the truth."""

    def __init__(self, server, definition, random_poll, documents):
        self.documents = documents
        self.server, self.definition, self.random_poll = server, definition, random_poll
        self.dice = random.Random(f"voters of {definition['id']}")
        self.cells = model.Places(definition, random_poll.territories).cells
        self.weights = [self.dice.choice((0, 0.2, 1, 1, 5)) for _ in self.cells]
        self.weights[self.dice.randrange(len(self.cells))] += 3
        self.favourites = {cell: self.dice.choice((None, None, None, 0)) for cell in self.cells}
        self.counted = []  # (territory, answers)
        self.sent = []

    def send(self, connection, voter, territory, answers):
        claims = {"addr": [target["addr"] for target in self.definition["targets"]
                           if "addr" in target]}
        token = self.server.issuer.vote(self.definition["id"], sub_of("attacked", voter),
                                        territory, **{k: v for k, v in claims.items() if v})
        answer = connection.request("POST", f"/v1/polls/{self.definition['id']}/ballots",
                                    {"answers": answers}, token=token)
        self.documents.append(("other", answer.json()))
        return answer

    def vote(self, connection, territory):
        answers = self.random_poll.answers(self.favourites[territory])
        answer = self.send(connection, len(self.sent), territory, answers)
        if answer.status != 201:
            raise AssertionError(answer)
        self.counted.append((territory, answers))
        self.sent.append((territory, answers))
        if self.dice.random() < 0.05:
            self.look_up(connection, answer.json()["receipt"])

    def look_up(self, connection, receipt):
        answer = connection.request(
            "GET", f"/v1/polls/{self.definition['id']}/receipts/{receipt}")
        self.documents.append(("other", answer.json()))

    def vote_again(self, connection):
        """The same, or something else: neither counts."""
        voter = self.dice.randrange(len(self.sent))
        territory, answers = self.sent[voter]
        if self.dice.random() < 0.5:
            answers = self.random_poll.answers(None)
        self.send(connection, voter, territory, answers)

    def vote_for_a_while(self):
        with self.server.connect() as connection:
            for _ in range(self.dice.randint(6, 12)):
                for _ in range(self.dice.choice((1, 5, 20, 60))):
                    self.vote(connection, *self.dice.choices(self.cells, self.weights))
                self.vote_again(connection)
                time.sleep(self.dice.choice((0, 0.06, 0.15)))
            time.sleep(0.2)  # so that the last step was seen before the burst
            for _ in range(self.dice.choice((0, 1, 2, 7))):
                self.vote(connection, self.dice.choice(self.cells))

    def vote_too_late(self):
        with self.server.connect() as connection:
            answer = self.send(connection, "late", self.cells[0], self.random_poll.answers(None))
            if answer.status != 410:
                raise AssertionError(answer)


class Scenario:
    """One poll on a server of its own, from its opening to its last document."""

    def __init__(self, seed, binary=None):
        self.random_poll = RandomPoll(seed)
        self.definition = whole_definition(self.random_poll)
        self.server = veche.Server(binary=binary, options=["--tick", TICK],
                                   territories=territories_csv(self.random_poll.territories))
        self.truth = []

    def run(self):
        self.server.start()
        self.server.open_poll(self.definition)
        poll = self.definition["id"]
        paths = self.server.get("/openapi.json").json()["paths"]
        documents = []
        readers = [Reader(self.server, poll, paths, documents) for _ in range(2)]
        if "/v1/polls/{poll}/stream" in paths:
            readers.append(StreamReader(self.server, poll, documents))
        for reader in readers:
            reader.start()
        self.wait_until(poll, lambda results: not results["version"].startswith("0-"))
        voters = Voters(self.server, self.definition, self.random_poll, documents)
        voters.vote_for_a_while()
        self.server.change_poll(poll, "close")
        self.wait_until(poll, lambda results: results["final"])
        time.sleep(0.2)
        readers[0].look_back()
        voters.vote_too_late()
        self.truth = voters.counted
        for reader in readers:
            reader.finish()
        return documents

    def wait_until(self, poll, happened):
        """A node that has just started publishes nothing until it knows what time it is."""
        veche.eventually(lambda: happened(self.server.results(poll)),
                         why=lambda: self.server.results(poll))

    def close(self):
        self.server.close()


def without(documents, kind):
    return [document for document in documents if document[0] != kind]


def findings_of(scenario, documents):
    territories = scenario.random_poll.territories
    attacked = attack.Attack(scenario.definition, territories, documents)
    return attacked, attacked.findings + published.check_documents(
        documents, scenario.definition, territories)


def kept(scenario, documents):
    """No second run is the same: what attack.py needs to find it again."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="veche-attack-"))
    for name, content in (("poll", scenario.definition), ("documents", documents),
                          ("territories", {"territories": scenario.random_poll.territories})):
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return f"kept in {folder}"


def shown_of_pools(reading, version, pools):
    """{pool: counts} at a version. What is not below an inner territory alone shows no votes: they
    are what its parts leave."""
    shown, nothing = {}, (0,) * len(reading.layout.columns)
    for pool in reversed(pools):
        cells = frozenset(pool)
        if len(pool) > 1 or reading.places.is_leaf(pool[0]):
            shown[pool] = reading.rows[cells].get(version, nothing)
            continue
        cells = reading.places.below(pool[0])
        parts = [row for other, row in shown.items() if set(other) < cells]
        shown[pool] = tuple(whole - sum(part[at] for part in parts) for at, whole
                            in enumerate(reading.rows[cells].get(version, nothing)))
    return shown


def expected_end(scenario, documents):
    """The last document as the rules make it of the truth and the last version before; None: nobody
    saw that one."""
    territories = scenario.random_poll.territories
    reading = published.Reading(scenario.definition, territories, documents)
    if reading.final - 1 not in reading.headers:
        return None
    publisher = model.Publisher(scenario.definition, territories)
    for number, (territory, answers) in enumerate(scenario.truth):
        publisher.cast(number, territory, answers)
    shown = shown_of_pools(reading, reading.final - 1, publisher.places.pools)
    for pool in publisher.pools:
        pool.shown = list(shown[pool.cells])
        pool.open = [cast - out for cast, out in zip(pool.open, pool.shown)]
    publisher.close()
    return publisher.documents[-1]


def comparable(document):
    def counts(of):
        return {key: of[key] for key in ("ballots", "suppressed", "questions")}

    return {"": (document["turnout"], counts(document)),
            **{t["code"]: (t["parent"], t["not_below"], counts(t))
               for t in document["territories"]},
            **{"+".join(sorted(g["leaves"] + g["not_below"])): (g["within"], counts(g))
               for g in document["groups"]}}


def last_result(documents):
    """The one with all territories; there are narrowed ones."""
    return max((content for kind, content in documents if kind == "results" and content["final"]),
               key=lambda content: len(content.get("territories", ())))


@unittest.skipUnless(can_tick(), "no server that can publish every --tick")
class RealServer(unittest.TestCase):
    def run_scenario(self, seed):
        scenario = Scenario(seed)
        self.addCleanup(scenario.close)
        documents = scenario.run()
        scenario.close()
        return scenario, documents

    def test_nobody_can_be_isolated_and_the_end_is_the_truth(self):
        compared, sets, kinds = 0, 0, collections.Counter()
        for seed in range(SEEDS):
            with self.subTest(seed=seed):
                scenario, documents = self.run_scenario(seed)
                kinds.update(kind for kind, _ in documents)
                attacked, faults = findings_of(scenario, without(documents, "metrics"))
                self.assertEqual(faults, [], kept(scenario, documents) if faults else "")
                self.assertTrue(attacked.exhausted)
                sets += attacked.columns
                self.assert_metrics_tell_no_choice(scenario, documents)
                self.assert_truth(scenario, last_result(documents))
                expected = expected_end(scenario, documents)
                if expected:
                    compared += 1
                    self.assertEqual(comparable(last_result(documents)), comparable(expected))
        self.assertGreater(compared, SEEDS / 2, "the last step before the end was seldom seen")
        self.assertGreater(sets, 3 * SEEDS, "too little was published to attack")
        self.assertGreater(min(kinds[kind] for kind in ("results", "csv", "other", "metrics")), 30)

    def assert_metrics_tell_no_choice(self, scenario, documents):
        """They are the operator's, and count what the process did; of no poll, place or choice."""
        attacked, _ = findings_of(scenario, documents)
        self.assertLessEqual({finding.kind for finding in attacked.findings}, {"size"})
        for kind, content in documents:
            if kind == "metrics":
                self.assertFalse([name for name in content if scenario.definition["id"] in name])

    def assert_truth(self, scenario, last):
        """Every number that is shown at the end; and they add up to all ballots."""
        places = model.Places(scenario.definition, scenario.random_poll.territories)
        layout = model.Layout(scenario.definition["questions"])
        rows = collections.defaultdict(list)
        for territory, answers in scenario.truth:
            rows[territory].append(layout.row(answers))

        def check(cells, counts):
            if counts["suppressed"]:
                return
            truth = model.total([row for cell in cells for row in rows[cell]],
                                len(layout.columns))
            shown = [counts["ballots"]] + [
                option[measure] for question in counts["questions"]
                for option in question["options"] for measure in ("votes", "points")
                if measure in option]
            self.assertEqual(shown, truth, sorted(cells))

        check(places.all, last)
        for territory in last["territories"]:
            check(places.below(territory["code"]), territory)
        for group in last["groups"]:
            check(group["leaves"] + group["not_below"], group)
        if not last["suppressed"]:
            self.assertEqual(last["turnout"], len(scenario.truth))


@unittest.skipUnless(can_tick(), "no server that can publish every --tick")
class FaultyVariants(unittest.TestCase):
    """Servers with one built-in fault each, built by tests/CMakeLists.txt, which the attack must
    find out."""

    def assert_caught(self, variant, *kinds):
        binary = pathlib.Path(veche.BINARY).parent / f"veche-{variant}"
        if not os.access(binary, os.X_OK):
            self.skipTest(f"no {binary}")
        findings = []
        for seed in range(TRIES):
            scenario = Scenario(seed, str(binary))
            self.addCleanup(scenario.close)
            documents = scenario.run()
            scenario.close()
            attacked, _ = findings_of(scenario, without(documents, "metrics"))
            findings = attacked.findings
            if any(finding.kind in kinds for finding in findings):
                return
        self.fail(f"{variant} was not caught in {TRIES} polls: {findings}")

    def test_parents_that_count_live_are_caught(self):
        self.assert_caught("steps_parents_live", "few", "unanimous", "contradiction", "formats",
                           "shrinks")

    def test_a_last_batch_by_itself_is_caught(self):
        self.assert_caught("steps_last_batch_alone", "few", "unanimous")

    def test_a_step_for_every_ballot_is_caught(self):
        self.assert_caught("steps_cut_every_ballot", "few")

    def test_small_ones_beside_shown_sisters_are_caught(self):
        self.assert_caught("steps_other_of_parent", "few", "unanimous")


if __name__ == "__main__":
    unittest.main()
