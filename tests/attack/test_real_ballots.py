"""Real ballots of participatory budgets under the rules: at the end everything that is shown adds
up to the official totals, and nobody can be isolated on the way."""

import collections
import csv
import gzip
import io
import os
import pathlib
import unittest

from attack import Attack
from documents import Reading, check_documents
from model import Publisher, total

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SHARED_DATA = pathlib.Path(os.environ.get("VECHE_SHARED", REPOSITORY.parent / "shared/data"))
BALLOTS_A_STEP = 3_000
KINDS = {"choose-1": "single", "ordinal": "ranked", "cumulative": "points", "approval": "approval"}
RANK_POINTS = [3, 2, 1]
CITY = "city"


class City:
    """A Pabulib file: projects, and ballots with the voter's district ("" is not known)."""

    def __init__(self, path):
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            lines = file.read().splitlines()
        at = {name: lines.index(name) for name in ("META", "PROJECTS", "VOTES")}
        meta = dict(row[:2] for row in csv.reader(lines[1:at["PROJECTS"]], delimiter=";"))
        self.kind = KINDS[meta["vote_type"]]
        self.projects = self.rows(lines[at["PROJECTS"] + 1:at["VOTES"]])
        self.votes = self.rows(lines[at["VOTES"] + 1:])
        # The same district is written in other cases.
        self.districts = collections.Counter(map(self.district, self.votes))

    @staticmethod
    def rows(lines):
        return list(csv.DictReader(io.StringIO("\n".join(lines)), delimiter=";"))

    @staticmethod
    def district(vote):
        return (vote.get("district") or vote.get("neighborhood") or "").strip().casefold()

    def territories(self):
        return [{"code": CITY, "parent": None}] + [
            {"code": district, "parent": CITY} for district in self.districts if district]

    def definition(self):
        """Half of the voters vote; how many live nowhere in particular, nobody knows."""
        return {"id": CITY, "targets": [{"territory": CITY}],
                "disclosure": {"mode": "steps", "k": 10},
                "expected_voters": {district: 2 * voters for district, voters
                                    in self.districts.items() if district},
                "questions": [{"id": "q", "kind": self.kind,
                               "points": RANK_POINTS if self.kind == "ranked" else [],
                               "options": [{"id": project["project_id"]}
                                           for project in self.projects]}]}

    def answers(self, vote):
        choices = vote["vote"].split(",")
        if self.kind == "points":
            choices = dict(zip(choices, map(int, vote["points"].split(","))))
        return [{"question": "q", "choices": choices}]

    def official(self, layout):
        """As a row: ballots, then votes (and points) of the projects."""
        row = [len(self.votes)]
        for project in self.projects:
            row.append(int(project["votes"]))
            if ("points", "q", project["project_id"]) in layout.at:
                row.append(int(project["score"]))
        return row


class RealBallots(unittest.TestCase):
    def count(self, name):
        path = SHARED_DATA / f"ballots/Poland_{name}.pb.gz"
        if not path.exists():
            self.skipTest(f"no {path}")
        city = City(path)
        publisher = Publisher(city.definition(), city.territories())
        for number, vote in enumerate(city.votes):
            publisher.cast(vote["voter_id"], city.district(vote) or CITY, city.answers(vote))
            if number % BALLOTS_A_STEP == 0:
                publisher.tick()
        publisher.close()
        return city, [("results", document) for document in publisher.documents]

    def assert_official(self, name):
        city, documents = self.count(name)
        definition, territories = city.definition(), city.territories()
        attack = Attack(definition, territories, documents)
        self.assertEqual(attack.findings, [])
        self.assertTrue(attack.exhausted)
        self.assertGreater(attack.columns, len(city.districts))
        self.assertEqual(check_documents(documents, definition, territories), [])
        reading = Reading(definition, territories, documents)
        official = city.official(reading.layout)
        end = {cells: told[reading.final] for cells, told in reading.rows.items()
               if reading.final in told}
        self.assertEqual(list(end.pop(reading.places.all)), official)
        parts, left = [], set(reading.places.all)
        for cells in sorted(end, key=len, reverse=True):
            if cells <= left:
                parts.append(end[cells])
                left -= cells
        self.assertEqual(left, set())
        self.assertEqual(total(parts, 0), official)
        self.assertGreater(len(parts), len(city.districts) / 2)

    def test_wroclaw(self):
        self.assert_official("Wroclaw_2020")

    def test_zabrze(self):
        self.assert_official("Zabrze_2020")

    def test_krakow_with_ranks(self):
        self.assert_official("Krakow_2021")

    def test_katowice_with_points(self):
        self.assert_official("Katowice_2023")

    def test_warszawa_with_approval(self):
        self.assert_official("Warszawa_2026")


if __name__ == "__main__":
    unittest.main()
