"""Veche itself, measured by `veche bench`, which proves its counts: with the embedded log, and with
the log in Kafka."""

import json
import os
import re

import kafka
from measure import (BUILD, IN_KAFKA, REPOSITORY, SYNCED, Failed, Peer, Row, Server, Watch,
                     figures_of, remove, run, version_of)

VECHE = BUILD / "veche"
# Each signature of these takes the generator longer than the server, and all are made before.
SLOW_TO_SIGN_S = 2
WARM_UPS = 3  # of the broker, by ballots
WAYS = {"64": ("--max", "--connections", 64),
        "256": ("--max", "--connections", 256),
        "batch": ("--max", "--connections", 4, "--batch", 1000),
        "rs256": ("--max", "--connections", 256, "--alg", "rs256"),
        "ed25519": ("--max", "--connections", 256, "--alg", "ed25519"),
        "half": ("--connections", 256)}
TEXTS = {"64": "64 connections", "256": "256 connections", "batch": "batches of 1,000, 4 at once",
         "rs256": "RS256, 256 connections", "ed25519": "Ed25519, 256 connections",
         "half": "planned at half of its maximum, 256 connections"}
ALL_WORK = ("yes",) * 8


def versions():
    commit = run("git", "-C", REPOSITORY, "rev-parse", "--short", "HEAD").strip()
    changed = run("git", "-C", REPOSITORY, "status", "--porcelain", "--untracked-files=no").strip()
    return {"veche": version_of(str(VECHE), "--version").split()[-1],
            "commit": commit + (" with changes" if changed else "")}


def bench_command(bench, what, rate):
    short = what in ("rs256", "ed25519")
    seconds = min(bench.seconds, SLOW_TO_SIGN_S) if short else bench.seconds
    planned = ("--rate", rate) if rate else ()
    return (VECHE, "bench", "--json", *WAYS[what], *planned, "--duration", seconds, "--warmup",
            1 if short else bench.warm_up, "--seed", bench.next_seed())


def figures_of_bench(report, **more):
    if not report["proved"]:
        raise Failed(f"veche bench: not proved: {report['differences']}")
    return figures_of(report, steal_percent=report["steal_percent"],
                      proof=f"{report['voters_counted']} voters, each counted once; "
                            f"{report['counts_compared']} counts equal", **more)


class Veche(Peer):
    name = "veche"

    def rows(self):
        return [Row(f"veche/{what}", f"Veche, {TEXTS[what]}", SYNCED,
                    half_of="veche/256" if what == "half" else "") for what in WAYS]

    def measure(self, row, rate):
        """A fresh server and log in the folder of the run."""
        self.bench.settle()
        report = json.loads(run(*bench_command(self.bench, row.what, rate),
                                env=os.environ | {"TMPDIR": str(self.bench.folder)}))
        return figures_of_bench(report, peer_us=report["server_cpu_us"])

    def configuration(self):
        return "the options of `veche serve` are its defaults\n"

    def versions(self):
        return versions()

    def matrix(self):
        return {"Veche": ALL_WORK}


class VecheOnKafka(Peer):
    name = "veche-kafka"
    packages = kafka.PACKAGES
    builds = ("bench/round_trip",)  # it warms the broker
    whats = ("256", "batch", "half")

    def __init__(self, bench):
        super().__init__(bench)
        self.number = 0
        self.server = None

    def rows(self):
        return [Row(f"veche-kafka/{what}", f"Veche on Kafka, {TEXTS[what]}", IN_KAFKA,
                    half_of="veche-kafka/256" if what == "half" else "") for what in self.whats]

    def start(self):
        self.broker = self.bench.broker()
        # The broker was warmed by large batches: single ballots take other paths in it.
        for _ in range(WARM_UPS):
            self.measure(self.rows()[0], None)

    def measure(self, row, rate):
        """A fresh server and topics of its own."""
        self.number += 1
        name = f"peers-{self.number}"
        folder = self.bench.folder / name
        folder.mkdir()
        log = f"kafka://{self.broker.address}/{name}"
        run(VECHE, "topic", "create", "--log", log, "--voter-secret",
            self.bench.keys / "voter.secret", "--replicas", 1)
        try:
            url, metrics = self.launch(folder, log)
            figures = self.load(row, rate, "--server", url, "--keys",
                                self.bench.keys / "issuer.json", "--metrics", metrics)
        finally:
            self.stop()
        self.broker.delete_topics(rf"{name}\..*")
        remove(folder)
        return figures

    def load(self, row, rate, *server):
        self.bench.settle()
        watch, broker = Watch(self.server.pid), Watch(self.broker.pid)
        report = json.loads(run(*bench_command(self.bench, row.what, rate), *server))
        counted = report["voters_counted"]
        return figures_of_bench(report, peer_us=watch.cpu_us(counted),
                                broker_us=broker.cpu_us(counted))

    def launch(self, folder, log):
        output = folder / "output"
        keys = self.bench.keys
        self.server = Server(
            [VECHE, "serve", "--data", folder / "data", "--jwks", keys / "jwks.json",
             "--voter-secret", keys / "voter.secret", "--listen", "127.0.0.1:0", "--metrics",
             "127.0.0.1:0", "--log", log], output)
        self.server.await_until(lambda: re.search(r"^http://", output.read_text(), re.MULTILINE))
        said = output.read_text()
        return (re.search(r"^(http://\S+)", said, re.MULTILINE)[1],
                re.search(r"metrics at (http://[^/\s]+)", said)[1])

    def stop(self):
        if self.server:
            self.server.stop()
            self.server = None

    def configuration(self):
        return ("`veche topic create --replicas 1`; the options of `veche serve` but --log are its "
                "defaults\n")

    def versions(self):
        return versions()

    def matrix(self):
        durable = "as far as acks=all with one replica goes"
        return {"Veche on Kafka": ALL_WORK[:4] + (durable,) + ALL_WORK[5:]}
