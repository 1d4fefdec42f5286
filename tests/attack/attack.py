"""Tries to isolate voters from everything that was published of one poll.

    python3 attack.py POLL.json TERRITORIES.json DOCUMENTS.json [-k K]

(the definition; {"territories": [...]}; a list of [kind, content] as documents.py names them).
It needs no truth: where a set of ballots can be solved for, its size comes out too.

The equations. An atom is the ballots of one cell that the published numbers hold from one version
on and not before. A number about the cells C at version v is the sum of the atoms C x (0, v], so
what one series has gained between two versions that show it is the sum of C x (u, v]: one linear
equation over the atoms, for ballots, votes and points alike. Parent minus children, group minus
members, total minus shown and every mixture of them are combinations of these rows. A set of
ballots, of whole atoms, is solved for exactly if its 0/1 vector lies in their row space.

The search.
1. A row whose ballots are 0 has empty atoms alone, for no atom is negative; they are struck out.
   This repeats for every set that turns out to be solved for and empty.
2. Atoms that no row tells apart are one column: no combination separates them.
3. Gauss-Jordan over the rationals. A vector of the row space is the sum of its pivot entries times
   the reduced rows. If it is 0/1, so are its pivot entries: each subset of the reduced rows is one
   candidate, and there are no others.
4. Reduced rows that share no column are independent: a 0/1 vector falls apart into 0/1 vectors of
   their groups. What may come out does so too with more ballots added, so a union of parts that may
   all come out may come out, and it is enough to look within each group, by branch and bound.

So the search is complete over unions of whole atoms unless `exhausted` is false: then some group
had more candidates than BUDGET, and of it only sums and differences of up to three rows were tried.

Where every version shows the whole tree it is complete without any search: the sets C of one step
are laminar (two are disjoint or one holds the other), C less the largest sets below it are disjoint
rings, these span the same space, and they are the columns; so the reduced rows are the columns one
by one. Steps share no atoms. Groups at the end are whole steps of several cells: laminar again.

What is heuristic. That levels step together is a hypothesis, the one that the rules promise. If it
were wrong the rows would contradict each other; that is told as a finding, and then each series is
tried by itself and against what it holds. Counters that are told between versions (an exact
turnout, a metric, the version's own number) are taken for a count of all ballots if they grew as
the final turnout did. Bounds are not followed: a turnout in steps of ten, where a group ends, that
a poll is too few although its turnout was k. They isolate nobody, but say more than nothing."""

import argparse
import collections
import fractions
import itertools
import json
import sys

from documents import Reading, check_pools, name_of

BUDGET = 20_000  # candidates of one group of rows
FEWEST_COUNTED = 10  # fewer ballots are easily as many as something else
MAX_FINDINGS = 20  # of one kind

# `atoms`: (cell, the version with which they come out), where a set was solved for.
Finding = collections.namedtuple("Finding", "kind voters text atoms", defaults=[frozenset()])


class Contradiction(Exception):
    pass


# --- Exact elimination ---------------------------------------------------------------------------


def divided(number, by):
    """Whole as long as it can be: most pivots are 1 or -1, and fractions are slow."""
    quotient = fractions.Fraction(number, by)
    return quotient.numerator if quotient.denominator == 1 else quotient


def scaled(row, counts, by):
    if by == 1:
        return row, counts
    return ({column: divided(value, by) for column, value in row.items()},
            [divided(count, by) for count in counts])


def less(row, counts, times, other_row, other_counts):
    """row - times * other_row; `row` is changed."""
    for column, value in other_row.items():
        left = row.get(column, 0) - times * value
        if left:
            row[column] = left
        else:
            del row[column]
    return row, [count - times * other for count, other in zip(counts, other_counts)]


def reduced(rows):
    """[(row, counts)] -> {pivot: (row, counts)}, where no row has another one's pivot. Rows are
    {column: coefficient}."""
    basis = {}
    holders = collections.defaultdict(set)  # column -> pivots of the rows that have it
    for row, counts in sorted(rows, key=lambda pair: len(pair[0])):
        row = dict(row)
        for pivot in [column for column in row if column in basis]:
            row, counts = less(row, counts, row[pivot], *basis[pivot])
        if not row:
            if any(counts):
                raise Contradiction(f"a sum of nothing is {counts[0]} ballots")
            continue
        pivot = min(row, key=lambda column: (abs(row[column]) != 1, len(holders[column])))
        row, counts = scaled(row, counts, row[pivot])
        for other in list(holders[pivot]):
            basis[other] = less(basis[other][0], basis[other][1], basis[other][0][pivot], row,
                                counts)
            for column in row:
                (holders[column].add if column in basis[other][0]
                 else holders[column].discard)(other)
        basis[pivot] = row, counts
        for column in row:
            holders[column].add(pivot)
    return basis


# --- The system of one hypothesis ----------------------------------------------------------------


class System:
    """`equations`: [(frozenset of atoms, counts)], ballots first."""

    def __init__(self, equations):
        self.columns = []  # each a tuple of atoms
        self.basis = {}
        self.solved_sets = []  # (columns, counts)
        self.exhausted = True
        empty = set()
        while True:
            self._merge(equations, empty)
            self._solve()
            more = self._empty_atoms()
            if not more:
                return
            empty |= more

    def _merge(self, equations, empty):
        """Into columns, without what is known to be empty; then into reduced rows."""
        for atoms, counts in equations:
            if counts[0] == 0:
                empty |= atoms
        left = {}
        for atoms, counts in equations:
            atoms = atoms - empty
            if left.setdefault(atoms, counts) != counts:
                raise Contradiction(f"{counts[0]} and {left[atoms][0]} ballots of the same cells")
        if any(left.pop(frozenset(), ())):
            raise Contradiction("ballots of no cells")
        rows_of = collections.defaultdict(list)
        for number, atoms in enumerate(left):
            for atom in atoms:
                rows_of[atom].append(number)
        atoms_of = collections.defaultdict(list)
        for atom, numbers in rows_of.items():
            atoms_of[tuple(numbers)].append(atom)
        self.columns = list(atoms_of.values())
        rows = [{} for _ in left]
        for column, numbers in enumerate(atoms_of):
            for number in numbers:
                rows[number][column] = 1
        self.basis = reduced(zip(rows, left.values()))

    def _empty_atoms(self):
        columns = {column for row, counts in self.basis.values()
                   if counts[0] == 0 and min(row.values()) > 0 for column in row}
        columns.update(column for solved, counts in self.solved_sets if counts[0] == 0
                       for column in solved)
        return self.atoms_of(columns)

    def groups(self):
        """Reduced rows that hang together by shared columns."""
        rows_of = collections.defaultdict(list)
        for pivot, (row, _) in self.basis.items():
            for column in row:
                rows_of[column].append(pivot)
        left = set(self.basis)
        while left:
            group, reached = [], [left.pop()]
            while reached:
                group.append(reached.pop())
                near = {pivot for column in self.basis[group[-1]][0] for pivot in rows_of[column]}
                reached += near & left
                left -= near
            yield [self.basis[pivot] for pivot in sorted(group)]

    def _solve(self):
        """Of each group all sets that can be solved for, or some where they are too many."""
        self.solved_sets, self.exhausted = [], True
        for group in self.groups():
            budget = [BUDGET]
            self.solved_sets += zero_one(group, budget)
            if budget[0] <= 0:
                self.exhausted = False
                self.solved_sets += small_combinations(group)

    def atoms_of(self, columns):
        return {atom for column in columns for atom in self.columns[column]}


def zero_one(group, budget):
    """All non-empty 0/1 sums of the rows. A column is settled with the last row that has it; a
    branch with another value than 0 or 1 there is given up."""
    last_row = {column: at for at, (row, _) in enumerate(group) for column in row}
    settled = [[column for column in row if last_row[column] == at]
               for at, (row, _) in enumerate(group)]
    width = len(group[0][1])
    stack = [(0, {}, [0] * width)]
    while stack and budget[0] > 0:
        budget[0] -= 1
        at, sums, counts = stack.pop()
        if at == len(group):
            if any(sums.values()):
                yield [column for column, value in sums.items() if value], counts
            continue
        row, own = group[at]
        for taken in (0, 1):
            with_row = dict(sums)
            if taken:
                for column, value in row.items():
                    with_row[column] = with_row.get(column, 0) + value
            if all(with_row.get(column, 0) in (0, 1) for column in settled[at]):
                stack.append((at + 1, with_row,
                              [a + b for a, b in zip(counts, own)] if taken else counts))


def small_combinations(group):
    for amount in (1, 2, 3):
        for rows in itertools.islice(itertools.combinations(group, amount), BUDGET):
            for signs in itertools.product((1, -1), repeat=amount):
                sums, counts = {}, [0] * len(group[0][1])
                for (row, own), sign in zip(rows, signs):
                    sums, counts = less(sums, counts, -sign, row, own)
                if set(sums.values()) == {1}:
                    yield list(sums), counts


# --- The attack ----------------------------------------------------------------------------------


class Attack:
    def __init__(self, definition, territories, documents, k=None):
        self.k = k or definition["disclosure"]["k"]
        self.reading = Reading(definition, territories, documents)
        self.findings = []
        self.exhausted = True
        self.columns = 0  # how many sets could not be told apart further
        self._run()

    def found(self, kind, voters, text, atoms=frozenset()):
        alike = [finding for finding in self.findings if finding.kind == kind]
        if len(alike) < MAX_FINDINGS and not (atoms and atoms in [one.atoms for one in alike]):
            self.findings.append(Finding(kind, voters, text, atoms))

    def judge(self, counts, text, atoms=frozenset()):
        voters, choices = counts[0], list(counts[1:])
        if 0 < voters < self.k:
            self.found("few", voters, f"{voters} voters chose {choices}, {text}", atoms)
        elif 0 < voters < 3 * self.k and choices and any(
                counts[at] == voters for at in self.reading.layout.votes):
            self.found("unanimous", voters, f"{voters} voters chose alike {choices}, {text}", atoms)

    def _run(self):
        for fault in self.reading.faults:
            self.found(fault.split(":")[0], None, fault)
        before = len(self.reading.faults)
        check_pools(self.reading)
        for fault in self.reading.faults[before:]:
            self.found("pool", None, fault)
        rows = list(self._gains(self._rows_and_nothings()))
        sizes = list(self._gains({cells: {version: (ballots,) for version, ballots in told.items()}
                                  for cells, told in self.reading.sizes.items()}))
        try:
            self._solve(rows)
            if sizes:  # which tell no votes, so that ballots have a system of their own
                self._solve(sizes + [(*gain, counts[:1]) for *gain, counts in rows])
        except Contradiction as contradiction:
            self.found("contradiction", None, f"levels do not step together: {contradiction}")
            self._each_by_itself(rows)
        self._counters()

    def _rows_and_nothings(self):
        """What is not shown yet has shown nothing: a row of zeros, as good as any other."""
        nothing = (0,) * len(self.reading.layout.columns)
        numbers = {cells: dict(told) for cells, told in self.reading.rows.items()}
        for cells, told in self.reading.hidden.items():
            zeros = {version: nothing for version, reason in told.items() if reason == "not-yet"}
            numbers[cells] = {**zeros, **numbers.get(cells, {})}
        return numbers

    def _gains(self, numbers):
        """(cells, from, to, counts) of each series between versions that show it."""
        for cells, told in numbers.items():
            before, had = 0, (0,) * len(next(iter(told.values()), ()))
            for version, counts in sorted(told.items()):
                gain = [new - old for new, old in zip(counts, had)]
                if min(gain) < 0:
                    self.found("shrinks", None, f"{name_of(cells)}: {counts} after {had}")
                else:
                    yield cells, before, version, gain
                before, had = version, counts

    def _solve(self, gains):
        # Between two versions that any series has, nothing is told apart.
        steps = sorted({version for gain in gains for version in gain[1:3]} - {0})
        step_at = {version: at for at, version in enumerate([0] + steps)}
        equations = [
            (frozenset((cell, step) for cell in cells
                       for step in range(step_at[since] + 1, step_at[until] + 1)), tuple(counts))
            for cells, since, until, counts in gains]
        system = System(equations)
        self.columns = max(self.columns, len(system.columns))
        self.exhausted = self.exhausted and system.exhausted
        for columns, counts in system.solved_sets:
            atoms = frozenset((cell, steps[step - 1]) for cell, step in system.atoms_of(columns))
            cells, versions = map(set, zip(*atoms))
            self.judge(counts, f"of {name_of(cells)}, come out from version {min(versions)} to "
                               f"{max(versions)}", atoms)

    def _each_by_itself(self, gains):
        for cells, since, until, counts in gains:
            self.judge(counts, f"of {name_of(cells)}, from version {since} to {until}")
        rows = self.reading.rows
        for whole, told in rows.items():
            for version, counts in told.items():
                rest, left = list(counts), set(whole)
                for part in sorted(rows, key=len, reverse=True):
                    if part < whole and part <= left and version in rows[part]:
                        rest = [a - b for a, b in zip(rest, rows[part][version])]
                        left -= part
                if left != whole and min(rest) >= 0:
                    self.judge(rest, f"of {name_of(whole)} at version {version}, beside its "
                                     "shown parts")

    def _counters(self):
        """What counts all ballots while they come: their number since the last look, and of those
        that no version shows."""
        shown = {version: row[0] for version, row in
                 self.reading.rows[self.reading.places.all].items()}
        for name, looks in self._counters_of_ballots(shown):
            for (_, before), (_, after) in zip(looks, looks[1:]):
                if 0 < after - before < self.k:
                    self.found("size", after - before, f"{name} grew from {before} to {after}")
            for version, value in looks:
                hidden = value - max((n for v, n in shown.items() if v <= version), default=0)
                if 0 < hidden < self.k:
                    self.found("size", hidden, f"{name} is {value} at version {version}")

    def _counters_of_ballots(self, shown):
        live = [(version, value or 0) for version, value in sorted(self.reading.turnout.items())
                if version != self.reading.final]
        if any(value % 10 for _, value in live):
            yield "turnout", [(0, 0)] + live
        final = shown.get(self.reading.final, 0)
        for name, looks in self.reading.counters.items():
            values = [value for _, value in looks]
            if final >= FEWEST_COUNTED and values == sorted(values) and (
                    values[-1] - values[0] == final) and any(value % 10 for value in values[:-1]):
                yield name, [(version, value - values[0]) for version, value in looks]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("poll", type=argparse.FileType())
    parser.add_argument("territories", type=argparse.FileType())
    parser.add_argument("documents", type=argparse.FileType())
    parser.add_argument("-k", type=int, help="fewest voters; default: the poll's own")
    given = parser.parse_args()
    attack = Attack(json.load(given.poll), json.load(given.territories)["territories"],
                    json.load(given.documents), given.k)
    for finding in attack.findings:
        print(f"{finding.kind}: {finding.text}")
    print(f"{len(attack.findings)} findings, {attack.columns} sets told apart, "
          + ("all combinations tried" if attack.exhausted else "not all combinations tried"))
    return 1 if attack.findings else 0


if __name__ == "__main__":
    sys.exit(main())
