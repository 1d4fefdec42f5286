"""The topics of a log: what is refused at start and why, and what somebody else's records, cut
logs, and topics that were made anew do to nodes that run."""

import concurrent.futures
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import kafka
import kafka_segments
import log_reader
import veche
from minting import sub_of
from test_crash import counted_ballots
from test_kafka_nodes import counts, start_nodes, until

DIVERGED_WITHIN_SECONDS = 75  # a tail a minute, and a little


def run(*arguments):
    return subprocess.run([veche.BINARY, *map(str, arguments)], capture_output=True, text=True,
                          timeout=60)


@veche.needs_binary
class Refused(unittest.TestCase):
    """With a message that says what to do."""

    def setUp(self):
        self.cluster = kafka.Cluster.shared()
        self.server = veche.Server()
        self.addCleanup(self.server.close)
        self.use(veche.KafkaLog())

    def use(self, log):
        self.server.log = log

    def assert_start_refused(self, *words):
        with self.assertRaises(veche.StartFailed) as refused:
            self.server.start()
        self.assertNotIn(refused.exception.code, (0, "too slow"))
        for word in words:
            self.assertIn(word, refused.exception.errors)

    def test_no_broker(self):
        port = veche.free_port()
        self.use(veche.KafkaLog())
        self.server.log.options = ["--log", f"kafka://127.0.0.1:{port}/x"]
        self.server.log.is_made = True
        begin = time.monotonic()
        self.assert_start_refused(f"127.0.0.1:{port}", "no Kafka broker answers")
        self.assertLess(time.monotonic() - begin, 20)

    def test_no_topic(self):
        self.server.log.is_made = True
        self.assert_start_refused("there is no topic", "veche topic create")

    def test_an_address_that_is_none(self):
        self.server.log.is_made = True
        self.server.log.options = ["--log", "kafka://127.0.0.1/x"]
        self.assert_start_refused("kafka://HOST:PORT")

    def test_another_voter_secret(self):
        self.server.start()
        self.assertEqual(self.server.stop(), 0)
        self.server.voter_secret.write_bytes(bytes(32))
        self.assert_start_refused("another voter secret")
        made = run("topic", "create", "--log", self.server.log.url, "--voter-secret",
                   self.server.voter_secret, "--partitions", 4, "--replicas", 1)
        self.assertEqual(made.returncode, 1)
        self.assertIn("another voter secret", made.stderr)

    def test_unsafe_settings_unless_told_so(self):
        self.server.log.make(self.server)
        name = self.server.log.name
        self.cluster.set_topic(f"{name}.ballots", "retention.ms", "86400000")
        self.cluster.set_topic(f"{name}.control", "message.timestamp.type", "LogAppendTime")
        self.assert_start_refused("retention.ms=86400000", "message.timestamp.type",
                                  "--allow-unsafe-topic")
        checked = run("topic", "check", "--log", self.server.log.url, "--json")
        self.assertEqual(checked.returncode, 1)
        report = json.loads(checked.stdout)
        self.assertFalse(report["safe"])
        self.assertEqual(len(report["unsafe"]), 2)
        self.server.options = ["--allow-unsafe-topic"]
        self.server.start()
        self.assertIn("UNSAFE", self.server.errors())

    def test_a_topic_with_more_partitions_than_the_log(self):
        self.server.start()
        self.server.open_poll(veche.poll("before"))
        self.cluster.add_partitions(f"{self.server.log.name}.ballots", 5)
        counted_ballots(self.server, "before", 50)  # a node that runs uses its own partitions
        self.assertEqual(self.server.stop(), 0)
        self.assert_start_refused("5 partitions", "with 4", "partitions were added")

    def test_topics_that_do_not_belong_together(self):
        self.server.log.make(self.server)
        name = self.server.log.name
        self.cluster.delete_topic(f"{name}.control")
        self.assertTrue(until(10, lambda: "there is no topic" in run(
            "topic", "check", "--log", self.server.log.url).stderr))
        with self.assertRaises(veche.CommandFailed) as refused:
            self.server.log.make(self.server)  # a new control beside old ballots
        self.assertIn("belongs to another log", str(refused.exception))
        self.assert_start_refused("belongs to another log")

    def test_a_topic_of_somebody_else(self):
        self.server.log.make(self.server)
        name = self.server.log.name
        for topic in ("control", "ballots"):
            self.cluster.delete_topic(f"{name}.{topic}")
        self.cluster.create_topic(f"{name}.control", 1)
        self.cluster.create_topic(f"{name}.ballots", 1)
        for topic in ("control", "ballots"):
            self.cluster.produce(f"{name}.{topic}", 0, b"an order for ten chairs")
        self.assert_start_refused("holds no log of Veche")

    def test_topics_that_were_not_finished(self):
        name = self.server.log.name
        self.cluster.create_topic(f"{name}.control", 1)
        self.cluster.create_topic(f"{name}.ballots", 4)
        self.server.log.is_made = True
        self.assert_start_refused("is empty", "run it again")
        with self.assertRaises(veche.CommandFailed) as unsafe:  # but finished
            self.server.log.make(self.server)
        self.assertIn("retention.ms", str(unsafe.exception))
        self.server.options = ["--allow-unsafe-topic"]
        self.server.start()

    def test_what_is_no_log(self):
        log = self.server.log
        log.make(self.server)
        self.cluster.delete_topic(f"{log.name}.control")
        self.cluster.delete_topic(f"{log.name}.ballots")
        self.assert_start_refused("there is no topic")

    def test_create_finishes_its_own_work_and_changes_nothing(self):
        log = self.server.log
        first = json.loads(log.make(self.server, "--json").stdout)
        self.assertEqual(first["survives"], "a killed broker, but not a power cut")
        again = json.loads(log.make(self.server, "--json").stdout)
        self.assertEqual(again, first)
        self.assertEqual([record.kind for record in log.records()], ["genesis"] * 5)
        log.partitions = 6
        with self.assertRaises(veche.CommandFailed) as refused:
            log.make(self.server)
        self.assertIn("--partitions 4", str(refused.exception))

    def test_create_may_sync_each_record(self):
        made = json.loads(self.server.log.make(self.server, "--sync-each", "--json").stdout)
        self.assertEqual(made["survives"],
                         "a killed broker and a power cut, but not the loss of its disk")
        self.server.start()
        self.assertIn("a power cut, but not the loss of its disk", self.server.errors())

    def test_more_replicas_than_brokers(self):
        self.server.log.replicas = 3
        with self.assertRaises(veche.CommandFailed) as refused:
            self.server.log.make(self.server)
        self.assertIn("cannot be made", str(refused.exception))

    def test_an_index_of_another_log(self):
        self.server.start()
        self.server.open_poll(veche.poll("there"))
        counted_ballots(self.server, "there", 10)
        self.assertEqual(self.server.stop(), 0)
        self.use(veche.KafkaLog())
        self.assert_start_refused("derived from another log")
        recounted = self.server.recount()
        self.assertEqual(recounted.returncode, 1)
        self.assertIn("another log", recounted.stderr)

    def test_the_file_of_options_is_about_the_connection_alone(self):
        config = self.server.folder / "veche.toml"
        for line, word in (('"acks" = "1"', "'acks'"), ('"sasl.nonsense" = "x"', "sasl.nonsense"),
                           ('"ssl.ca.location" = 1.5', "ssl.ca.location")):
            config.write_text(f"[kafka]\n{line}\n")
            done = run("topic", "check", "--log", self.server.log.url, "--config", config)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(word, done.stderr)

    def test_a_user_who_may_not_connect(self):
        """The broker speaks no TLS: that the section is used shows in the failure."""
        config = self.server.folder / "veche.toml"
        config.write_text('[kafka]\n"security.protocol" = "SSL"\n')
        done = run("topic", "check", "--log", self.server.log.url, "--config", config)
        self.assertEqual(done.returncode, 1)
        self.assertIn("SSL", done.stderr)


@veche.needs_binary
class WritesRefused(unittest.TestCase):
    def test_an_error_that_no_retry_can_mend_is_named_and_makes_the_node_not_ready(self):
        node, = start_nodes(self, 1)
        poll = node.open_poll(veche.poll("refused"))["id"]
        topic, setting = f"{node.log.name}.ballots", "max.message.bytes"
        node.log.cluster.set_topic(topic, setting, "100")

        def vote(voter):
            begin = time.monotonic()
            answer = node.vote(poll, sub_of(voter), "a")
            self.assertEqual(answer.status, 503, answer)
            self.assertIn("retry-after", answer.headers)
            return time.monotonic() - begin

        with concurrent.futures.ThreadPoolExecutor(41) as pool:
            first = pool.submit(vote, "a")
            self.assertTrue(until(5, lambda: node.get("/readyz").code == "not-ready"))
            self.assertIn("too large", node.get("/readyz").json()["detail"])
            self.assertGreater(node.metrics()["veche_kafka_produce_errors"], 0)
            others = list(pool.map(vote, [f"other {i}" for i in range(40)]))
            self.assertLess(min(others), 1, "refused at once where it is known: some have the "
                                            "partition of the first")
            self.assertLess(max(first.result(), *others), 10)
        node.log.cluster.set_topic(topic, setting, "1048588")
        self.assertTrue(until(30, lambda: node.vote(poll, sub_of("a"), "a").status == 201))
        self.assertTrue(until(5, lambda: node.get("/readyz").status == 200))


@veche.needs_binary
class ForeignRecords(unittest.TestCase):
    def test_records_of_somebody_else_are_counted_as_invalid_and_harm_nothing(self):
        nodes = start_nodes(self, 2)
        log = nodes[0].log
        poll = nodes[0].open_poll(veche.poll("mixed"))["id"]
        receipts = counted_ballots(nodes[0], poll, 40)
        genuine = [record for record in kafka_segments.read_partition(
            log.cluster.partitions(f"{log.name}.ballots")[0])][-1].value
        foreign = [b"hello", b"\x00" * 1000, os.urandom(5000), b'{"poll": "mixed"}',
                   genuine[:-3], genuine[:40] + b"\xff" * 40, b"x" * 900_000]
        for number, value in enumerate(foreign):
            log.cluster.produce(f"{log.name}.ballots", number % 4, value)
        log.cluster.produce(f"{log.name}.control", 0, b"hello")
        log.cluster.produce(f"{log.name}.ballots", 0, b"with a key", "-k", "key")
        later = counted_ballots(nodes[1], poll, 40, "later")
        for node in nodes:
            self.assertEqual(node.settled_results(poll, 80)["ballots"], 80)
            self.assertTrue(until(5, lambda: node.metrics()["veche_invalid_records"]
                                  == len(foreign) + 1), node.metrics())
            for sub, receipt in receipts[:5] + later[:5]:
                self.assertTrue(node.get(f"/v1/polls/{poll}/receipts/{receipt}").json()["recorded"])
        nodes[1].kill()
        shutil.rmtree(nodes[1].data)
        nodes[1].start()
        self.assertEqual(counts(nodes[1].results(poll)), counts(nodes[0].results(poll)))
        for node in nodes:
            self.assertEqual(node.stop(), 0)
            done = node.recount()
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_record_twice_is_counted_once(self):
        server, = start_nodes(self, 1)
        log = server.log
        poll = server.open_poll(veche.poll("twice"))["id"]
        counted_ballots(server, poll, 1)
        (partition, value), = [(record.partition, record) for record in log.records()
                               if record.kind == "ballot"]
        stored = list(kafka_segments.read_partition(
            log.cluster.partitions(f"{log.name}.ballots")[partition]))[value.offset].value
        for _ in range(3):
            log.cluster.produce(f"{log.name}.ballots", partition, stored)
        counted_ballots(server, poll, 5, "later")
        self.assertTrue(until(5, lambda: server.metrics()["veche_duplicate_ballots"] == 3))
        self.assertEqual(server.results(poll)["ballots"], 6)

    def test_anybody_can_read_the_records_with_kcat_and_protoc(self):
        """As docs/kafka.md shows it."""
        server, = start_nodes(self, 1)
        poll = server.open_poll(veche.poll("read"))["id"]
        counted_ballots(server, poll, 1)
        proto = veche.REPOSITORY / "engine/model"
        found = 0
        for partition in range(4):
            value = server.folder / "value"
            consumed = subprocess.run(
                ["kcat", "-C", "-b", server.log.cluster.brokers, "-t", f"{server.log.name}.ballots",
                 "-p", str(partition), "-o", "0", "-e", "-q", "-f", "%o %S\n"], check=True,
                capture_output=True, text=True, timeout=60)
            for line in consumed.stdout.splitlines():
                offset, size = map(int, line.split())
                with open(value, "wb") as file:
                    subprocess.run(["kcat", "-C", "-b", server.log.cluster.brokers, "-t",
                                    f"{server.log.name}.ballots", "-p", str(partition), "-o",
                                    str(offset), "-c", "1", "-e", "-q", "-D", ""], check=True,
                                   stdout=file, timeout=60)
                self.assertEqual(value.stat().st_size, size)
                with open(value, "rb") as file:
                    decoded = subprocess.run(["protoc", f"--proto_path={proto}",
                                              "--decode=veche.v1.Record", "record.proto"],
                                             stdin=file, check=True, capture_output=True,
                                             text=True, timeout=60)
                found += 'territory: "75701310"' in decoded.stdout and "ballot {" in decoded.stdout
        self.assertEqual(found, 1)


@veche.needs_binary
class TopicsChange(unittest.TestCase):
    """Under nodes that run; on a broker of their own."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = kafka.Cluster()
        cls.addClassCleanup(cls.cluster.wipe)

    def test_a_topic_deleted_and_made_anew_ends_the_node_and_is_refused_at_its_start(self):
        node, = start_nodes(self, 1, cluster=self.cluster)
        poll = node.open_poll(veche.poll("gone"))["id"]
        counted_ballots(node, poll, 60)
        for topic in ("control", "ballots"):
            self.cluster.delete_topic(f"{node.log.name}.{topic}")
        self.assertTrue(until(20, lambda: not node.is_running()
                              or node.get("/readyz").status == 503), node.errors())
        node.log.make(node)
        self.assertTrue(until(30, lambda: not node.is_running()), node.errors())
        self.assertEqual(node._wait(), 70)
        self.assertRegex(node.errors(), "made anew")
        with self.assertRaises(veche.StartFailed) as refused:
            node.start()  # the index is the last that is known of the old log: it is kept
        self.assertIn("derived from another log", refused.exception.errors)
        shutil.rmtree(node.data / "index")
        node.start()
        self.assertEqual(node.get(f"/v1/polls/{poll}").status, 404)

    def cut(self, log, records=30):
        """Of the partition that has most: (partition, the end then)."""
        folders = self.cluster.partitions(f"{log.name}.ballots")
        ends = {number: sum(1 for _ in kafka_segments.read_partition(folder, check_crc=False))
                for number, folder in folders.items()}
        partition = max(ends, key=ends.get)
        return partition, kafka_segments.cut_tail(folders[partition], records)

    def assert_rebuilds(self, node, poll, other):
        """It has ended by itself, and starts again with what the log holds now."""
        self.assertEqual(node._wait(), 70)
        self.assertRegex(node.errors(), "rebuilt from the log at the next start")
        node.start()
        self.assertIn("the index was wrong", node.errors())
        ballots = other.results(poll)["ballots"]
        self.assertEqual(counts(node.settled_results(poll, ballots)), counts(other.results(poll)))
        self.assertTrue(node.is_running())

    def test_a_log_that_was_cut_ends_a_node_that_had_read_more(self):
        node, = start_nodes(self, 1, cluster=self.cluster)
        poll = node.open_poll(veche.poll("cut"))["id"]
        counted_ballots(node, poll, 300)
        self.cluster.stop()
        self.cut(node.log)
        self.cluster.start()
        self.assertTrue(until(40, lambda: not node.is_running()), node.errors())
        other = veche.Server(beside=node)
        self.addCleanup(other.close)
        other.start()
        self.assertLess(other.results(poll)["ballots"], 300)
        self.assert_rebuilds(node, poll, other)

    def test_a_log_that_was_cut_while_a_node_was_down_is_noticed_at_its_start(self):
        """Whether it has grown again, beyond what the node had read, or not yet."""
        node, = start_nodes(self, 1, cluster=self.cluster)
        other = veche.Server(beside=node)
        self.addCleanup(other.close)
        poll = node.open_poll(veche.poll("down"))["id"]
        counted_ballots(node, poll, 300)
        for grown in (False, True):
            self.assertEqual(node.stop(), 0)
            self.cluster.stop()
            self.cut(node.log)
            self.cluster.start()
            if grown:
                other.start()
                counted_ballots(other, poll, 300, "grown")
                self.assertEqual(other.stop(), 0)
            with self.assertRaises(veche.StartFailed) as refused:
                node.start()
            self.assertNotEqual(refused.exception.code, "too slow")
            self.assertIn("rebuilt from the log at the next start", refused.exception.errors)
            node.start()
            self.assertIn("the index was wrong", node.errors())
        self.assertEqual(node.stop(), 0)
        self.assertEqual(node.recount().returncode, 0)

    def test_a_log_that_was_cut_and_grew_again_is_seen_by_its_hashes_within_a_minute(self):
        """The node sleeps over all of it: only the tail of another node can tell."""
        node, = start_nodes(self, 1, cluster=self.cluster)
        poll = node.open_poll(veche.poll("regrown"))["id"]
        counted_ballots(node, poll, 300)
        node.process.send_signal(signal.SIGSTOP)
        self.cluster.stop()
        partition, end = self.cut(node.log)
        self.cluster.start()
        other = veche.Server(beside=node)
        self.addCleanup(other.close)
        other.start()
        counted_ballots(other, poll, 400, "regrown")
        folder = self.cluster.partitions(f"{node.log.name}.ballots")[partition]
        grown = sum(1 for _ in kafka_segments.read_partition(folder, check_crc=False))
        self.assertGreater(grown, end + 60)
        node.process.send_signal(signal.SIGCONT)
        begin = time.monotonic()
        self.assertTrue(until(DIVERGED_WITHIN_SECONDS, lambda: not node.is_running()))
        self.assertLess(time.monotonic() - begin, DIVERGED_WITHIN_SECONDS)
        self.assertRegex(node.errors(), "other records|another record|is not the one")
        # Two nodes cannot know which of them is wrong: both start again, from the log.
        if until(3, lambda: not other.is_running()):
            self.assertIn("read other records", other.errors())
            other.start()
        self.assert_rebuilds(node, poll, other)
        # What the cut node had written, and what was said of it, is no obstacle to any start.
        other.kill()
        shutil.rmtree(other.data)
        other.start()
        self.assertEqual(counts(other.results(poll)), counts(node.results(poll)))


if __name__ == "__main__":
    unittest.main()
