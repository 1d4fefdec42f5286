"""PostgreSQL 15 counts ballots in one statement each, or a thousand at once: no HTTP, no tokens.
`Database` is also what bench/peers/node.py stands on."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

from measure import (BUILD, HERE, SYNCED, Failed, Peer, Row, Server, Watch, best_of, figures_of,
                     quantile, run, version_of)

PROGRAMS = pathlib.Path("/usr/lib/postgresql/15/bin")
USER = "postgres"  # of the system, as PostgreSQL refuses to be root, and of the database

# Durable without exception: fsync, synchronous_commit and full_page_writes stay on. The rest is in
# its favour: everything fits into memory, the log is written ahead in files that are there already,
# no checkpoint and no vacuum falls into a measurement, nothing is logged for replicas.
# commit_delay stays 0: 100 and 300 us made no difference, since with so many clients each sync has
# company anyway. wal_compression cost some per cent.
CONFIGURATION = """\
listen_addresses = ''
unix_socket_directories = '{folder}'
max_connections = 300
fsync = on
synchronous_commit = on
full_page_writes = on
wal_sync_method = fdatasync
commit_delay = 0
shared_buffers = 1GB
huge_pages = try
wal_level = minimal
max_wal_senders = 0
wal_buffers = 64MB
min_wal_size = 1GB
max_wal_size = 8GB
checkpoint_timeout = 1h
autovacuum = off
jit = off
plan_cache_mode = force_generic_plan
"""

CLIENTS = 256       # parts of the tally
TERRITORIES = 40    # as in postgres_single.pgbench and pg_batch.cc; Veche's own have 320
OPTIONS = 4
LATENCIES_KEPT = 0.1


class Database:
    """One server on a socket of the file system, which costs less than TCP. A folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.text = CONFIGURATION.format(folder=folder)
        self.server = None

    def start(self):
        self.folder.mkdir()
        if os.geteuid() == 0:
            shutil.chown(self.folder, USER, USER)
        self.make_cluster()
        with open(self.folder / "data/postgresql.conf", "a", encoding="utf-8") as file:
            file.write(self.text)
        self.server = Server([PROGRAMS / "postgres", "-D", self.folder / "data"],
                             self.folder / "output", user=USER, stop_by=signal.SIGINT)
        self.server.await_until(self.is_ready)
        self.ask((HERE / "postgres.sql").read_text())
        self.make_log_ahead()

    def make_cluster(self):
        output = self.folder / "initdb"
        making = Server([PROGRAMS / "initdb", "-D", self.folder / "data", "-A", "trust", "-U", USER,
                         "-E", "UTF8", "--locale", "C"], output, user=USER)
        if making.process.wait(60):
            raise Failed(f"initdb: {making.tail()}")

    def is_ready(self):
        asked = [PROGRAMS / "pg_isready", "-q", "-h", self.folder, "-U", USER]
        return subprocess.run(asked, check=False).returncode == 0

    def make_log_ahead(self):
        """Fills 1 GB of the write-ahead log, whose files are then used again and again."""
        self.ask("SELECT count(pg_logical_emit_message(false, '', repeat('x', 1000000))) "
                 "FROM generate_series(1, 1000)")
        self.ask("CHECKPOINT")

    def ask(self, sql):
        return run(PROGRAMS / "psql", "-h", self.folder, "-U", USER, "-X", "-q", "-A", "-t", "-v",
                   "ON_ERROR_STOP=1", "-c", sql, "postgres").strip()

    def empty(self):
        """No ballots, and nothing left to be written."""
        self.ask("TRUNCATE ballots, tally, polls")
        self.ask("CHECKPOINT")

    def make_tally(self):
        """A zero for each option in every part, so that there are only rows to add to."""
        self.ask("INSERT INTO tally (poll, part, territory, option) "
                 f"SELECT 1, part, territory, option FROM generate_series(0, {CLIENTS - 1}) part, "
                 f"generate_series(1, {TERRITORIES}) territory, "
                 f"generate_series(1, {OPTIONS}) option")
        self.ask("ANALYZE tally")

    def counted(self):
        """Ballots, and votes in the tally."""
        return [int(number) for number in self.ask(
            "SELECT (SELECT count(*) FROM ballots), (SELECT sum(votes) FROM tally)").split("|")]

    def stop(self):
        if self.server:
            self.server.stop()

    @staticmethod
    def version():
        return version_of(str(PROGRAMS / "postgres"), "--version").split()[2]


class Postgres(Peer):
    name = "postgres"
    packages = {str(PROGRAMS / "postgres"): "postgresql-15",
                "/usr/include/postgresql/libpq-fe.h": "libpq-dev"}
    builds = ("bench/pg_batch",)

    def __init__(self, bench):
        super().__init__(bench)
        self.database = Database(bench.folder / "postgres")
        self.threads, self.tried = 1, ""

    def rows(self):
        single = [Row(f"postgres/{clients}", f"PostgreSQL, one statement a ballot, {clients} "
                      "connections", SYNCED, f"veche/{clients}") for clients in (64, 256)]
        return single + [Row("postgres/batch", "PostgreSQL, batches of 1,000, 4 at once", SYNCED,
                             "veche/batch")]

    def start(self):
        self.database.start()
        self.threads, self.tried = best_of((1, 2), self.try_threads)

    def try_threads(self, threads):
        self.prepare()
        return self.pgbench(64, threads, self.bench.trial_s, 1)["per_second"]

    def measure(self, row, rate):
        self.prepare()
        if row.what == "batch":
            return self.measure_batches()
        return self.pgbench(int(row.what), self.threads, self.bench.seconds, self.bench.warm_up)

    def prepare(self):
        self.database.empty()
        self.database.make_tally()
        self.bench.settle()

    def measure_batches(self):
        watch = Watch(self.database.server.pid)
        report = json.loads(run(
            BUILD / "bench/pg_batch", f"host={self.database.folder} user={USER} dbname=postgres",
            self.bench.seconds, self.bench.warm_up, self.bench.next_seed()))
        return figures_of(report, peer_us=watch.cpu_us(report["counted_in_all"]),
                          steal_percent=watch.steal_percent(),
                          proof=f"rows = sum of the tally = {report['counted_in_all']} sent, "
                                "by option")

    def pgbench(self, clients, threads, seconds, warm_up):
        with tempfile.TemporaryDirectory(dir=self.bench.folder) as latencies:
            load = subprocess.Popen(
                [PROGRAMS / "pgbench", "-h", self.database.folder, "-U", USER, "-n", "-M",
                 "prepared", "-f", HERE / "postgres_single.pgbench", "-c", str(clients), "-j",
                 str(threads), "-T", str(warm_up + seconds), "-P", "1", "--log",
                 f"--log-prefix={latencies}/log", f"--sampling-rate={LATENCIES_KEPT}", "postgres"],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            try:
                figures = self.follow(load, warm_up)
                summary = load.stdout.read()
                if load.wait():
                    raise Failed(f"pgbench ends with {load.returncode}: {summary[-800:]}")
            finally:
                load.kill()
                load.wait()
                load.stdout.close()
                load.stderr.close()
            return figures | self.latencies(latencies, seconds) | {"proof": self.prove(summary)}

    def follow(self, load, warm_up):
        """What pgbench tells each second is rate and CPU from the end of the warm-up on: 256 new
        connections, each with a process that plans for the first time, are no part of it."""
        said, before, figures = [], None, None
        begin = end = done = 0.0
        for line in load.stderr:
            said.append(line)
            progress = re.match(r"progress: ([\d.]+) s, ([\d.]+) tps", line)
            if not progress:
                continue
            now, rate = map(float, progress.groups())
            if before:
                done += rate * (now - end)
                figures = {"per_second": done / (now - begin), "peer_us": before[0].cpu_us(done),
                           "generator_us": before[1].cpu_us(done),
                           "steal_percent": before[0].steal_percent()}
            elif now >= warm_up - 0.5:
                before, begin = (Watch(self.database.server.pid), Watch(load.pid)), now
            end = now
        if not figures:
            raise Failed(f"pgbench: {''.join(said)[-800:]}")
        return figures

    @staticmethod
    def latencies(folder, seconds):
        """A sample; each line has the microseconds third, and the time of the end at last."""
        lines = [line.split() for path in pathlib.Path(folder).iterdir()
                 for line in path.read_text().splitlines()]
        ended = [(float(line[4]) + float(line[5]) / 1e6, int(line[2]) / 1e3) for line in lines]
        last = max(moment for moment, _ in ended)
        kept = sorted(ms for moment, ms in ended if moment > last - seconds)
        return {f"{name}_ms": quantile(kept, share) for name, share in
                (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("max", 1.0))}

    def prove(self, summary):
        sent = int(re.search(r"actually processed: (\d+)", summary)[1])
        failed = int(re.search(r"failed transactions: (\d+)", summary)[1])
        ballots, votes = self.database.counted()
        if failed or not sent == ballots == votes:
            raise Failed(f"PostgreSQL: {sent} sent, {failed} failed, {ballots} rows, {votes} votes")
        return f"rows = sum of the tally = {sent} sent"

    def stop(self):
        self.database.stop()

    def configuration(self):
        return (f"{self.database.text}# pgbench -M prepared -j {self.threads}; threads tried at 64 "
                f"connections: {self.tried}\n")

    def versions(self):
        return {"postgresql": Database.version()}

    def matrix(self):
        return {"PostgreSQL": ("no", "no", "no", "yes", "yes", "no", "yes", "yes")}
