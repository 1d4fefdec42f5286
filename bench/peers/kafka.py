"""Kafka's own producer test, and its bare round trip: the limits of a log in Kafka."""

import json
import re

from measure import (BUILD, HERE, IN_KAFKA, KEPT, REPOSITORY, Failed, Peer, Row, Watch,
                     child_seconds, run, version_of)

PACKAGES = {"java": "openjdk-17-jre-headless", "mvn": "maven"}
VERSION = "4.2.0"
TOOLS = KEPT / f"kafka-tools-{VERSION}"
BYTES = 150        # about a ballot in Veche's log
PARTITIONS = 12    # as `veche topic create` makes them
# A deleted topic is to be gone, not to be written to the disk under the next row.
BROKER = ("log.segment.delete.delay.ms=0",)
# Large batches and the time to fill them: of the settings tried the ones with the highest rate, as
# this row is the limit of the log, not of its latency.
PRODUCER = ("acks=all", "linger.ms=20", "batch.size=524288", "buffer.memory=134217728")
WARM_UP_S = 15     # of the broker, a Java program, once
START_S = 2        # of round_trip, which are not in its latencies
FIRST_LOOK = 500_000  # records


class Broker:
    """One broker for all that has its log in Kafka; Bench makes it when it is asked for first."""

    def __init__(self, folder):
        self.options = ["--dir", folder / "kafka", "--version", VERSION]
        self.settings = [word for each in BROKER for word in ("--property", each)]
        self.home = folder / "kafka/1"

    def start(self):
        fetch_tools()
        self.address = run(REPOSITORY / "tools/kafka", "start", *self.options,
                           *self.settings).strip()
        self.pid = int((self.home / "pid").read_text())
        round_trip(self, 0, WARM_UP_S)
        self.delete_topics("round-trip-.*")

    def topics(self, *command):
        return run("java", "-cp", f"{TOOLS}/*", "org.apache.kafka.tools.TopicCommand",
                   "--bootstrap-server", self.address, *command)

    def delete_topics(self, pattern):
        self.topics("--delete", "--topic", pattern)

    def stop(self):
        run(REPOSITORY / "tools/kafka", "wipe", *self.options)

    def configuration(self):
        return (self.home / "server.properties").read_text()


def fetch_tools():
    if (TOOLS / ".complete").exists():
        return
    run("mvn", "-q", "-B", "-f", HERE / "kafka_tools.pom.xml", f"-Dkafka.version={VERSION}",
        "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={TOOLS}")
    (TOOLS / ".complete").touch()


def round_trip(broker, rate, seconds):
    return json.loads(run(BUILD / "bench/round_trip", broker.address, rate, START_S + seconds,
                          BYTES))


class Kafka(Peer):
    name = "kafka"
    packages = PACKAGES
    builds = ("bench/round_trip",)

    def __init__(self, bench):
        super().__init__(bench)
        self.topics = 0

    def rows(self):
        return [Row("kafka/producer", f"Kafka's producer test, {BYTES} bytes", IN_KAFKA,
                    "veche-kafka/batch"),
                Row("kafka/round-trip", "Kafka, bare round trip", IN_KAFKA, "veche-kafka/256"),
                Row("kafka/round-trip-half", "Kafka, bare round trip, planned at half of Veche's "
                    "maximum", IN_KAFKA, "veche-kafka/half", half_of="veche-kafka/256")]

    def start(self):
        self.broker = self.bench.broker()

    def measure(self, row, rate):
        self.bench.settle()
        if row.what == "producer":
            return self.measure_producer()
        watch, own = Watch(self.broker.pid), child_seconds()
        report = round_trip(self.broker, rate or 0, self.bench.seconds)
        records = report["records"]
        figures = {"per_second": report["rate"], "p50_ms": report["p50_ms"],
                   "p99_ms": report["p99_ms"], "max_ms": report["max_ms"],
                   "peer_us": watch.cpu_us(records),
                   "generator_us": (child_seconds() - own) / records * 1e6,
                   "steal_percent": watch.steal_percent(),
                   "proof": f"all {records} records came back once, in order"}
        self.broker.delete_topics("round-trip-.*")
        return figures

    def measure_producer(self):
        """Counts records, not seconds; and it is a Java program that has to warm up too."""
        topic = self.make_topic()
        rate = self.produce(topic, FIRST_LOOK, FIRST_LOOK // 2)["per_second"]
        warm_up, records = (int(rate * seconds) for seconds in
                            (self.bench.warm_up, self.bench.warm_up + self.bench.seconds))
        watch, own = Watch(self.broker.pid), child_seconds()
        figures = self.produce(topic, records, warm_up)
        figures |= {"peer_us": watch.cpu_us(records),
                    "generator_us": (child_seconds() - own) / records * 1e6,
                    "steal_percent": watch.steal_percent(),
                    "proof": self.prove(topic, FIRST_LOOK + records)}
        self.broker.delete_topics(topic)
        return figures

    def make_topic(self):
        self.topics += 1
        topic = f"producer-{self.topics}"
        self.broker.topics("--create", "--topic", topic, "--partitions", PARTITIONS,
                           "--replication-factor", 1)
        return topic

    def produce(self, topic, records, warm_up):
        """The last line that it prints is that of the records after the warm-up."""
        said = run("java", "-Xms512m", "-Xmx512m", "-cp", f"{TOOLS}/*",
                   "org.apache.kafka.tools.ProducerPerformance", "--bootstrap-server",
                   self.broker.address, "--topic", topic, "--num-records", records,
                   "--warmup-records", warm_up, "--record-size", BYTES, "--throughput", -1,
                   "--command-property", *PRODUCER)
        summary = re.search(r"^(\d+) steady state records sent, ([\d.]+) records/sec.*? ([\d.]+) "
                            r"ms max latency, ([\d.]+) ms 50th, [\d.]+ ms 95th, ([\d.]+) ms 99th, "
                            r"([\d.]+) ms 99.9th", said.splitlines()[-1])
        if not summary or int(summary[1]) != records - warm_up:
            raise Failed(f"the producer test says: {said[-800:]}")
        names = ("per_second", "max_ms", "p50_ms", "p99_ms", "p999_ms")
        return dict(zip(names, map(float, summary.groups()[1:])))

    def prove(self, topic, sent):
        """What the partitions hold at their ends is what was sent."""
        ends = run("java", "-cp", f"{TOOLS}/*", "org.apache.kafka.tools.GetOffsetShell",
                   "--bootstrap-server", self.broker.address, "--topic", topic)
        kept = sum(int(line.rsplit(":", 1)[1]) for line in ends.split())
        if kept != sent:
            raise Failed(f"Kafka: {sent} records sent, {kept} kept")
        return f"ends of all partitions = {sent} sent"

    def configuration(self):
        return (f"{self.broker.configuration()}# producer test: {' '.join(PRODUCER)}\n"
                "# round_trip: see bench/peers/round_trip.cc\n")

    def versions(self):
        return {"kafka": VERSION, "java": version_of("java", "-version")}

    def matrix(self):
        return {"Kafka": ("no", "no", "no", "no", "as far as acks=all with one replica goes", "no",
                          "no", "yes")}
