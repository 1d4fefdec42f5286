"""What the peers share: rows and their groups, servers that end with the run, CPU time, the load
generator for HTTP."""

import dataclasses
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
HERE = REPOSITORY / "bench/peers"
BUILD = REPOSITORY / "build/release"
KEPT = REPOSITORY / "build/peers"  # what was downloaded, for the next run

# What a "no" in the answer to a ballot would survive. Only rows of one group are compared.
SYNCED = "durable: synced to the disk before the answer"
IN_KAFKA = ("log in Kafka: one broker, one replica, acks=all; survives the end of a process, not "
            "of the machine")
NOT_DURABLE = "not durable: for orientation"
GROUPS = (SYNCED, IN_KAFKA, NOT_DURABLE)

WORK = ("HTTP parsed", "JSON validated", "signature verified", "exact dedup",
        "durable before the answer", "receipt", "live tally", "ballots kept")

LONGEST_S = 900  # of anything that is waited for
START_S = 60


class Failed(Exception):
    """Why the run cannot go on, for whoever started it."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One measurement, which is repeated in every round."""
    name: str          # PEER/WHAT
    text: str
    group: str
    beside: str = ""   # the row of Veche that does the same as far as this peer does it
    half_of: str = ""  # open loop, at half the median rate of this row

    @property
    def what(self):
        return self.name.split("/")[1]


class Peer:
    """A system beside Veche. What a subclass must have is told in README.md."""
    name = ""
    packages = {}  # a program -> the Debian package that has it
    builds = ()    # programs of this repository

    def __init__(self, bench):
        self.bench = bench

    def rows(self):
        raise NotImplementedError

    def start(self):
        """Everything that is ready once for all rounds."""

    def measure(self, row, rate):
        """The figures of a row; `rate` is None, or what an open loop plans per second."""
        raise NotImplementedError

    def stop(self):
        """Called also when start() failed half way."""

    def configuration(self):
        raise NotImplementedError

    def versions(self):
        raise NotImplementedError

    def matrix(self):
        """A column's title -> its answers to WORK, in order."""
        raise NotImplementedError


def run(*command, timeout=LONGEST_S, **more):
    """What a command prints; it fails when the command does."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=timeout, check=False,
                              **more)
    except FileNotFoundError as missing:
        raise Failed(f"{missing.filename} is missing") from missing
    except subprocess.TimeoutExpired as late:
        raise Failed(f"`{brief(words)}` does not end within {timeout} s") from late
    if done.returncode:
        raise Failed(f"`{brief(words)}` ends with {done.returncode}: "
                     f"{done.stdout[-800:]}{done.stderr[-800:]}".strip())
    return done.stdout


def brief(words):
    return " ".join(words[:4]) + (" ..." if len(words) > 4 else "")


def version_of(*command):
    """The first line, wherever the program writes it."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=START_S, check=False)
    return done.stdout.split("\n")[0].strip()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Server:
    """A process in a session of its own, so that Ctrl-C reaches the run alone, which then stops it.
    If the run is killed, the process gets the same signal from the kernel."""

    def __init__(self, command, output, user=None, stop_by=signal.SIGTERM, **more):
        as_user = []
        if user and os.geteuid() == 0:
            as_user = ["--reuid", user, "--regid", user, "--init-groups"]
        name = signal.Signals(stop_by).name.removeprefix("SIG")
        self.program = pathlib.Path(command[0]).name
        self.output, self.stop_by = output, stop_by
        with open(output, "ab") as kept:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", name, *as_user, *(str(word) for word in command)],
                stdin=subprocess.DEVNULL, stdout=kept, stderr=kept, start_new_session=True, **more)
        self.pid = self.process.pid

    def await_until(self, is_ready):
        deadline = time.monotonic() + START_S
        while not is_ready():
            if self.process.poll() is not None:
                raise Failed(f"{self.program} ended: {self.tail()}")
            if time.monotonic() > deadline:
                raise Failed(f"{self.program} is not ready after {START_S} s: {self.tail()}")
            time.sleep(0.02)

    def tail(self):
        return pathlib.Path(self.output).read_text(errors="replace")[-800:]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(self.stop_by)
        try:
            self.process.wait(START_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def read_processes():
    """Of every process: its parent, and the CPU seconds of it and of its children that ended."""
    tick = os.sysconf("SC_CLK_TCK")
    processes = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue  # it has just ended
        processes[int(folder.name)] = int(fields[1]), sum(map(int, fields[11:15])) / tick
    return processes


def cpu_seconds(roots):
    """Of these processes and all below them."""
    processes = read_processes()

    def is_below(pid):
        while pid in processes:
            if pid in roots:
                return True
            pid = processes[pid][0]
        return False

    return sum(cpu for pid, (_, cpu) in processes.items() if is_below(pid))


def child_seconds():
    """CPU time of the commands that this run has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def busy_seconds():
    """CPU time of all processes since the machine runs; interrupts are nobody's."""
    fields = pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:4]
    return sum(map(int, fields)) / os.sysconf("SC_CLK_TCK")


def machine_ticks():
    """All, and those that another machine of the same host had."""
    fields = pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]
    return sum(int(field) for field in fields), int(fields[7])


class Watch:
    """CPU time of servers, with all their processes, and steal, from its making on."""

    def __init__(self, *pids):
        self.pids = set(pids)
        self.ticks, self.cpu = machine_ticks(), cpu_seconds(self.pids)

    def cpu_us(self, ballots):
        return (cpu_seconds(self.pids) - self.cpu) / ballots * 1e6

    def steal_percent(self):
        every, stolen = (now - then for now, then in zip(machine_ticks(), self.ticks))
        return 100 * stolen / max(every, 1)


class Others:
    """How much of all cores is used by what this run did not start, from its making on."""

    def __init__(self, *own):
        self.own = {os.getpid(), *own}
        self.begin, self.used = time.monotonic(), self.seconds()

    def seconds(self):
        return busy_seconds() - cpu_seconds(self.own)

    def percent(self):
        took = (time.monotonic() - self.begin) * os.cpu_count()
        return max(0.0, 100 * (self.seconds() - self.used) / took)


def quantile(ordered, share):
    return ordered[int(share * (len(ordered) - 1))]


# Of a report, where it tells them.
AS_TOLD = ("outcomes", "unsent", "generator_was_limit", "sync_p50_ms", "sync_p99_ms",
           "group_records")


def figures_of(report, **more):
    """Of what http_load, pg_batch and `veche bench` print."""
    if report["failed"]:
        raise Failed(f"{report['failed']} ballots got no answer: {json.dumps(report)[:800]}")
    more |= {name: report[name] for name in AS_TOLD if name in report}
    latency = {f"{name}_ms": report["latency_ms"][name]
               for name in ("p50", "p90", "p99", "p999", "max")}
    return {"per_second": report["counted_per_second"], **latency,
            "generator_us": report["generator_cpu_us"], **more}


def http_load(bench, url, poll, connections, seconds=None, warm_up=None):
    return json.loads(run(
        BUILD / "bench/http_load", url, "--keys", bench.keys / "issuer.json", "--poll", poll,
        "--connections", connections, "--duration", seconds or bench.seconds,
        "--warmup", warm_up or bench.warm_up, "--seed", bench.next_seed()))


def best_of(candidates, try_it, turns=2):
    """Whichever is fastest in the median of a few turns, and a text with what each reached."""
    reached = {candidate: [] for candidate in candidates}
    for _ in range(turns):
        for candidate, rates in reached.items():
            rates.append(try_it(candidate))
    medians = {candidate: statistics.median(rates) for candidate, rates in reached.items()}
    text = ", ".join(f"{candidate}: {rate:,.0f}/s" for candidate, rate in medians.items())
    return max(medians, key=medians.get), text


def sync_ms(folder, times=50):
    """The median of appending 4 KiB and syncing it: the disk's state before a measurement."""
    path, block, took = folder / "sync", b"\0" * 4096, []
    with open(path, "wb", buffering=0) as file:
        for _ in range(times):
            begin = time.monotonic()
            file.write(block)
            os.fdatasync(file.fileno())
            took.append((time.monotonic() - begin) * 1e3)
    path.unlink()
    return statistics.median(took)


def remove(folder):
    shutil.rmtree(folder, ignore_errors=True)
