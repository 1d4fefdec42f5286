"""A real Kafka for the tests: clusters run by tools/kafka, and the few requests to a broker that its
own tools would send. Standard library only."""

import atexit
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile
import time
import unittest

import kafka_segments

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
VERSION = os.environ.get("VECHE_KAFKA_VERSION", "4.2.0")

OUT_OF_REACH = 77  # as tools/packages says
CREATE_TOPICS, DELETE_TOPICS, CREATE_PARTITIONS, INCREMENTAL_ALTER_CONFIGS = 19, 20, 37, 44
TOPIC_RESOURCE, SET = 2, 0


class Cluster:
    """Brokers on loopback with a folder of their own; wiped when the tests end."""

    def __init__(self, brokers=1, folder=None, properties=()):
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="veche-kafka-"))
        self.is_own = folder is None
        self.options = ["--dir", str(self.folder), "--version", VERSION, "--brokers", str(brokers),
                        "--short-lived"]
        for given in properties:
            self.options += ["--property", given]
        if self.is_own:
            atexit.register(self.wipe)
        self.brokers = self.run("start")

    _shared = None

    @classmethod
    def shared(cls):
        """One broker for all tests that do no harm to it."""
        if not cls._shared:
            folder = os.environ.get("VECHE_KAFKA_DIR", REPOSITORY / f"build/kafka/tests-{VERSION}")
            cls._shared = cls(folder=folder)
        return cls._shared

    def run(self, command, *arguments):
        done = subprocess.run([str(REPOSITORY / "tools/kafka"), command, *arguments, *self.options],
                              capture_output=True, text=True, timeout=300)
        if done.returncode == OUT_OF_REACH:
            raise unittest.SkipTest(done.stderr.strip().splitlines()[-1])
        if done.returncode:
            raise AssertionError(f"tools/kafka {command}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def stop(self):
        self.run("stop")

    def start(self):
        self.run("start")

    def kill(self, broker=1):
        self.run("kill", str(broker))

    def pause(self, broker=1):
        self.run("pause", str(broker))

    def resume(self, broker=1):
        self.run("resume", str(broker))

    def restart(self, broker=1):
        self.run("restart", str(broker))

    def wipe(self):
        if self.folder.exists():
            self.run("wipe")
            shutil.rmtree(self.folder, ignore_errors=True)

    def log_url(self, name):
        return f"kafka://{self.brokers}/{name}"

    def partitions(self, topic, broker=1):
        """{number: folder} of what one broker has of a topic."""
        return kafka_segments.partitions(self.folder / str(broker) / "data", topic)

    # --- Requests to the first broker: https://kafka.apache.org/protocol ---

    def _ask(self, key, version, body):
        host, port = self.brokers.split(",")[0].rsplit(":", 1)
        header = struct.pack(">hhi", key, version, 1) + text("tests")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(struct.pack(">i", len(header + body)) + header + body)
            answer = b""
            while len(answer) < 4 or len(answer) < 4 + struct.unpack_from(">i", answer)[0]:
                received = connection.recv(65536)
                if not received:
                    raise AssertionError("the broker closed the connection")
                answer += received
        return answer[8:]

    def topics(self):
        """Those that a client would find now."""
        listed = subprocess.run(["kcat", "-L", "-J", "-b", self.brokers], check=True, timeout=60,
                                capture_output=True, text=True).stdout
        return {topic["topic"] for topic in json.loads(listed)["topics"]
                if not topic.get("error") and all(partition["leader"] >= 0
                                                  for partition in topic["partitions"])}

    def create_topic(self, name, partitions, replicas=1):
        """Returns when it is there, as delete_topic does when it is gone."""
        self._ask(CREATE_TOPICS, 2, struct.pack(">i", 1) + text(name)
                  + struct.pack(">ihiiib", partitions, replicas, 0, 0, 10_000, 0))
        await_that(lambda: name in self.topics(), f"{name} is there")

    def delete_topic(self, name):
        self._ask(DELETE_TOPICS, 1, struct.pack(">i", 1) + text(name) + struct.pack(">i", 10_000))
        await_that(lambda: name not in self.topics(), f"{name} is gone")

    def add_partitions(self, topic, total):
        self._ask(CREATE_PARTITIONS, 0, struct.pack(">i", 1) + text(topic)
                  + struct.pack(">iiib", total, -1, 10_000, 0))

    def set_topic(self, topic, setting, value):
        self._ask(INCREMENTAL_ALTER_CONFIGS, 0, struct.pack(">ib", 1, TOPIC_RESOURCE) + text(topic)
                  + struct.pack(">i", 1) + text(setting) + struct.pack(">b", SET) + text(value)
                  + struct.pack(">b", 0))

    def produce(self, topic, partition, value, *options):
        """A record of somebody else's."""
        file = self.folder / "foreign"
        file.write_bytes(value)
        subprocess.run(["kcat", "-P", "-b", self.brokers, "-t", topic, "-p", str(partition),
                        *options, str(file)], check=True, timeout=60, capture_output=True)


def await_that(happened, what, within=30.0):
    deadline = time.monotonic() + within
    while not happened():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(0.05)


def text(value):
    data = value.encode()
    return struct.pack(">h", len(data)) + data
