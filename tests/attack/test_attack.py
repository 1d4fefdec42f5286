"""The attack itself: it solves what can be solved, and reads what is wrong with documents."""

import copy
import fractions
import itertools
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

from attack import Attack, Contradiction, System, reduced
from documents import check_documents, events_of
from model import as_csv, as_stream
from random_polls import RandomPoll

HERE = pathlib.Path(__file__).resolve().parent


def equations(*rows):
    """("abc", 5): the atoms a, b, c hold 5 ballots."""
    return [(frozenset(atoms), (ballots,)) for atoms, ballots in rows]


def solved(*rows):
    """{"ab": 3}: sets of atoms that are solved for, with their ballots."""
    system = System(equations(*rows))
    return {"".join(sorted(system.atoms_of(columns))): counts[0]
            for columns, counts in system.solved_sets}


class Search(unittest.TestCase):
    def test_a_part_is_taken_from_the_whole(self):
        self.assertEqual(solved(("abc", 30), ("bc", 28)), {"a": 2, "bc": 28})

    def test_what_no_row_tells_apart_stays_together(self):
        self.assertEqual(solved(("abc", 30)), {"abc": 30})

    def test_three_overlapping_pairs_give_each_alone(self):
        self.assertEqual(solved(("ab", 20), ("bc", 21), ("ac", 13)), {"a": 6, "b": 14, "c": 7})

    def test_a_mixture_of_three_rows_is_found(self):
        """b + d = ab - ac + cd: no difference of two of them is a set."""
        self.assertEqual(solved(("ab", 20), ("ac", 25), ("cd", 30))["bd"], 25)

    def test_an_empty_row_empties_its_atoms(self):
        self.assertEqual(solved(("ab", 0), ("ac", 3), ("bcd", 8)), {"c": 3, "d": 5})

    def test_emptiness_that_shows_after_elimination_counts(self):
        """a + b is 0 as a difference alone; what that leaves of the other rows is d and e."""
        self.assertEqual(solved(("abc", 4), ("c", 4), ("bde", 9), ("ad", 3)),
                         {"c": 4, "d": 3, "e": 6})

    def test_rows_that_cannot_be_true_together_contradict(self):
        for rows in ([("ab", 5), ("a", 2), ("b", 2)], [("ab", 0), ("a", 1)], [("", 1)]):
            with self.assertRaises(Contradiction, msg=rows):
                System(equations(*rows))

    def test_it_finds_what_trying_all_subsets_finds(self):
        dice = random.Random(1)
        met = {True: 0, False: 0}
        for _ in range(300):
            atoms = "abcdefg"[:dice.randint(3, 7)]
            ballots = {atom: dice.randint(1, 9) for atom in atoms}
            rows = [dice.sample(atoms, dice.randint(2, len(atoms)))
                    for _ in range(dice.randint(1, 6))]
            rows = [(row, sum(ballots[atom] for atom in row)) for row in rows]
            found = solved(*rows)
            for solution, count in found.items():
                self.assertEqual(count, sum(ballots[atom] for atom in solution))
            k = 6
            is_bad = any(count < k for count in found.values())
            self.assertEqual(is_bad, any(
                0 < sum(ballots[atom] for atom in subset) < k and self.is_combination(subset, rows)
                for amount in range(1, len(atoms) + 1)
                for subset in itertools.combinations(atoms, amount)), rows)
            met[is_bad] += 1
        self.assertGreater(min(met.values()), 30)

    @staticmethod
    def is_combination(subset, rows):
        """By rank: whether the subset adds a dimension to the rows."""
        def rank(sets):
            return len(reduced([({atom: fractions.Fraction(1) for atom in atoms}, [0])
                                for atoms in sets]))
        sets = [atoms for atoms, _ in rows]
        return rank(sets + [subset]) == rank(sets)


class OnePoll(unittest.TestCase):
    """One poll of the rules, and what is done to its documents."""

    def setUp(self):
        for seed in itertools.count():
            self.poll = RandomPoll(seed)
            self.documents = self.poll.publish().documents
            last = self.documents[-1]
            if (self.poll.definition["disclosure"]["k"] == 10 and len(self.documents) > 6
                    and last["ballots"] and last["groups"]
                    and any(t["ballots"] for t in last["territories"] if t["parent"])):
                return

    def read(self, documents):
        return check_documents(documents, self.poll.definition, self.poll.territories)

    def attack(self, documents):
        return Attack(self.poll.definition, self.poll.territories, documents)

    def as_results(self):
        return [("results", copy.deepcopy(document)) for document in self.documents]

    def assert_fault(self, kind, documents):
        faults = self.read(documents)
        self.assertTrue([fault for fault in faults if fault.startswith(kind + ":")], faults)

    def changed(self, change, at=-1):
        documents = self.as_results()
        change(documents[at][1])
        return documents


class Formats(OnePoll):
    def test_all_formats_say_the_same(self):
        documents = self.as_results() + [("csv", as_csv(document)) for document in self.documents]
        documents += [("csv", as_csv(document, for_excel=True)) for document in self.documents]
        documents += [("stream", as_stream(self.documents))]
        self.assertEqual(self.read(documents), [])

    def test_csv_and_stream_alone_are_as_good_as_json(self):
        whole = self.attack(self.as_results())
        for documents in ([("stream", as_stream(self.documents))],
                          [("csv", as_csv(document)) for document in self.documents],
                          [("csv", as_csv(document, True)) for document in self.documents]):
            self.assertEqual(self.attack(documents).columns, whole.columns)

    def test_an_event_that_is_cut_off_is_none(self):
        text = as_stream(self.documents)
        self.assertEqual(len(list(events_of(text))), 2 * len(self.documents) - 1)
        self.assertEqual(len(list(events_of(text[:-3]))), 2 * len(self.documents) - 2)

    def test_a_number_that_one_format_hides_and_another_shows_is_found(self):
        document = copy.deepcopy(self.documents[-1])
        hidden = next(t for t in document["territories"] if t["suppressed"])
        shown = next(t for t in document["territories"] if not t["suppressed"])
        hidden.update({key: shown[key] for key in ("ballots", "suppressed", "questions")})
        self.assert_fault("formats", self.as_results() + [("csv", as_csv(document))])

    def test_another_number_for_the_same_version_is_found(self):
        document = copy.deepcopy(self.documents[-1])
        document["questions"][0]["options"][0]["votes"] += 1
        self.assert_fault("formats", self.as_results() + [("csv", as_csv(document))])

    def test_what_counts_the_ballots_that_are_not_shown_is_found(self):
        for more in ({"partition_ballots": [7]}, {"positions": [7]}, {"not_shown": 3}):
            self.assert_fault("exact", self.changed(lambda document, m=more: document.update(m)))

    def test_a_zero_for_what_is_hidden_is_found(self):
        def change(document):
            next(t for t in document["territories"] if t["suppressed"])["ballots"] = 0
        self.assert_fault("hidden", self.changed(change))

    def test_a_hidden_number_without_a_reason_is_found(self):
        def change(document):
            next(t for t in document["territories"] if t["suppressed"])["suppressed"] = None
        self.assert_fault("hidden", self.changed(change))

    def test_an_unknown_reason_is_found(self):
        def change(document):
            next(t for t in document["territories"] if t["suppressed"])["suppressed"] = "because"
        self.assert_fault("hidden", self.changed(change))

    def test_versions_order_the_documents(self):
        self.assert_fault("order", self.changed(lambda document: document.update(
            as_of="2026-08-01T00:00:00.000Z")))
        self.assert_fault("order", self.changed(lambda document: document.update(
            final=True), at=2))

    def test_a_whole_second_is_no_step_back(self):
        def change(document):
            document["as_of"] = document["as_of"].replace(".000Z", "Z")
        self.assertEqual(self.read(self.changed(change, at=-2)), [])

    def test_a_series_that_shrinks_is_found_and_the_rest_still_attacked(self):
        def change(document):
            document["ballots"] = 1
            for question in document["questions"]:
                for option in question["options"]:
                    option.update({measure: 0 for measure in option if measure != "id"})
        documents = self.changed(change)
        self.assertIn("shrinks", {finding.kind for finding in self.attack(documents).findings})

    def test_sums_are_checked_in_every_document(self):
        def change(document):
            shown = next(t for t in document["territories"] if t["ballots"] and t["parent"])
            shown["ballots"] += 1
        self.assert_fault("sums", self.changed(change))

    def test_a_group_left_out_at_the_end_is_found(self):
        self.assert_fault("sums", self.changed(lambda document: document["groups"].pop()))

    def test_a_live_turnout_that_is_exact_is_found(self):
        self.assert_fault("turnout", self.changed(lambda document: document.update(
            turnout=document["turnout"] + 1), at=-2))

    def test_a_turnout_apart_from_the_result_is_found(self):
        self.assert_fault("turnout", self.changed(lambda document: document.update(
            turnout=document["turnout"] + 10)))

    def test_a_number_in_what_one_voter_is_told_is_found(self):
        receipt = {"poll": "p", "recorded": True}
        self.assertEqual(self.read(self.as_results() + [("other", receipt)]), [])
        self.assert_fault("told", self.as_results() + [("other", {**receipt, "position": 17})])
        self.assert_fault("told", self.as_results() + [
            ("stream", 'event: state\ndata: {"poll": "p", "state": "open", "ballots": 3}\n\n')])


class Counters(OnePoll):
    def with_counter(self, kind, told):
        """`told` makes a document of the ballots of each moment, three more at each version."""
        ballots, final = 0, self.documents[-1]["ballots"]
        documents = [(kind, told(0))]
        for document in self.as_results():
            ballots = min(ballots + 3, final)
            documents += [document, (kind, told(ballots))]
        return documents + [(kind, told(final))]

    def sizes(self, documents):
        return {finding.kind for finding in self.attack(documents).findings}

    def test_a_metric_that_counts_the_ballots_of_the_poll_is_found(self):
        metric = self.with_counter("metrics", lambda ballots: {"veche_some": 100 + ballots})
        self.assertIn("size", self.sizes(metric))

    def test_a_metric_that_counts_something_else_is_not(self):
        other = self.with_counter("metrics", lambda ballots: {"veche_other": 2 * ballots})
        self.assertNotIn("size", self.sizes(other))

    def test_an_exact_turnout_over_time_is_found(self):
        series = self.with_counter("turnout", lambda ballots: {
            "poll": "p", "series": [{"hour": "…", "ballots": ballots}]})
        self.assertIn("size", self.sizes(series))
        self.assert_fault("turnout", series)

    def test_a_turnout_over_time_in_tens_is_not(self):
        series = self.with_counter("turnout", lambda ballots: {
            "poll": "p", "series": [{"hour": 493_000, "ballots": 0}, {
                "hour": 493_001, "ballots": ballots if ballots == self.documents[-1]["ballots"]
                else ballots // 10 * 10}]})
        self.assertEqual(self.sizes(series), set())
        self.assertEqual(self.read(series), [])

    def test_a_version_that_counts_ballots_is_found(self):
        documents = self.as_results()
        final = self.documents[-1]["ballots"]
        for number, (_, document) in enumerate(documents):
            document["version"] = f"{3 * number}-x"
        self.assertEqual(self.sizes(documents), set())
        documents[-1][1]["version"] = f"{final}-x"
        self.assertIn("size", self.sizes(documents))


class Command(OnePoll):
    def run_attack(self, documents):
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for name, content in (("poll", self.poll.definition),
                                  ("territories", {"territories": self.poll.territories}),
                                  ("documents", documents)):
                paths.append(pathlib.Path(folder) / name)
                paths[-1].write_text(json.dumps(content), encoding="utf-8")
            return subprocess.run([sys.executable, HERE / "attack.py", *paths], timeout=60,
                                  capture_output=True, text=True)

    def test_it_ends_with_1_for_findings_and_says_them(self):
        good = self.run_attack(self.as_results())
        self.assertEqual((good.returncode, good.stderr), (0, ""))
        self.assertIn("0 findings", good.stdout)
        bad = self.run_attack([("results", document) for document
                               in self.poll.publish("cut_every_ballot").documents])
        self.assertEqual((bad.returncode, bad.stderr), (1, ""))
        self.assertRegex(bad.stdout, "few: [1-9] voters chose")


if __name__ == "__main__":
    unittest.main()
