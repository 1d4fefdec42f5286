"""What a run of the peers tells: a table of medians, the work that each does, the targets."""

import dataclasses
import statistics

from measure import GROUPS, WORK

ENOUGH_ROUNDS = 5
COUNTED = {"accepted", "recorded"}
UNSENT_S = 0.01  # a plan may be cut in the middle of its last moment
BUSY_PERCENT = 5


@dataclasses.dataclass(frozen=True)
class Target:
    """A bound of a figure, or of its ratio to that of another row."""
    text: str
    row: str
    beside: str = ""
    figure: str = "per_second"
    at_least: float = None
    at_most: float = None

    def asked(self):
        sign, bound = ("at least", self.at_least) if self.at_most is None else ("at most",
                                                                                 self.at_most)
        return f"{sign} {self.format(bound)}"

    def format(self, value):
        if self.beside:
            return f"{value:.2f}x"
        return f"{value:.2f} ms" if self.figure.endswith("_ms") else f"{value:,.0f}/s"

    def is_met(self, value):
        return value >= self.at_least if self.at_most is None else value <= self.at_most


TARGETS = (
    Target("single, 64 connections, of nginx", "veche/64", "nginx/64", at_least=0.45),
    Target("single, 256 connections, of nginx", "veche/256", "nginx/256", at_least=0.6),
    Target("single, 64 connections, to PostgreSQL", "veche/64", "postgres/64", at_least=3),
    Target("single, 256 connections, to PostgreSQL", "veche/256", "postgres/256", at_least=3),
    Target("single, 64 connections, to Node", "veche/64", "node/64", at_least=8),
    Target("single, 256 connections, to Node", "veche/256", "node/256", at_least=8),
    Target("single, 64 connections, to Redis always", "veche/64", "redis/always-64", at_least=1.3),
    Target("single, 256 connections, to Redis always", "veche/256", "redis/always-256",
           at_least=1.5),
    Target("batches of 1,000, to PostgreSQL's", "veche/batch", "postgres/batch", at_least=2),
    Target("batches of 1,000", "veche/batch", at_least=200_000),
    Target("on Kafka, single, 256 connections", "veche-kafka/256", at_least=40_000),
    Target("on Kafka, batches of 1,000", "veche-kafka/batch", at_least=120_000),
    Target("p99 at half of the maximum", "veche/half", figure="p99_ms", at_most=5),
    Target("p99 on Kafka at half of the maximum, to the bare round trip", "veche-kafka/half",
           "kafka/round-trip-half", figure="p99_ms", at_most=1.5),
)


class Results:
    """Of each row, by name, the figures of its rounds."""

    def __init__(self, rows):
        self.rows = {row.name: row for row in rows}
        self.figures = {row.name: [] for row in rows}

    def of(self, name, figure):
        return [each[figure] for each in self.figures.get(name, ()) if each.get(figure) is not None]

    def median(self, name, figure="per_second"):
        values = self.of(name, figure)
        return statistics.median(values) if values else None

    def ratio(self, name, beside, figure="per_second"):
        mine, other = self.median(name, figure), self.median(beside, figure)
        return mine / other if mine and other else None

    def ratios_of_rounds(self, name, beside, figure="per_second"):
        return [mine / other for mine, other in zip(self.of(name, figure), self.of(beside, figure))]

    def check(self, target):
        """The value reached, or None."""
        if target.beside:
            return self.ratio(target.row, target.beside, target.figure)
        return self.median(target.row, target.figure)


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def spread(values, form=number):
    if not values:
        return ""
    middle, least, most = statistics.median(values), min(values), max(values)
    if len(values) == 1:
        return form(middle)
    return f"{form(middle)} ({form(least)} to {form(most)})"


def table(head, lines):
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows) + "\n"


def veche_to(results, row):
    """Veche's rate by this row's: of the medians, and of the rounds from lowest to highest."""
    ratio = results.ratio(row.beside, row.name) if row.beside and not row.half_of else None
    if ratio is None:
        return ""
    rounds = results.ratios_of_rounds(row.beside, row.name)
    return f"{ratio:.2f}x ({min(rounds):.2f} to {max(rounds):.2f})"


def figures_table(results, group):
    head = ["what", "a second", "Veche to it", "p50 ms", "p99 ms", "CPU us a ballot",
            "broker us", "generator us"]
    columns = ("p50_ms", "p99_ms", "peer_us", "broker_us", "generator_us")
    lines = [[row.text, spread(results.of(name, "per_second")), veche_to(results, row),
              *(spread(results.of(name, column)) for column in columns)]
             for name, row in results.rows.items()
             if row.group == group and results.figures[name]]
    return table(head, lines) if lines else ""


def matrix_table(peers):
    columns = {title: answers for peer in peers for title, answers in peer.matrix().items()}
    return table(["same work?", *columns],
                 [[work, *(answers[place] for answers in columns.values())]
                  for place, work in enumerate(WORK)])


def target_line(results, target):
    value = results.check(target)
    if value is None:
        return [target.text, target.asked(), "", "not measured"]
    return [target.text, target.asked(), target.format(value),
            "met" if target.is_met(value) else "missed"]


# What a reader must know of a row if it holds for a round of it.
REMARKS = (
    ("The generator was the limit", lambda each: each.get("generator_was_limit")),
    ("Ballots were refused, and do not count",
     lambda each: set(each.get("outcomes", ())) - COUNTED),
    ("Ballots were planned and not sent, as every connection was waiting",
     lambda each: each.get("unsent", 0) > (each["planned_per_second"] or 0) * UNSENT_S),
    (f"Other programs took more than {BUSY_PERCENT} % of the machine",
     lambda each: each["others_percent"] > BUSY_PERCENT),
)


def remarks(results, rounds):
    if rounds < ENOUGH_ROUNDS:
        yield f"Fewer than {ENOUGH_ROUNDS} rounds: a try, no figures to publish."
    for text, holds in REMARKS:
        rows = [row.text for name, row in results.rows.items()
                if any(map(holds, results.figures[name]))]
        if rows:
            yield f"{text}, in some round of: {'; '.join(rows)}."
    steal, disk = ([each[figure] for rounds in results.figures.values() for each in rounds]
                   for figure in ("steal_percent", "sync_before_ms"))
    yield f"Steal: {spread(steal)} %. A sync of 4 KiB before each row: {spread(disk)} ms."


def markdown(results, peers, machine, rounds):
    parts = [f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, kernel "
             f"{machine['kernel']}, {machine['system']}; {rounds} rounds, median (lowest to "
             "highest).\n",
             *(f"{remark}\n" for remark in remarks(results, rounds))]
    for group in GROUPS:
        lines = figures_table(results, group)
        if lines:
            parts.append(f"## {group[0].upper()}{group[1:]}\n\n{lines}")
    parts.append(f"## The work that each does\n\n{matrix_table(peers)}")
    parts.append("## Targets, from the medians\n\n" + table(
        ["what", "target", "reached", ""], [target_line(results, each) for each in TARGETS]))
    parts.append("## Versions\n\n" + "".join(
        f"* {peer.name}: " + ", ".join(f"{name} {version}" for name, version in
                                       peer.versions().items()) + "\n" for peer in peers))
    parts.append("## Configurations\n\n" + "\n".join(
        f"{peer.name}\n\n```\n{peer.configuration()}```\n" for peer in peers))
    return "\n".join(parts)


def document(results, peers, machine, options):
    """Everything, for the file that is kept."""
    targets = [{"text": each.text, "row": each.row, "beside": each.beside, "figure": each.figure,
                "at_least": each.at_least, "at_most": each.at_most, "reached": results.check(each)}
               for each in TARGETS]
    rows = {name: {"text": row.text, "group": row.group, "beside": row.beside,
                   "half_of": row.half_of, "rounds": results.figures[name]}
            for name, row in results.rows.items()}
    return {"machine": machine, "rounds": options.rounds, "seconds": options.seconds,
            "warm_up_seconds": options.warm_up,
            "versions": {peer.name: peer.versions() for peer in peers},
            "configurations": {peer.name: peer.configuration() for peer in peers},
            "same_work": {title: dict(zip(WORK, answers)) for peer in peers
                          for title, answers in peer.matrix().items()},
            "rows": rows, "targets": targets}
