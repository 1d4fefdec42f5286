"""The tools of these tests: the checker finds nothing in a good history and each kind of fault in a
bad one; the signatures are those of the standards."""

import copy
import unittest

import checker
import veche
from minting import ed25519

DEFINITION = veche.poll("p", veche.question("ab"), veche.question(
    "xy", "ranked", 1, 2, points=(3, 1), name="q2"))
TREE = [{"code": "1", "parent": None}, {"code": "11", "parent": "1"}, {"code": "2", "parent": None}]


def ballot(first, ranks):
    return [{"question": "q1", "choices": [first]}, {"question": "q2", "choices": list(ranks)}]


def request(sub, territory, answers, status, receipt=None, code=None, begin=1.0):
    return {"poll": "p", "sub": sub, "territory": territory, "answers": answers, "status": status,
            "code": code, "receipt": receipt, "begin": begin, "end": begin + 0.1}


def counts(ballots, a, b, x, y):
    return {"ballots": ballots, "questions": [
        {"id": "q1", "options": [{"id": "a", "votes": a}, {"id": "b", "votes": b}]},
        {"id": "q2", "options": [{"id": "x", "votes": x[0], "points": x[1]},
                                 {"id": "y", "votes": y[0], "points": y[1]}]}]}


def good_history():
    """Anna votes in 11, again, and otherwise; Boris in 1, after an unknown; Vera comes too late."""
    return {
        "polls": {"p": DEFINITION}, "territories": TREE, "closed": {"p": 5.0},
        "finals": {"p": counts(2, 1, 1, (2, 4), (1, 3))},
        "requests": [
            request("anna", "11", ballot("a", "x"), 201, "R1", "accepted"),
            request("anna", "11", ballot("a", "x"), 200, "R1", "recorded", 6.0),
            request("anna", "11", ballot("b", "x"), 409, None, "already-voted"),
            request("boris", "1", ballot("b", "yx"), None),
            request("boris", "1", ballot("b", "yx"), 200, "R2", "recorded", 6.0),
            request("vera", "2", ballot("b", "y"), 410, None, "poll-closed", 6.0)],
        "results": {"p": {**counts(2, 1, 1, (2, 4), (1, 3)), "territories": [
            {"code": "1", "parent": None, "not_below": 1, **counts(2, 1, 1, (2, 4), (1, 3))},
            {"code": "11", "parent": "1", "not_below": 1, **counts(1, 1, 0, (1, 3), (0, 0))}]}}}


class Checker(unittest.TestCase):
    def faults_after(self, change):
        history = copy.deepcopy(good_history())
        change(history)
        return checker.check(history)

    def assert_found(self, kind, change):
        faults = self.faults_after(change)
        self.assertTrue([fault for fault in faults if fault.startswith(kind + ":")],
                        f"not found: {kind}; but {faults}")

    def add(self, *arguments):
        return lambda history: history["requests"].append(request(*arguments))

    def test_finds_nothing_in_a_good_history(self):
        self.assertEqual(checker.check(good_history()), [])

    def test_finds_a_voter_with_two_counted_ballots(self):
        self.assert_found("two ballots", self.add("anna", "11", ballot("b", "x"), 200, "R1"))

    def test_finds_a_ballot_accepted_twice(self):
        self.assert_found("two accepted", self.add("anna", "11", ballot("a", "x"), 201, "R1"))

    def test_finds_a_second_receipt(self):
        self.assert_found("receipts", self.add("anna", "11", ballot("a", "x"), 200, "R9"))

    def test_finds_a_conflict_without_another_ballot(self):
        self.assert_found("409", self.add("gleb", "11", ballot("a", "x"), 409, None,
                                          "already-voted"))

    def test_finds_a_conflict_about_the_counted_ballot_itself(self):
        self.assert_found("409", self.add("anna", "11", ballot("a", "x"), 409, None,
                                          "already-voted"))

    def test_finds_too_late_for_a_voter_who_is_counted(self):
        self.assert_found("410", self.add("anna", "11", ballot("a", "x"), 410, None,
                                          "poll-closed"))

    def test_finds_a_lost_ballot(self):
        self.assert_found("sums", self.add("gleb", "11", ballot("a", "x"), 201, "R3"))

    def test_finds_a_ballot_counted_in_another_territory(self):
        def move(history):
            history["requests"][0]["territory"] = history["requests"][1]["territory"] = "1"
        self.assert_found("sums", move)

    def test_finds_wrong_points(self):
        def inflate(history):
            history["results"]["p"]["questions"][1]["options"][0]["points"] += 1
        self.assert_found("sums", inflate)

    def test_finds_parts_that_do_not_make_the_whole(self):
        def shift(history):
            history["results"]["p"]["territories"][0]["not_below"] = 0
        self.assert_found("roll-up", shift)

    def test_finds_a_voter_without_a_definite_outcome(self):
        self.assert_found("unsettled", self.add("gleb", "11", ballot("a", "x"), None))

    def test_finds_a_ballot_accepted_after_the_close(self):
        self.assert_found("after close", self.add("gleb", "11", ballot("a", "x"), 201, "R3",
                                                  "accepted", 6.0))

    def test_finds_a_final_result_that_changed(self):
        def change(history):
            history["finals"]["p"]["ballots"] = 1
        self.assert_found("after close", change)

    def test_finds_a_receipt_that_is_not_recorded(self):
        faults = checker.check(good_history(), receipts={("p", "R1"): {"recorded": False}})
        self.assertEqual(len(faults), 1)


class Minting(unittest.TestCase):
    def test_ed25519_signs_as_in_rfc_8032(self):
        seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
        self.assertEqual(ed25519(seed, b"").hex(),
                         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
                         "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b")


if __name__ == "__main__":
    unittest.main()
