"""The independent checker: holds what the clients saw against the results and, of a stopped
server, against the log. It shares nothing with the server.

    python3 checker.py HISTORY.json [--log FOLDER --voter-secret FILE]
    (FOLDER: the embedded log)

History: {"polls": {id: definition}, "territories": [the tree], "results": {id: results by
territory}, "requests": [{"poll", "sub", "territory", "answers", "status", "code", "receipt",
"begin", "end"}], "closed": {id: when the close was confirmed}, "finals": {id: results when they
were final first}}; status is null where no answer came, times are seconds of one clock."""

import argparse
import collections
import hashlib
import hmac
import json
import sys

import log_reader
from minting import unb64

MAX_REPORTED = 20


def canonical(answers, definition):
    """Equal answers are equal texts, in whatever order they were given; only ranks keep theirs."""
    kinds = {question["id"]: question["kind"] for question in definition["questions"]}
    parts = []
    for answer in sorted(answers, key=lambda answer: answer["question"]):
        choices = answer["choices"]
        if isinstance(choices, dict):
            choices = sorted(choices.items())
        elif kinds.get(answer["question"]) != "ranked":
            choices = sorted(choices)
        parts.append((answer["question"], choices))
    return json.dumps(parts)


class Faults(list):
    def add(self, kind, text):
        self.append(f"{kind}: {text}")


# --- What the clients saw ------------------------------------------------------------------------


class Voter:
    """The requests of one voter in one poll."""

    def __init__(self):
        self.by_status = collections.defaultdict(list)  # canonical answers
        self.answers = {}                               # canonical -> as given
        self.receipts = set()
        self.territories = {}                           # canonical -> territory
        self.refused_as_closed = False
        self.unknown = set()                            # canonical, without a definite outcome yet

    def take(self, request, text):
        status = request["status"]
        self.answers[text] = request["answers"]
        self.territories.setdefault(text, request["territory"])
        if status is None or status == 503:
            if text not in self.by_status[200] + self.by_status[201]:
                self.unknown.add(text)
            return
        self.by_status[status].append(text)
        if status in (200, 201):
            self.receipts.add(request["receipt"])
        if status == 410:
            self.refused_as_closed = True

    def counted(self):
        """The answers that were counted as far as the clients know; None: they do not know."""
        said = set(self.by_status[200] + self.by_status[201])
        return said.pop() if said else None

    def candidates(self):
        """Without a word from the server: what may have been counted."""
        if self.refused_as_closed:
            return set()
        refused = set(self.by_status[409])
        return {text for text in self.unknown if text not in refused}


def voters_of(history, faults):
    voters = collections.defaultdict(Voter)
    for request in sorted(history["requests"], key=lambda request: request["end"]):
        definition = history["polls"][request["poll"]]
        text = canonical(request["answers"], definition)
        if request["status"] == 409 and request["code"] != "already-voted":
            continue  # a word about the poll
        if request["status"] not in (None, 200, 201, 409, 410, 503):
            continue  # refused for itself; if it was counted all the same, the sums tell
        voters[request["poll"], request["sub"]].take(request, text)
    for name, voter in voters.items():
        check_voter(name, voter, faults)
    return voters


def check_voter(name, voter, faults):
    said = voter.by_status[200] + voter.by_status[201]
    if len(set(said)) > 1:
        faults.add("two ballots", f"{name} was told of two different ballots that they count")
    if len(voter.by_status[201]) > 1:
        faults.add("two accepted", f"{name} was told {len(voter.by_status[201])} times 201")
    if len(voter.receipts) > 1:
        faults.add("receipts", f"{name} has receipts {sorted(voter.receipts)}")
    if voter.refused_as_closed and said:
        faults.add("410", f"{name} was told 410, and has a counted ballot")
    for text in set(voter.by_status[409]):
        if text in said:
            faults.add("409", f"{name} was told 409 about the ballot that counts")
        if not any(other != text for other in voter.answers):
            faults.add("409", f"{name} was told 409, and sent no other ballot")


# --- Results -------------------------------------------------------------------------------------


def amounts(answers, definition):
    """What one ballot adds: {(question, option): (votes, points)}."""
    questions = {question["id"]: question for question in definition["questions"]}
    added = {}
    for answer in answers:
        question, choices = questions[answer["question"]], answer["choices"]
        for place, option in enumerate(choices):
            points = 0
            if question["kind"] == "ranked":
                points = question["points"][place] if place < len(question["points"]) else 0
            elif question["kind"] == "points":
                points = choices[option]
            added[question["id"], option] = (1, points)
    return added


class Sums:
    def __init__(self):
        self.ballots = 0
        self.options = collections.defaultdict(lambda: [0, 0])

    def add(self, answers, definition):
        self.ballots += 1
        for option, (votes, points) in amounts(answers, definition).items():
            self.options[option][0] += votes
            self.options[option][1] += points


def shown_options(counts):
    return {(question["id"], option["id"]): (option["votes"], option.get("points"))
            for question in counts["questions"] for option in question["options"]}


def compare(place, sums, counts, faults):
    if sums.ballots != counts["ballots"]:
        faults.add("sums", f"{place}: {sums.ballots} ballots counted for the clients, "
                           f"{counts['ballots']} shown")
    for option, (votes, points) in shown_options(counts).items():
        expected = tuple(sums.options[option])
        if (votes, points if points is not None else expected[1]) != expected:
            faults.add("sums", f"{place}, {option}: {expected} counted, {(votes, points)} shown")


def expected_sums(poll, counted, history):
    """{territory: Sums}, None for the whole poll; a ballot counts in its territory and above."""
    parents = {territory["code"]: territory["parent"] for territory in history["territories"]}
    sums = collections.defaultdict(Sums)
    definition = history["polls"][poll]
    for answers, territory in counted:
        sums[None].add(answers, definition)
        while territory:
            sums[territory].add(answers, definition)
            territory = parents[territory]
    return sums


def check_results(poll, counted, history, faults):
    results = history["results"][poll]
    sums = expected_sums(poll, counted, history)
    compare(poll, sums[None], results, faults)
    shown = {territory["code"]: territory for territory in results["territories"]}
    for code in shown.keys() | (sums.keys() - {None}):
        if code in shown:
            compare(f"{poll} in {code}", sums[code], shown[code], faults)
        elif sums[code].ballots:
            faults.add("sums", f"{poll}: {code} is not shown and has {sums[code].ballots} ballots")
    check_roll_up(poll, results, faults)


def check_roll_up(poll, results, faults):
    """Children and "not below" make the parent, roots make the whole. Needs nothing but results."""
    below, roots = collections.Counter(), 0
    shown = {territory["code"] for territory in results["territories"]}
    for territory in results["territories"]:
        if territory["parent"] in shown:
            below[territory["parent"]] += territory["ballots"]
        else:
            roots += territory["ballots"]
    for territory in results["territories"]:
        code, ballots, not_below = (territory[name] for name in ("code", "ballots", "not_below"))
        if below[code] + not_below != ballots:
            faults.add("roll-up", f"{poll}: {code} has {ballots} ballots, {below[code]} below and "
                                  f"{not_below} not")
    if roots != results["ballots"]:
        faults.add("roll-up", f"{poll}: the roots have {roots} ballots, the whole "
                              f"{results['ballots']}")


def check_close(history, faults):
    closed = history.get("closed", {})
    for request in history["requests"]:
        closed_at = closed.get(request["poll"], float("inf"))
        if request["status"] == 201 and request["begin"] > closed_at:
            faults.add("after close", f"{request['sub']} was accepted in {request['poll']}, which "
                                      f"was closed before")
    for poll, final in history.get("finals", {}).items():
        now = history["results"].get(poll, final)
        if (final["ballots"], final["questions"]) != (now["ballots"], now["questions"]):
            faults.add("after close", f"{poll} changed when it was final: {final['ballots']} "
                                      f"ballots, then {now['ballots']}")


# --- The log -------------------------------------------------------------------------------------


def counted_by_log(records, faults):
    """{(poll, voter key): (answers, territory)} by the rule: the first ballot of a voter between
    its partition's OPEN and CLOSE."""
    polls, counted, homes = {}, {}, {}
    for record in records:
        partition, message = record.partition, record.message
        if (record.offset == 0) != (record.kind == "genesis"):
            faults.add("log", f"partition {partition} has {record.kind} at {record.offset}")
        if record.kind == "open":
            name, questions = log_reader.definition(
                log_reader.fields(log_reader.first(message, 1)))
            polls.setdefault((partition, name), [questions, False])
        elif record.kind == "close":
            name = log_reader.first(message, 1).decode()
            if (partition, name) in polls:
                polls[partition, name][1] = True
        elif record.kind == "ballot":
            _take_ballot(partition, message, polls, counted, homes, faults)
    return counted


def _take_ballot(partition, message, polls, counted, homes, faults):
    name, key = log_reader.first(message, 1).decode(), log_reader.first(message, 2)
    if homes.setdefault((name, key), partition) != partition:
        faults.add("log", f"a voter of {name} has records in two partitions")
    answers = log_reader.first(message, 5)
    if ballot_digest(name, answers) != log_reader.first(message, 6):
        faults.add("log", f"a ballot of {name} has a digest of something else")
    questions, closed = polls.get((partition, name), (None, True))
    if not closed and (name, key) not in counted:
        counted[name, key] = (log_reader.named_answers(message, questions),
                              log_reader.first(message, 3).decode())


def ballot_digest(poll, answers):
    named = bytes([len(poll)]) + poll.encode()
    return hashlib.blake2b(named + answers, digest_size=16, person=b"veche ballot v1").digest()


def voter_key(secret, poll, sub):
    poll_secret = hmac.digest(secret, b"veche poll secret v1" + poll.encode(), "sha256")
    return hmac.digest(poll_secret, unb64(sub), "sha256")[:16]


def check_log(records, voter_secret, history, voters, faults):
    counted = counted_by_log(records, faults)
    for (poll, sub), voter in voters.items():
        in_log = counted.get((poll, voter_key(voter_secret, poll, sub)))
        text = voter.counted()
        said = canonical(in_log[0], history["polls"][poll]) if in_log else None
        if text and said != text:
            faults.add("lost", f"{(poll, sub)} was told that {text} counts, the log counts {said}")
        if in_log and voter.refused_as_closed:
            faults.add("410", f"{(poll, sub)} was told 410, and the log counts a ballot")
        if said and said not in voter.answers:
            faults.add("log", f"the log counts a ballot that {(poll, sub)} never sent")
        if said and voter.territories.get(said, in_log[1]) != in_log[1]:
            faults.add("log", f"the ballot of {(poll, sub)} is counted in {in_log[1]}")
    for poll in history["results"]:
        check_results(poll, [ballot for (name, _), ballot in counted.items() if name == poll],
                      history, faults)


# --- All of it -----------------------------------------------------------------------------------


def check(history, log=None, voter_secret=None, receipts=None):
    """The faults found, each in a line. `log` are the log's records; `receipts` is
    {(poll, receipt): answer of the server}."""
    faults = Faults()
    voters = voters_of(history, faults)
    unsettled = [name for name, voter in voters.items()
                 if not voter.counted() and len(voter.candidates()) > 0]
    if unsettled:
        faults.add("unsettled", f"{len(unsettled)} voters never got a definite answer, as "
                                f"{unsettled[0]}")
    for poll in history["results"]:
        counted = [(voter.answers[voter.counted()], voter.territories[voter.counted()])
                   for (name, _), voter in voters.items() if name == poll and voter.counted()]
        check_results(poll, counted, history, faults)
    check_close(history, faults)
    if log:
        check_log(log, voter_secret, history, voters, faults)
    for name, answer in (receipts or {}).items():
        if answer.get("recorded") is not True:
            faults.add("receipts", f"{name} is not recorded: {answer}")
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("history")
    parser.add_argument("--log", help="the log's folder of a stopped server")
    parser.add_argument("--voter-secret")
    options = parser.parse_args()
    with open(options.history, encoding="utf-8") as file:
        history = json.load(file)
    secret = open(options.voter_secret, "rb").read() if options.voter_secret else None
    log = log_reader.read_log(options.log) if options.log else None
    faults = check(history, log, secret)
    for fault in faults[:MAX_REPORTED]:
        print(fault)
    print(f"{len(faults)} faults in {len(history['requests'])} requests")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
