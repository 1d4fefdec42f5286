"""The rules of disclosure in steps once more, small enough to be read at one go, and what they
would publish of a poll, in the shapes of the HTTP interface. It shares nothing with the engine.

Each of VARIANTS breaks one rule; attack.py has to find each of them out, and nothing without."""

import collections
import csv
import io
import json

from places import Places

VARIANTS = ("parents_live", "last_batch_alone", "cut_every_ballot", "other_of_parent",
            "no_pooling", "rounding_instead", "unanimous_shown")
TURNOUT_STEP = 10


class Layout:
    """A row of counts: ballots, then votes (and points) of each option."""

    def __init__(self, questions):
        self.columns = [("ballots",)]
        for question in questions:
            for option in question["options"]:
                self.columns.append(("votes", question["id"], option["id"]))
                if question["kind"] in ("ranked", "points"):
                    self.columns.append(("points", question["id"], option["id"]))
        self.at = {column: place for place, column in enumerate(self.columns)}
        self.votes = [place for place, column in enumerate(self.columns) if column[0] == "votes"]
        self.scores = {question["id"]: question.get("points") or () for question in questions}

    def zeros(self):
        return [0] * len(self.columns)

    def row(self, answers):
        """Of one ballot."""
        row = self.zeros()
        row[0] = 1
        for answer in answers:
            question, choices = answer["question"], answer["choices"]
            points = choices if isinstance(choices, dict) else dict(
                zip(choices, self.scores[question]))
            for option in choices:
                row[self.at["votes", question, option]] = 1
                if option in points:
                    row[self.at["points", question, option]] = points[option]
        return row


def total(rows, width):
    return [sum(column) for column in zip(*rows)] or [0] * width


class Pool:
    """Ballots of one cell, or of cells that are pooled."""

    def __init__(self, cells, layout):
        self.cells = cells
        self.open, self.shown = layout.zeros(), layout.zeros()
        self.held = None  # a batch that may come out, and will when the next one may
        self.judged = 0  # how many were open when they were last found not to come out
        self.open_cells, self.held_cells = collections.Counter(), collections.Counter()


class Publisher:
    def __init__(self, definition, territories, variant=None):
        assert variant is None or variant in VARIANTS, variant
        self.definition, self.variant = definition, variant
        self.k = definition["disclosure"]["k"]
        self.places = Places(definition, territories)
        self.layout = Layout(definition["questions"])
        pools = ([(cell,) for cell in self.places.cells] if variant == "no_pooling"
                 else self.places.pools)
        self.pools = [Pool(cells, self.layout) for cells in pools]
        self.pool_of = {cell: pool for pool in self.pools for cell in pool.cells}
        self.voters = set()
        self.version, self.turnout = 0, None
        self.groups = None  # of the end: lists of pools
        self.changed = False
        self.documents = []
        self.came_out = collections.Counter()  # (cell, version) -> ballots: the truth

    def cast(self, voter, territory, answers):
        """The first ballot of a voter counts."""
        if voter in self.voters or self.groups is not None:
            return
        self.voters.add(voter)
        # One from elsewhere, which nobody admits, would go to the last.
        pool = self.pool_of.get(territory, self.pools[-1])
        pool.open = total([pool.open, self.layout.row(answers)], 0)
        pool.open_cells[territory] += 1
        self.changed = True

    def may_come_out(self, row):
        if self.variant == "cut_every_ballot":
            return row[0] > 0
        if self.variant == "unanimous_shown":
            return row[0] >= self.k
        return row[0] >= 3 * self.k or (row[0] >= self.k and
                                        all(row[at] != row[0] for at in self.layout.votes))

    # --- Steps ---

    def tick(self):
        is_new = self.version == 0
        for pool in self.pools:
            least = 1 if self.variant == "cut_every_ballot" else self.k
            if pool.open[0] < pool.judged + least:
                continue  # looked at again when k more are there: no single ballot decides when
            pool.judged = pool.open[0]
            if not self.may_come_out(pool.open):
                continue
            self._show_held(pool)
            pool.held, pool.open = pool.open, self.layout.zeros()
            pool.held_cells, pool.open_cells = pool.open_cells, collections.Counter()
            pool.judged = 0
            is_new = True
        turnout = len(self.voters) // TURNOUT_STEP * TURNOUT_STEP
        if len(self.voters) < 3 * self.k and not any(pool.shown[0] for pool in self.pools):
            turnout = 0  # all may be of one mind: from 3k on they come out, too
        counts_live = self.variant in ("parents_live", "rounding_instead")
        if is_new or turnout != self.turnout or (counts_live and self.changed):
            self.turnout = turnout
            self._publish()

    def close(self):
        if self.variant == "last_batch_alone":
            for pool in self.pools:
                self._show_held(pool)
            self._publish()
        self.groups = self._groups([
            (pool, total([pool.open, pool.held or self.layout.zeros()], 0))
            for pool in self.pools])
        for pool in self.pools:
            self._show_held(pool)
            pool.held, pool.held_cells = pool.open, pool.open_cells
            self._show_held(pool)
        self.turnout = len(self.voters)
        self._publish()

    def _show_held(self, pool):
        """With the next version."""
        pool.shown = total([pool.shown, pool.held or self.layout.zeros()], 0)
        for cell, ballots in pool.held_cells.items():
            self.came_out[cell, self.version + 1] += ballots
        pool.held, pool.held_cells = None, collections.Counter()

    def _groups(self, rest):
        if self.variant == "last_batch_alone":
            return [[pool] for pool in self.pools]
        if self.variant == "other_of_parent":
            return self._others_of_parents(rest)
        groups, group, sum_ = [], [], self.layout.zeros()
        for pool, row in rest:
            group.append(pool)
            sum_ = total([sum_, row], 0)
            if self.may_come_out(sum_):
                groups.append(group)
                group, sum_ = [], self.layout.zeros()
        if group and groups:
            groups[-1] += group
        elif group:
            groups.append(group)
        return groups

    def _others_of_parents(self, rest):
        groups, others = [], {}
        for pool, row in rest:
            if self.may_come_out(row):
                groups.append([pool])
            else:
                cell = pool.cells[0]
                parent = self.places.parent[cell] if self.places.is_leaf(cell) else cell
                others.setdefault(parent, []).append(pool)
        return groups + list(others.values())

    # --- What is seen ---

    @property
    def is_final(self):
        return self.groups is not None

    def _publish(self):
        self.version += 1
        self.changed = False
        self.documents.append(self._document())

    def _sum(self, cells):
        pools = {id(self.pool_of[cell]): self.pool_of[cell] for cell in cells}.values()
        return total([pool.shown for pool in pools], len(self.layout.columns))

    def _shown(self, cells):
        """The counts of a set of cells, or why they are not shown."""
        if self._is_all_too_few():
            return None, "too-few"
        groups = self.groups if self.is_final else [[pool] for pool in self.pools]
        for group in groups:
            held = {cell for pool in group for cell in pool.cells}
            if held & cells and not held <= cells and not (
                    self.variant == "other_of_parent" and len(cells) > 1):
                return None, "in-group"
        row = self._sum(cells)
        if self.variant == "other_of_parent" and self.is_final and not self.may_come_out(row):
            return None, "too-few"
        if not self.is_final:
            row = self._live(cells, row)
        return (row, None) if row[0] or self.is_final else (None, "not-yet")

    def _live(self, cells, row):
        pools = {id(self.pool_of[cell]): self.pool_of[cell] for cell in cells}.values()
        cast = total([row] + [pool.open for pool in pools] +
                     [pool.held for pool in pools if pool.held], 0)
        if self.variant == "parents_live" and len(pools) > 1:
            return cast
        if self.variant == "rounding_instead":
            return [count // TURNOUT_STEP * TURNOUT_STEP for count in cast]
        return row

    def _is_all_too_few(self):
        return (self.is_final and len(self.groups) == 1 and
                self.variant not in ("last_batch_alone", "other_of_parent") and
                not self.may_come_out(self._sum(self.places.all)))

    def _counts(self, row, suppressed):
        questions = []
        for question in self.definition["questions"]:
            options = []
            for option in question["options"]:
                counts = {"id": option["id"]}
                for measure in ("votes", "points"):
                    at = self.layout.at.get((measure, question["id"], option["id"]))
                    if at is not None:
                        counts[measure] = row and row[at]
                options.append(counts)
            questions.append({"id": question["id"], "options": options})
        return {"ballots": row and row[0], "suppressed": suppressed, "questions": questions}

    def _document(self):
        state = "closed" if self.is_final else "open"
        row, suppressed = self._shown(self.places.all)
        return {"poll": self.definition["id"], "version": f"{self.version}-{state}",
                "as_of": f"2026-09-01T{self.version // 3600:02}:{self.version // 60 % 60:02}:"
                         f"{self.version % 60:02}.000Z",
                "state": state, "final": self.is_final,
                "turnout": None if suppressed == "too-few" else self.turnout,
                **self._counts(row, suppressed),
                "territories": [self._territory(code) for code in self.places.listed],
                "groups": list(self._groups_shown())}

    def _territory(self, code):
        not_below = 0
        if code in self.pool_of:
            own, _ = self._shown(frozenset([code]))
            not_below = own and own[0]
        return {"code": code, "name": code, "level": len(list(self.places.path(code))) - 1,
                "parent": self.places.parent[code], "not_below": not_below,
                **self._counts(*self._shown(self.places.below(code)))}

    def _groups_shown(self):
        """A group of one cell is a territory, or what is not below one."""
        groups = self.groups if self.is_final else [[pool] for pool in self.pools]
        for group in groups:
            cells = sorted(cell for pool in group for cell in pool.cells)
            if len(cells) < 2:
                continue
            leaves = [cell for cell in cells if self.places.is_leaf(cell)]
            yield {"within": self.places.smallest_holder(cells), "leaves": leaves,
                   "not_below": [cell for cell in cells if cell not in leaves],
                   **self._counts(*self._shown(frozenset(cells)))}


# --- Other shapes of a results document ----------------------------------------------------------

CSV_HEADER = ("poll_id,question_id,option_id,option_title,level,territory,territory_name,votes,"
              "points,ballots,share,suppressed,state,version,as_of").split(",")


def as_csv(document, for_excel=False):
    """For every option come the whole poll, the territories and the groups."""
    out = io.StringIO()
    out.write("\ufeff" if for_excel else "")
    writer = csv.writer(out, delimiter=";" if for_excel else ",")
    writer.writerow(CSV_HEADER)
    for at, question in enumerate(document["questions"]):
        for place, option in enumerate(question["options"]):
            for names, counts in csv_places(document, for_excel):
                shown = counts["questions"][at]["options"][place]
                share = shown["votes"] / counts["ballots"] if counts["ballots"] else None
                ids = (as_id(of["id"], for_excel) for of in (question, option))
                writer.writerow([as_id(document["poll"], for_excel), *ids, "", *names,
                                 shown["votes"], shown.get("points"), counts["ballots"], share,
                                 counts["suppressed"], document["state"], document["version"],
                                 document["as_of"]])
    return out.getvalue()


def as_id(name, for_excel):
    return f'="{name}"' if for_excel else name


def csv_places(document, for_excel):
    yield ("", "(all)", ""), document
    for place in document["territories"]:
        yield (place["level"], as_id(place["code"], for_excel), place["name"]), place
    for number, group in enumerate(document["groups"], 1):
        members = group["leaves"] + [code + "*" for code in group["not_below"]]
        yield ("", f"(group {number})", " ".join(members)), group


def as_stream(documents):
    """The events that a reader gets who came before the first publication."""
    out = ["retry: 3000\n\n"]
    for at, document in enumerate(documents):
        totals = {key: value for key, value in document.items()
                  if key not in ("territories", "groups")}
        places = {key: document[key] for key in ("poll", "version", "territories", "groups")}
        events = [("snapshot", document)] if at == 0 else [("totals", totals),
                                                           ("territories", places)]
        for name, data in events:
            out.append(f"id: 1-{document['version']}\nevent: {name}\n"
                       f"data: {json.dumps(data)}\n\n")
    return "".join(out)
