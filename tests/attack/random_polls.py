"""Seeded polls that are made to be hard to disclose: uneven trees, empty and unanimous villages,
voters who try again, bursts before the end, a close at any moment."""

import random

from model import Publisher

KINDS = ("single", "single", "approval", "points", "ranked")


class RandomPoll:
    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.territories = []
        for root in range(self.dice.choice((1, 1, 2))):
            self._grow(f"{root}", None, self.dice.randint(1, 3))
        self.definition = {
            "id": f"poll-{seed}", "targets": self._targets(),
            "expected_voters": self._expected_voters(),
            "disclosure": {"mode": "steps", "k": self.dice.choice((2, 3, 5, 10, 10))},
            "questions": [self._question(f"q{number}")
                          for number in range(self.dice.choice((1, 1, 2)))]}

    def _grow(self, code, parent, depth):
        self.territories.append({"code": code, "parent": parent})
        if depth and self.dice.random() < 0.8:
            for child in range(self.dice.randint(1, 5)):
                self._grow(f"{code}-{child}", code, depth - 1)

    def _targets(self):
        if self.dice.random() < 0.1:
            return [{"addr": "house-1"}]
        roots = [place["code"] for place in self.territories if place["parent"] is None]
        if self.dice.random() < 0.7:
            return [{"territory": root} for root in roots]
        places = [place["code"] for place in self.territories]
        return [{"territory": code} for code in self.dice.sample(places, min(len(places), 2))]

    def _expected_voters(self):
        return {place["code"]: self.dice.choice((3, 20, 49, 50, 400, 9000))
                for place in self.territories if self.dice.random() < 0.7}

    def _question(self, name):
        kind = self.dice.choice(KINDS)
        options = [{"id": chr(ord("a") + at)} for at in range(self.dice.choice((1, 2, 3, 5)))]
        most = 1 if kind == "single" else self.dice.randint(1, len(options))
        return {"id": name, "kind": kind, "options": options, "min": 1, "max": most,
                "points": list(range(most, 0, -1)) if kind == "ranked" else []}

    def answers(self, favourite):
        """`favourite`: None, or the place of the option that a whole village chooses."""
        answers = []
        for question in self.definition["questions"]:
            options = [option["id"] for option in question["options"]]
            chosen = self.dice.sample(options, self.dice.randint(1, question["max"]))
            if favourite is not None:
                chosen = [options[favourite % len(options)]]
            if question["kind"] == "points":
                chosen = {option: self.dice.randint(1, 9) for option in chosen}
            answers.append({"question": question["id"], "choices": chosen})
        return answers

    def publish(self, variant=None):
        """Lets the poll happen; returns the publisher with all its documents."""
        publisher = Publisher(self.definition, self.territories, variant)
        cells = publisher.places.cells
        weights = [self.dice.choice((0, 0.2, 1, 1, 5)) for _ in cells]
        weights[0] += 0.01
        favourite_of = {cell: self.dice.choice((None, None, 0, 1)) for cell in cells}
        publisher.tick()
        voters = 0
        for _ in range(self.dice.randint(1, 25)):
            for _ in range(self.dice.choice((0, 1, 3, 10, 40))):
                cell, = self.dice.choices(cells, weights)
                voter = self.dice.randint(0, voters) if self.dice.random() < 0.1 else voters
                voters += 1
                publisher.cast(voter, cell, self.answers(favourite_of[cell]))
            publisher.tick()
        for _ in range(self.dice.choice((0, 1, 2, 9, 30))):  # too late for another step
            cell = self.dice.choice(cells)
            voters += 1
            publisher.cast(voters, cell, self.answers(favourite_of[cell]))
        publisher.close()
        return publisher
