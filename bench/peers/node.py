"""Node with fastify and PostgreSQL, two workers: what most would write. The server is
node/server.js."""

import json
import os
import shutil

from measure import (HERE, KEPT, SYNCED, Failed, Peer, Row, Server, Watch, best_of, figures_of,
                     free_port, http_load, remove, run, version_of)
from postgres import PROGRAMS, Database

WORKERS = 2
OPTIONS = ("option-1", "option-2", "option-3", "option-4")


class Node(Peer):
    name = "node"
    packages = {"node": "nodejs", "npm": "npm", str(PROGRAMS / "postgres"): "postgresql-15"}
    builds = ("bench/http_load",)

    def __init__(self, bench):
        super().__init__(bench)
        self.database = Database(bench.folder / "node")
        self.server = None
        self.polls = 0

    def rows(self):
        return [Row(f"node/{connections}", f"Node, fastify and PostgreSQL, {connections} "
                    "connections", SYNCED, f"veche/{connections}") for connections in (64, 256)]

    def start(self):
        self.fetch()
        self.database.start()
        self.connections, self.tried = best_of((8, 16, 32), self.try_connections)
        self.launch(self.connections)
        self.load(64, self.bench.seconds, self.bench.warm_up)  # until its code is compiled

    @staticmethod
    def fetch():
        """The packages of the lock file, beside a copy of the server."""
        wanted = KEPT / "node"
        lock = "package-lock.json"
        if not (wanted / ".complete").exists() or (
                (wanted / lock).read_bytes() != (HERE / "node" / lock).read_bytes()):
            remove(wanted)
            wanted.mkdir(parents=True)
            for name in ("package.json", lock):
                shutil.copy(HERE / "node" / name, wanted)
            run("npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund",
                cwd=wanted)
            (wanted / ".complete").touch()
        shutil.copy(HERE / "node/server.js", wanted)

    def try_connections(self, connections):
        self.launch(connections)
        warm_up = self.bench.warm_up + 1  # its code is compiled as it runs
        return self.load(64, self.bench.trial_s, warm_up)[0]["counted_per_second"]

    def launch(self, connections):
        if self.server:
            self.server.stop()
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        settings = {"host": "127.0.0.1", "port": port, "database": str(self.database.folder),
                    "keys": str(self.bench.keys / "issuer.json"), "workers": WORKERS,
                    "connections": connections}
        output = self.database.folder / f"node-{port}"
        self.server = Server(["node", KEPT / "node/server.js", json.dumps(settings)], output,
                             env=os.environ | {"NODE_ENV": "production"})
        self.server.await_until(lambda: "ready" in output.read_text())

    def measure(self, row, rate):
        report, watch = self.load(int(row.what), self.bench.seconds, self.bench.warm_up)
        return figures_of(report, peer_us=watch.cpu_us(report["counted_in_all"]),
                          steal_percent=watch.steal_percent(),
                          proof=self.prove(report))

    def load(self, connections, seconds, warm_up):
        """A new poll in empty tables."""
        self.database.empty()
        self.polls += 1
        poll = f"peers-{self.polls}"
        options = ",".join(OPTIONS)
        self.database.ask("INSERT INTO polls VALUES "
                          f"({self.polls}, '{poll}', 'embankment', '{{{options}}}')")
        self.bench.settle()
        watch = Watch(self.server.pid, self.database.server.pid)
        return http_load(self.bench, self.url, poll, connections, seconds, warm_up), watch

    def prove(self, report):
        if set(report["outcomes"]) != {"accepted"}:
            raise Failed(f"Node: every ballot is a new voter's, but the answers were {report}")
        votes = self.database.ask("SELECT coalesce(sum(votes) FILTER (WHERE option = 1), 0), "
                                  "coalesce(sum(votes) FILTER (WHERE option = 2), 0), "
                                  "coalesce(sum(votes) FILTER (WHERE option = 3), 0), "
                                  "coalesce(sum(votes) FILTER (WHERE option = 4), 0) FROM tally")
        counted = dict(zip(OPTIONS, map(int, votes.split("|"))))
        accepted = {option: report["by_option"].get(option, 0) for option in OPTIONS}
        ballots = self.database.counted()[0]
        if counted != accepted or ballots != sum(accepted.values()):
            raise Failed(f"Node: accepted {accepted}, but the tally says {counted}, "
                         f"and {ballots} ballots are kept")
        return f"tally by option = accepted; rows = {ballots}"

    def stop(self):
        if self.server:
            self.server.stop()
        self.database.stop()

    def configuration(self):
        return (f"node/server.js, {WORKERS} workers, {self.connections} connections to PostgreSQL "
                f"each\nconnections tried at 64 HTTP connections: {self.tried}\nPostgreSQL as the "
                "peer of that name\n")

    def versions(self):
        packages = json.loads((HERE / "node/package.json").read_text())["dependencies"]
        return {"node": version_of("node", "--version").lstrip("v"), **packages,
                "postgresql": Database.version()}

    def matrix(self):
        return {"Node": ("yes", "yes, but for keys that come twice", "yes", "yes", "yes", "yes",
                         "yes", "yes")}
