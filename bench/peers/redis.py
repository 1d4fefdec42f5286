"""Redis counts a ballot by a Lua script: dedup in a set, tally in a hash, ballots in a stream.
With `appendfsync always` the answer is sent after the sync, which all ballots of one turn of its
loop share; with `everysec` up to a second of answers is lost with the machine."""

import csv
import re

from measure import (HERE, NOT_DURABLE, SYNCED, Failed, Peer, Row, Server, Watch, child_seconds,
                     run, version_of)

# A socket of the file system costs less than TCP. Nothing is written but the append-only file,
# which is not rewritten while it is measured. One thread for I/O: a second one would take the core
# that the generator needs.
CONFIGURATION = """\
port 0
unixsocket {folder}/socket
dir {folder}
appendonly yes
appendfsync always
no-appendfsync-on-rewrite no
auto-aof-rewrite-percentage 0
save ""
io-threads 1
maxclients 1000
"""

KEYS = ("voters", "votes", "ballots")
# redis-benchmark puts 12 random digits in place of each: two of them make a voter, so that chance
# draws none twice. Their range is an int.
DIGITS, RANGE = "__rand_int__", 2**31 - 1
FIRST_LOOK = 20_000  # requests


class Redis(Peer):
    name = "redis"
    packages = {"redis-server": "redis-server", "redis-benchmark": "redis-tools"}

    def __init__(self, bench):
        super().__init__(bench)
        self.folder = bench.folder / "redis"
        self.text = CONFIGURATION.format(folder=self.folder)
        self.server = None
        self.loads = 0

    def rows(self):
        return [Row(f"redis/{policy}-{clients}",
                    f"Redis Lua, `appendfsync {policy}`, {clients} connections",
                    SYNCED if policy == "always" else NOT_DURABLE,
                    f"veche/{clients}" if policy == "always" else "")
                for policy in ("always", "everysec") for clients in (64, 256)]

    def start(self):
        self.folder.mkdir()
        (self.folder / "redis.conf").write_text(self.text)
        self.server = Server(["redis-server", self.folder / "redis.conf"], self.folder / "output")
        self.server.await_until((self.folder / "socket").exists)
        self.script = self.ask("SCRIPT", "LOAD", (HERE / "ballot.lua").read_text()).strip()

    def ask(self, *command):
        return run("redis-cli", "-s", self.folder / "socket", *command)

    def measure(self, row, rate):
        policy, clients = row.what.split("-")
        self.empty(policy)
        self.bench.settle()
        look = self.load(clients, FIRST_LOOK)
        warm_up = self.load(clients, self.requests(look, self.bench.warm_up))
        watch, generator = Watch(self.server.pid), child_seconds()
        load = self.load(clients, self.requests(warm_up, self.bench.seconds))
        figures = {
            "per_second": load["rps"], "p50_ms": load["p50_latency_ms"],
            "p99_ms": load["p99_latency_ms"], "max_ms": load["max_latency_ms"],
            "peer_us": watch.cpu_us(load["requests"]),
            "generator_us": (child_seconds() - generator) / load["requests"] * 1e6,
            "steal_percent": watch.steal_percent()}
        return figures | {"proof": self.prove(sum(each["requests"]
                                                  for each in (look, warm_up, load)))}

    @staticmethod
    def requests(before, seconds):
        return max(int(before["rps"] * seconds), 1)

    def load(self, clients, requests):
        """redis-benchmark counts requests, not seconds. Its seed is the time, so that two runs may
        draw the same digits: each has voters of its own."""
        self.loads += 1
        voter = f"{self.loads}-{DIGITS}{DIGITS}"
        lines = run("redis-benchmark", "-s", self.folder / "socket", "-c", clients, "-n", requests,
                    "-r", RANGE, "--csv", "EVALSHA", self.script, len(KEYS), *KEYS, voter, DIGITS)
        [figures] = csv.DictReader(lines.splitlines())
        return {"requests": requests} | {name: float(value) for name, value in figures.items()
                                         if name != "test"}

    def empty(self, policy):
        self.ask("FLUSHALL", "SYNC")
        self.ask("BGREWRITEAOF")
        self.server.await_until(lambda: re.search(r"aof_rewrite_in_progress:0\s+"
                                                  r"aof_rewrite_scheduled:0",
                                                  self.ask("INFO", "persistence")))
        self.ask("CONFIG", "SET", "appendfsync", policy)

    def prove(self, requests):
        """Every request was a ballot of a new voter."""
        voters, ballots = (int(self.ask(command, key)) for command, key in
                           (("SCARD", "voters"), ("XLEN", "ballots")))
        votes = sum(int(number) for number in self.ask("HVALS", "votes").split())
        if not requests == voters == votes == ballots:
            raise Failed(f"Redis: {requests} requests, but {voters} voters, {votes} votes, "
                         f"{ballots} ballots")
        return f"SCARD = sum of votes = XLEN = {voters}"

    def stop(self):
        if self.server:
            self.server.stop()

    def configuration(self):
        return self.text + "# `appendfsync` is set before each row.\n"

    def versions(self):
        return {"redis": re.search(r"v=(\S+)", version_of("redis-server", "--version"))[1]}

    def matrix(self):
        def column(durable):
            return "no", "no", "no", "yes", durable, "no", "yes", "yes"
        return {"Redis always": column("yes"), "Redis everysec": column("up to 1 s is lost")}
