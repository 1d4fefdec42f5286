"""The crash scenario: clients vote without pause while the server is killed and started again and
polls open and close; then everything is retried until it is definite, and checked. The same with
several equal nodes over one log: who loses one goes to another."""

import collections
import json
import os
import pathlib
import random
import re
import subprocess
import tempfile
import threading
import time

import checker
import veche
from minting import sub_of

CLIENTS = 6
GATEWAYS = 2
BATCH_LINES = 40
POLLS_AT_ONCE = 3
RECEIPTS_ASKED = 300
VOTERS_ASKED_AGAIN = 500
SETTLE_SECONDS = 60

Ballot = collections.namedtuple("Ballot", "poll sub territory answers")


def random_choices(question, dice):
    options = [option["id"] for option in question["options"]]
    amount = dice.randint(question["min"], question["max"])
    if question["kind"] == "points":
        return dict(collections.Counter(dice.choice(options) for _ in range(amount)))
    return dice.sample(options, amount)


def random_answers(definition, dice):
    return [{"question": question["id"], "choices": random_choices(question, dice)}
            for question in definition["questions"]]


def varied_poll(name, number):
    second = [veche.question("xyz", "approval", 1, 3, name="q2"),
              veche.question("xyz", "ranked", 2, 2, points=(3, 1), name="q2"),
              veche.question("xyz", "points", 1, 5, name="q2")][number % 3]
    return veche.poll(name, veche.question("abcde"), second)


class Load:
    """Clients on threads. Each keeps its unknown ballots and sends them again until it knows, to
    whichever node it gets. `pause_seconds` is between two requests of a client: a long run needs no
    more history than it can check."""

    def __init__(self, server, seed, others=(), pause_seconds=0.0):
        self.server, self.seed, self.pause_seconds = server, seed, pause_seconds
        self.servers = [server, *others]
        self.definitions = {}
        self.active = []                        # replaced whole, never changed in place
        self.requests = []                      # appended by all threads
        self.surprises = []
        self.doubles = collections.deque(maxlen=256)  # ballots for another thread to send, too
        self.finishing = threading.Event()
        self.counter = iter(range(10**9))
        self.threads = [threading.Thread(target=self._client, args=(i,)) for i in range(CLIENTS)]
        self.threads += [threading.Thread(target=self._gateway, args=(i,)) for i in range(GATEWAYS)]

    def start(self):
        for thread in self.threads:
            thread.start()

    def finish(self):
        """No new ballots; returns when every outcome is known, or gives up."""
        self.finishing.set()
        deadline = time.monotonic() + SETTLE_SECONDS
        for thread in self.threads:
            thread.join(max(0.1, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self.threads)

    def send_again(self, count, dice):
        """Counted ballots once more, of open polls and of closed ones."""
        counted = [request for request in self.requests if request["status"] in (200, 201)]
        with dice.choice(self.servers).connect() as connection:
            for request in dice.sample(counted, min(count, len(counted))):
                ballot = Ballot(*(request[name] for name in Ballot._fields))
                self._post(connection, ballot, collections.deque())

    def _new_ballot(self, dice):
        definition = dice.choice(self.active)
        ballot = Ballot(definition["id"], sub_of(self.seed, next(self.counter)),
                        dice.choice(veche.PLACES), random_answers(definition, dice))
        if dice.random() < 0.2:
            other = random_answers(definition, dice) if dice.random() < 0.5 else ballot.answers
            self.doubles.append(ballot._replace(answers=other))
        return ballot

    def _next_ballot(self, unknown, dice):
        """None: nothing is left to do."""
        if unknown and (self.finishing.is_set() or dice.random() < 0.5):
            return unknown.popleft()
        if not self.finishing.is_set():
            if self.doubles and dice.random() < 0.3:
                try:
                    return self.doubles.pop()
                except IndexError:
                    pass
            return self._new_ballot(dice)
        return unknown.popleft() if unknown else None

    def _note(self, ballot, begin, unknown, status, code=None, receipt=None):
        self.requests.append({**ballot._asdict(), "status": status, "code": code,
                              "receipt": receipt, "begin": begin, "end": time.monotonic()})
        if status in (None, 503):
            unknown.append(ballot)
        elif status not in (200, 201, 409, 410):
            self.surprises.append(f"lost: {status} {code} for a good ballot of {ballot.poll}")

    def _client(self, number):
        dice, connection = random.Random(f"{self.seed}-{number}"), None
        unknown = collections.deque()
        while ballot := self._next_ballot(unknown, dice):
            time.sleep(self.pause_seconds)
            begin = time.monotonic()
            try:
                connection = connection or self._connect(dice)
                if self._post(connection, ballot, unknown) == 503:
                    connection = self._hang_up(connection)
            except veche.Down:
                self._note(ballot, begin, unknown, None)
                connection = self._hang_up(connection)
        self._hang_up(connection)

    def _post(self, connection, ballot, unknown):
        begin = time.monotonic()
        token = self.server.issuer.vote(ballot.poll, ballot.sub, ballot.territory)
        answer = connection.request("POST", f"/v1/polls/{ballot.poll}/ballots",
                                    {"answers": ballot.answers}, token=token)
        receipt = answer.json().get("receipt")
        self._note(ballot, begin, unknown, answer.status, answer.code, receipt)
        return answer.status

    def _gateway(self, number):
        dice, connection = random.Random(f"{self.seed}-g{number}"), None
        unknown = collections.deque()
        while True:
            batch = [ballot for _ in range(BATCH_LINES)
                     if (ballot := self._next_ballot(unknown, dice))]
            if not batch:
                break
            body = b"".join(json.dumps({"poll": ballot.poll, "voter": ballot.sub,
                                        "territory": ballot.territory, "level": 3,
                                        "answers": ballot.answers}).encode() + b"\n"
                            for ballot in batch)
            time.sleep(self.pause_seconds)
            begin = time.monotonic()
            try:
                connection = connection or self._connect(dice)
                answer = connection.request(
                    "POST", "/v1/ballots?detail=all", body,
                    {"Content-Type": "application/x-ndjson"},
                    self.server.issuer.batch(body, len(batch)))
                items = ([json.loads(line) for line in answer.body.splitlines()]
                         if answer.status == 200 else [{"status": answer.status}] * len(batch))
                for ballot, item in zip(batch, items, strict=True):
                    self._note(ballot, begin, unknown, item["status"], item.get("code"),
                               item.get("receipt"))
                if answer.status != 200:
                    connection = self._hang_up(connection)
            except veche.Down:
                for ballot in batch:
                    self._note(ballot, begin, unknown, None)
                connection = self._hang_up(connection)
        self._hang_up(connection)

    def _connect(self, dice):
        """Paused nodes take connections and say nothing: a load balancer would not wait long."""
        return dice.choice(self.servers).connect(15.0 if len(self.servers) == 1 else 4.0)

    @staticmethod
    def _hang_up(connection):
        if connection:
            connection.close()
        time.sleep(0.02)


class Staff:
    """Opens and closes polls on a thread, and insists until each change is definite."""

    def __init__(self, load, prefix, pace_seconds):
        self.load, self.dice = load, random.Random(load.seed)
        self.prefix, self.pace_seconds = prefix, pace_seconds
        self.closed, self.finals = {}, {}
        self.count = 0
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run)

    @property
    def server(self):
        """Any node."""
        return self.dice.choice(self.load.servers)

    def insist(self, good, ask):
        """Repeats a request until it has one of the good statuses. A change that was made and not
        answered for meets itself as a conflict."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            try:
                answer = ask()
                if answer.status in good:
                    return answer
                if answer.status != 503:
                    self.load.surprises.append(f"poll: its change was answered by {answer}")
                    return answer
            except veche.Down:
                pass
            time.sleep(0.03)
        raise TimeoutError("poll: its change stays unknown")

    def open_one(self):
        definition = varied_poll(f"{self.prefix}-{self.count}", self.count)
        self.count += 1
        self.insist((200, 201), lambda: self.server.create_poll(definition))
        self.insist((200, 409), lambda: self.server.change_poll(definition["id"], "open"))
        self.load.definitions[definition["id"]] = definition
        self.load.active = self.load.active + [definition]

    def close_oldest(self):
        name = self.load.active[0]["id"]
        self.insist((200, 409), lambda: self.server.change_poll(name, "close"))
        self.insist((200,), lambda: self._final_results(name))
        self.closed[name] = time.monotonic()
        self.load.active = self.load.active[1:]

    def _final_results(self, name):
        answer = self.server.get(f"/v1/polls/{name}/results")
        if answer.status == 200:
            results = answer.json()
            if not results["final"]:
                return veche.Answer(503, {}, b"")
            self.finals[name] = results
        return answer

    def _run(self):
        try:
            while not self.ending.wait(self.pace_seconds):
                self.open_one()
                if len(self.load.active) > POLLS_AT_ONCE:
                    self.close_oldest()
        except TimeoutError as error:
            self.load.surprises.append(str(error))


class Scenario:
    """`clean_stops_end_well`: whether SIGTERM has to end in exit code 0 (a faulty variant of the
    server may die of it). `nodes` share the log of the first."""

    def __init__(self, binary=None, seed=None, options=(), clean_stops_end_well=True, nodes=1,
                 log=None, pause_seconds=0.0):
        self.seed = seed if seed is not None else random.randrange(10**6)
        self.dice = random.Random(self.seed)
        self.server = veche.Server(binary, options=options, log=log)
        self.servers = [self.server] + [veche.Server(binary, options=options, beside=self.server)
                                        for _ in range(nodes - 1)]
        self.load = Load(self.server, self.seed, self.servers[1:], pause_seconds)
        self.staff = Staff(self.load, "round", pace_seconds=0.4)
        self.clean_stops_end_well = clean_stops_end_well

    def begin(self):
        for server in self.servers:
            server.start()
        self.staff.open_one()
        self.load.start()
        self.staff.thread.start()

    def run(self, rounds):
        """Runs it all; returns the faults. The servers are stopped then, their folders still there."""
        self.begin()
        for number in range(rounds):
            time.sleep(self.dice.uniform(0.05, 0.6))
            self._strike(number)
        return self.end()

    def end(self):
        self.staff.ending.set()
        self.staff.thread.join()
        if not self.load.finish():
            self.load.surprises.append("unsettled: some ballots stay unknown")
        self.load.send_again(VOTERS_ASKED_AGAIN, self.dice)
        return self.verdict()

    def _strike(self, number):
        server = self.dice.choice(self.servers)
        if number % 5 == 4:
            self.stop(server)
        else:
            server.kill()
        server.start()

    def stop(self, server):
        code = server.stop()
        if code != 0 and self.clean_stops_end_well:
            self.load.surprises.append(f"exit: SIGTERM ended in {code}: {server.errors()}")

    def verdict(self):
        secret = self.server.voter_secret.read_bytes()
        faults = self.load.surprises
        for server in self.servers:
            history = self.history(server)
            receipts = self.ask_receipts(server, history)
            faults = faults + checker.check(history, server.log.records(), secret, receipts)
        for server in self.servers:
            self.stop(server)
        for server in self.servers:
            faults = faults + recount_faults(server)
        if faults:
            folder = pathlib.Path(tempfile.mkdtemp(prefix="veche-history-"))
            (folder / "history.json").write_text(json.dumps(history), encoding="utf-8")
            faults.append(f"seed {self.seed}, history in {folder}")
        return faults

    def history(self, server):
        """What the clients saw, and what one node shows."""
        results = {}
        for name in self.load.definitions:
            known = server.get(f"/v1/polls/{name}")
            if known.status == 200:
                results[name] = server.settled_results(name, self._expected(name), 1.0)
            else:
                self.load.surprises.append(f"lost: a poll that was open: {known}")
        return {"polls": self.load.definitions, "requests": self.load.requests, "results": results,
                "territories": server.get("/v1/territories").json()["territories"],
                "closed": self.staff.closed, "finals": self.staff.finals}

    def _expected(self, poll):
        return len({request["sub"] for request in self.load.requests
                    if request["poll"] == poll and request["status"] in (200, 201)})

    def ask_receipts(self, server, history):
        known = sorted({(request["poll"], request["receipt"]) for request in history["requests"]
                        if request["receipt"]})
        asked = self.dice.sample(known, min(RECEIPTS_ASKED, len(known)))
        with server.connect() as connection:
            return {(poll, receipt): connection.request(
                        "GET", f"/v1/polls/{poll}/receipts/{receipt}").json()
                    for poll, receipt in asked}

    def close(self):
        self.load.finishing.set()
        self.staff.ending.set()
        for server in self.servers:
            server.close()


def has_command(name, binary=None):
    done = subprocess.run([binary or veche.BINARY, "--help"], capture_output=True, text=True,
                          timeout=20)
    return re.search(rf"^ +{name}\b", done.stdout, re.MULTILINE) is not None


def recount_faults(server):
    done = server.recount()
    return [] if done.returncode == 0 else [f"recount: {done.stdout[-500:]}{done.stderr[-500:]}"]


def rounds(otherwise):
    return int(os.environ.get("VECHE_ROUNDS", otherwise))
