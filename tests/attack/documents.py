"""Reads everything that was published of one poll into series of numbers, and checks what every
reader relies on: formats agree, versions order, sums add up, what is hidden is hidden everywhere.

A document is (kind, content) with one of these kinds; documents come in the order in which they
were received:

    results   a results document, or a certificate: the object
    csv       results as CSV: text
    stream    a stream of events, or a part of it: text
    turnout   the turnout over time: the object
    metrics   {series: value}
    other     anything else that a client was told about the poll (receipts, refusals): the object
"""

import collections
import csv
import io
import json

from model import Layout
from places import Places

TURNOUT_STEP = 10
REASONS = {"not-yet", "in-group", "too-few"}
# No number in what is told one voter, or of a refusal, is about other voters; these are constants.
HARMLESS = {"status", "recorded", "type", "title", "detail", "code", "poll", "outcome", "receipt",
            "errors", "pointer"}


def number_of(version):
    return int(version.split("-")[0])


def events_of(text):
    """(event, data) of a text/event-stream; an event that is cut off is none."""
    for block in text.replace("\r\n", "\n").split("\n\n")[:-1]:
        fields = collections.defaultdict(list)
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            fields[name].append(value.removeprefix(" "))
        if fields["data"]:
            yield "".join(fields["event"]) or "message", json.loads("\n".join(fields["data"]))


class Reading:
    def __init__(self, definition, territories, documents=()):
        self.places = Places(definition, territories)
        self.layout = Layout(definition["questions"])
        self.rows = collections.defaultdict(dict)   # cells -> version -> counts
        self.sizes = collections.defaultdict(dict)  # the same where ballots alone are told
        self.hidden = collections.defaultdict(dict)
        self.groups = collections.defaultdict(set)  # version -> sets of cells
        self.turnout = {}                           # version -> number; None: hidden
        self.series = []                            # turnouts over time
        self.counters = collections.defaultdict(list)  # name -> (version of the moment, value)
        self.headers = {}                           # version -> state, final, as_of
        self.now = 0
        self.final = None                           # its version
        self.faults = []
        for kind, content in documents:
            getattr(self, f"_read_{kind}")(content)

    def fault(self, kind, text):
        if f"{kind}: {text}" not in self.faults:
            self.faults.append(f"{kind}: {text}")

    # --- Reading ---

    def _read_results(self, document):
        version = self._version(document)
        self._note_header(version, document)
        if "turnout" in document:
            self._note_turnout(version, document["turnout"])
        for name in ("partition_ballots", "positions", "not_shown"):
            if name in document:
                self.fault("exact", f"{name} tells how many ballots there are")
        if "questions" in document:
            self._note_counts(version, self.places.all, document)
        for territory in document.get("territories", ()):
            self._read_territory(version, territory)
        for group in document.get("groups", ()):
            cells = frozenset(group["leaves"] + group["not_below"])
            self.groups[version].add(cells)
            self._note_counts(version, cells, group)

    def _read_territory(self, version, territory):
        code = territory["code"]
        self._note_counts(version, self.places.below(code), territory)
        if territory["not_below"] is not None and code in self.places.all:
            self._note(self.sizes, version, frozenset([code]), territory["not_below"])

    def _read_csv(self, text):
        """Also as a spreadsheet wants it: a byte order mark, semicolons, ids as formulas."""
        text = text.removeprefix("\ufeff")
        separator = ";" if text.partition("\n")[0].count(";") else ","
        rows = collections.defaultdict(list)
        for row in csv.DictReader(io.StringIO(text), delimiter=separator):
            for column in ("question_id", "option_id", "territory"):
                row[column] = row[column].removeprefix('="').removesuffix('"')
            rows[row["territory"], row["territory_name"]].append(row)
        for (code, name), options in rows.items():
            version = self._version(options[0])
            self._note_counts(version, self._cells_of_csv(code, name, version),
                              self._counts_of_csv(options))

    def _cells_of_csv(self, code, name, version):
        if code == "(all)":
            return self.places.all
        if not code.startswith("(group "):
            return self.places.below(code)
        cells = frozenset(member.removesuffix("*") for member in name.split(" "))
        self.groups[version].add(cells)
        return cells

    @staticmethod
    def _counts_of_csv(options):
        def number(text):
            return int(text) if text else None

        questions = collections.defaultdict(list)
        for row in options:
            questions[row["question_id"]].append({
                "id": row["option_id"], "votes": number(row["votes"]),
                "points": number(row["points"]), "share": row["share"]})
        return {"ballots": number(options[0]["ballots"]),
                "suppressed": options[0]["suppressed"] or None,
                "questions": [{"id": name, "options": given} for name, given in questions.items()]}

    def _read_stream(self, text):
        for event, data in events_of(text):
            if event in ("snapshot", "totals", "territories"):
                self._read_results(data)
            elif event in ("state", "hidden"):
                self._read_other({key: value for key, value in data.items()
                                  if key not in ("state", "final", "until", "version")})

    def _read_turnout(self, document):
        """However the series is laid out, its numbers are turnouts, or growths of it."""
        if "turnout" in document:
            self._note_turnout(self._version(document), document["turnout"])
        series = [value for name, value in numbers_in(document)
                  if name != "turnout" and "hour" not in name]
        if series:
            self.series.append(series)
            self.counters["the last turnout"].append((self.now, series[-1]))
            self.counters["the sum of turnouts"].append((self.now, sum(series)))

    def _read_metrics(self, metrics):
        for name, value in metrics.items():
            self.counters[name].append((self.now, value))

    def _read_other(self, document):
        for name, value in numbers_in(document):
            if name not in HARMLESS:
                self.fault("told", f"{name} = {value} in {json.dumps(document)[:200]}")

    # --- Notes ---

    def _version(self, document):
        version = number_of(document["version"])
        self.now = max(self.now, version)
        self.counters["the version"].append((self.now, self.now))
        return version

    def _note_header(self, version, document):
        if "state" not in document:
            return
        # Without the Z a whole second comes before its fractions, as texts too.
        header = (document["final"], document["as_of"].removesuffix("Z"))
        for other, (final, as_of) in self.headers.items():
            if (other < version and (final or as_of > header[1])) or (
                    other == version and final != header[0]):
                self.fault("order", f"version {version} is {header}, {other} {final, as_of}")
        self.headers[version] = header
        if document["final"]:
            self.final = version

    def _note_turnout(self, version, value):
        if self.turnout.setdefault(version, value) != value:
            self.fault("formats", f"version {version}: turnout {self.turnout[version]}, {value}")

    def _note_counts(self, version, cells, counts):
        row = [counts["ballots"]]
        for question in counts["questions"]:
            for option in question["options"]:
                row += [option[measure] for measure in ("votes", "points")
                        if (measure, question["id"], option["id"]) in self.layout.at]
        reason = counts["suppressed"]
        if len(row) != len(self.layout.columns):
            self.fault("shape", f"version {version}: {name_of(cells)} has {len(row)} numbers")
        elif (None in row) != (reason is not None) or any(
                value is not None for value in row if reason):
            self.fault("hidden", f"version {version}: {name_of(cells)} is {row}, {reason}")
        elif reason is None:
            self._note(self.rows, version, cells, tuple(row))
        elif reason not in REASONS:
            self.fault("hidden", f"version {version}: {reason} is no reason")
        else:
            self._note(self.hidden, version, cells, reason)
        if version in self.hidden.get(cells, ()) and version in self.rows.get(cells, ()):
            self.fault("formats", f"version {version}: {name_of(cells)} is hidden and shown")

    def _note(self, numbers, version, cells, value):
        if numbers[cells].setdefault(version, value) != value:
            self.fault("formats", f"version {version}: {name_of(cells)} is {value} and "
                                  f"{numbers[cells][version]}")


def numbers_in(document, name=""):
    if isinstance(document, dict):
        for key, value in document.items():
            yield from numbers_in(value, key)
    elif isinstance(document, list):
        for value in document:
            yield from numbers_in(value, name)
    elif isinstance(document, (int, float)) and not isinstance(document, bool):
        yield name, document


def name_of(cells):
    names = sorted(cells)
    return "+".join(names[:6]) + ("…" if len(names) > 6 else "")


# --- What every reader relies on -----------------------------------------------------------------


def check_documents(documents, definition, territories):
    """Faults as texts that begin with their kind."""
    reading = Reading(definition, territories, documents)
    check_sums(reading)
    check_pools(reading)
    check_turnout(reading)
    return reading.faults


def check_sums(reading):
    """Nothing hidden before the end has shown anything, so the shown parts of a whole add up to it.
    At the end they do once they hold all of its cells."""
    for version in sorted({version for told in reading.rows.values() for version in told}):
        shown = {cells: rows[version] for cells, rows in reading.rows.items() if version in rows}
        listed = {cells for numbers in (reading.rows, reading.hidden)
                  for cells, values in numbers.items() if version in values}
        sizes = {cells: values[version] for cells, values in reading.sizes.items()
                 if version in values}
        for whole, row in shown.items():
            check_sum(reading, version, whole, row, shown, listed, sizes)
    check_end(reading)


def check_end(reading):
    """At the end every cell is shown: by itself, or in a group."""
    version, rows = reading.final, reading.rows
    if version is None or version not in rows[reading.places.all] or not all(
            version in rows[cells] or version in reading.hidden[cells]
            for cells in map(reading.places.below, reading.places.listed)):
        return
    told = {cell for numbers in (rows, reading.sizes) for cells, values in numbers.items()
            if version in values and len(cells) == 1 for cell in cells}
    missing = reading.places.all - told.union(*reading.groups[version])
    if missing:
        reading.fault("sums", f"nothing shown at the end holds {name_of(missing)}")


def check_sum(reading, version, whole, row, shown, listed, sizes):
    parts, left = [], set(whole)
    for cells in sorted(shown, key=len, reverse=True):
        if cells < whole and cells <= left:
            parts.append(shown[cells])
            left -= cells
    own = [size for cells, size in sizes.items() if cells <= left]
    left -= {cell for cells in sizes for cell in cells}
    # A part that nobody listed (a narrowed reading) may hold anything.
    is_whole = not left or (version != reading.final and
                            all(any(cell in cells for cells in listed if cells < whole)
                                or not reading.places.is_leaf(cell) for cell in left))
    if not parts and not own:
        return
    rest = [a - sum(part[at] for part in parts) for at, a in enumerate(row)]
    if min(rest) < 0 or (is_whole and rest[0] != sum(own)) or (rest[0] == 0 and any(rest)):
        reading.fault("sums", f"version {version}: {name_of(whole)} is {row}, its parts leave "
                              f"{rest}, {sum(own)} of it not below")


def check_pools(reading):
    """A pool is settled before anybody votes: no number is about some of its cells alone."""
    for numbers in (reading.rows, reading.sizes):
        for cells, values in numbers.items():
            for pool in reading.places.pools:
                if 0 < len(cells & set(pool)) < len(pool) and values:
                    reading.fault("pool", f"{name_of(cells)} is shown without all of "
                                          f"{name_of(pool)}")


def check_turnout(reading):
    least = 0
    for version, turnout in sorted(reading.turnout.items()):
        row = reading.rows[reading.places.all].get(version)
        if version == reading.final:
            if turnout != (row and row[0]):
                reading.fault("turnout", f"at the end {turnout}, but {row and row[0]} are shown")
            continue
        if (turnout or 0) % TURNOUT_STEP or (turnout or 0) < least or (
                row and row[0] >= (turnout or 0) + TURNOUT_STEP):
            reading.fault("turnout", f"version {version}: {turnout} after {least}, shown {row}")
        least = turnout or 0
    final = reading.turnout.get(reading.final)
    for series in reading.series:
        # The last one is exact at the end.
        live = series[:-1] if final in (series[-1], sum(series)) else series
        if any(value % TURNOUT_STEP for value in live):
            reading.fault("turnout", f"{series} over time, {final} at the end")
