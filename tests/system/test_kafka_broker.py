"""Brokers that stop, die, hang and come back, under load from clients of two nodes."""

import collections
import contextlib
import os
import time
import unittest

import checker
import crash
import kafka
import veche
from minting import sub_of
from test_crash import counted_ballots
from test_kafka_nodes import PAUSE_SECONDS, start_nodes, until


CHANGE_OF_LEADER_SECONDS = 2  # or more: the others must first miss a broker


def assert_served_well(case, scenario, outage=True):
    """Nothing lost, nothing double, and at worst 503 with a time to come back; then it ends.
    Without an outage, ballots may as well just have waited for another leader."""
    faults = scenario.end()
    case.assertEqual(faults[:checker.MAX_REPORTED], [])
    statuses = collections.Counter(request["status"] for request in scenario.load.requests)
    case.assertGreater(statuses[201], 500, statuses)
    slowest = max(request["end"] - request["begin"] for request in scenario.load.requests)
    has_waited = not outage and slowest > CHANGE_OF_LEADER_SECONDS
    case.assertTrue(statuses[503] > 0 or has_waited, "the clients noticed nothing")
    case.assertLessEqual(statuses.keys(), {200, 201, 409, 410, 503, None}, statuses)


def accepted(scenario):
    return sum(1 for request in list(scenario.load.requests) if request["status"] == 201)


def await_service(case, scenario, within=40):
    """New ballots are counted again, without anybody's help."""
    before = accepted(scenario)
    case.assertTrue(until(within, lambda: accepted(scenario) > before + 50), "no service")


@veche.needs_binary
class OneBroker(unittest.TestCase):
    def setUp(self):
        self.cluster = kafka.Cluster()
        self.addCleanup(self.cluster.wipe)

    def test_stopped_killed_and_paused_it_loses_nothing(self):
        scenario = crash.Scenario(log=veche.KafkaLog(self.cluster), nodes=2,
                                  pause_seconds=0.02)
        self.addCleanup(scenario.close)
        scenario.begin()
        await_service(self, scenario)
        self.cluster.stop()
        time.sleep(2)
        self.cluster.start()
        await_service(self, scenario)
        for _ in range(2):
            self.cluster.kill()
            time.sleep(1)
            self.cluster.restart()
            await_service(self, scenario)
        self.cluster.pause()
        time.sleep(PAUSE_SECONDS)
        self.cluster.resume()
        await_service(self, scenario)
        for server in scenario.servers:
            self.assertTrue(server.is_running(), server.errors())
            self.assertTrue(until(10, lambda: server.get("/readyz").status == 200))
        assert_served_well(self, scenario)

    def test_without_a_broker_a_node_is_not_ready_and_shows_results_with_their_age(self):
        node, = start_nodes(self, 1, cluster=self.cluster)
        poll = node.open_poll(veche.poll("alone"))["id"]
        (sub, receipt), *_ = counted_ballots(node, poll, 30)
        self.cluster.kill()
        went = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 2))
        self.assertTrue(until(15, lambda: node.get("/readyz").status == 503))
        answer = node.get("/readyz")
        self.assertIn("cannot be reached", answer.json()["detail"])
        self.assertIn("retry-after", answer.headers)
        self.assertEqual(node.get("/livez").status, 200)
        results = node.results(poll)
        self.assertEqual(results["ballots"], 30)
        self.assertLess(results["as_of"], went)
        time.sleep(2)
        self.assertEqual(node.results(poll)["as_of"], results["as_of"])
        self.assertEqual(node.metrics()["veche_kafka_reachable"], 0)
        self.assertEqual(node.metrics()["veche_ready"], 0)
        # A counted voter gets the true answer also now; a new one is refused at once.
        again = node.vote(poll, sub, "a", veche.LEAVES[0])
        self.assertEqual((again.status, again.json().get("receipt")), (200, receipt))
        self.assertTrue(node.get(f"/v1/polls/{poll}/receipts/{receipt}").json()["recorded"])
        begin = time.monotonic()
        refused = node.vote(poll, sub_of("new"), "a")
        self.assertEqual((refused.status, refused.code), (503, "overloaded"))
        self.assertIn("retry-after", refused.headers)
        self.assertLess(time.monotonic() - begin, 1)
        change = node.change_poll(poll, "close")
        self.assertEqual(change.status, 503)
        self.cluster.restart()
        self.assertTrue(until(20, lambda: node.get("/readyz").status == 200), node.errors())
        self.assertEqual(node.vote(poll, sub_of("new"), "a").status, 201)
        self.assertTrue(until(5, lambda: node.results(poll)["as_of"] > results["as_of"]))
        self.assertIn("Kafka can be reached again", node.errors())

    def test_a_node_can_be_stopped_without_a_broker(self):
        node, = start_nodes(self, 1, cluster=self.cluster)
        poll = node.open_poll(veche.poll("left"))["id"]
        counted_ballots(node, poll, 30)
        self.assertEqual(node.stop(), 0, node.errors())
        reader, writer = os.pipe()
        node.start(stderr=writer)
        os.close(writer)
        os.close(reader)  # who collected its log has died: what it says now is lost, and only that
        self.cluster.kill()
        self.assertTrue(until(15, lambda: node.get("/readyz").status == 503))
        begin = time.monotonic()
        self.assertEqual(node.stop(), 0, node.errors())
        self.assertLess(time.monotonic() - begin, 30)
        self.cluster.restart()
        node.start()
        self.assertEqual(node.settled_results(poll, 30)["ballots"], 30)


def outlive_any_one_of_three(case, within=40):
    """Each broker in turn is killed, and one hangs, under load: no node ends."""
    with contextlib.ExitStack() as ends:
        cluster = kafka.Cluster(brokers=3)
        ends.callback(cluster.wipe)
        scenario = crash.Scenario(log=veche.KafkaLog(cluster, replicas=3), nodes=2,
                                  pause_seconds=0.02)
        ends.callback(scenario.close)
        scenario.begin()
        case.assertIn("an answer survives the loss of any machine", scenario.server.errors())
        await_service(case, scenario, within)
        for broker in (1, 2, 3):
            cluster.kill(broker)
            await_service(case, scenario, within)  # by the other two
            cluster.restart(broker)
            await_service(case, scenario, within)
            time.sleep(3)  # until it has caught up with the others
        cluster.pause(2)
        await_service(case, scenario, within)
        cluster.resume(2)
        await_service(case, scenario, within)
        for server in scenario.servers:
            case.assertTrue(server.is_running(), server.errors())
        assert_served_well(case, scenario, outage=False)


@veche.needs_binary
class ThreeBrokers(unittest.TestCase):
    def test_any_one_of_three_may_die_under_load(self):
        outlive_any_one_of_three(self)

    def test_partitions_without_a_leader_are_refused_by_themselves_and_named(self):
        """With one replica, what a dead broker led has no leader, for any node."""
        cluster = kafka.Cluster(brokers=3)
        self.addCleanup(cluster.wipe)
        node, = start_nodes(self, 1, cluster=cluster)
        poll = node.open_poll(veche.poll("partly"))["id"]
        control = next(broker for broker in (1, 2, 3)
                       if cluster.partitions(f"{node.log.name}.control", broker))
        broker = control % 3 + 1
        stuck = sorted(map(str, cluster.partitions(f"{node.log.name}.ballots", broker)))
        self.assertTrue(0 < len(stuck) < node.log.partitions, stuck)
        cluster.kill(broker)
        self.assertTrue(until(40, lambda: node.get("/readyz").json().get("stuck") == stuck),
                        node.get("/readyz"))
        ready = node.get("/readyz")
        self.assertEqual((ready.status, ready.json()["status"]), (200, "ready"))
        self.assertIn(f"{node.log.name}.ballots", ready.json()["detail"])
        metrics = node.metrics()
        for partition in range(node.log.partitions):
            self.assertEqual(
                metrics[f'veche_kafka_partition_stuck{{partition="{partition}"}}'],
                str(partition) in stuck)
        statuses = collections.Counter()
        for number in range(60):
            begin = time.monotonic()
            answer = node.vote(poll, sub_of(f"partly-{number}"), "a")
            statuses[answer.status] += 1
            self.assertLess(time.monotonic() - begin, 3, answer)
            if answer.status == 503:
                self.assertEqual(answer.code, "overloaded")
                self.assertIn("retry-after", answer.headers)
        self.assertEqual(statuses.keys(), {201, 503})
        self.assertIn(f"{len(stuck)} of {node.log.partitions + 1} partitions cannot be written",
                      node.errors())
        cluster.restart(broker)
        self.assertTrue(until(40, lambda: "stuck" not in node.get("/readyz").json()))
        for number in range(60):
            self.assertIn(node.vote(poll, sub_of(f"partly-{number}"), "a").status, (200, 201))
        self.assertEqual(node.settled_results(poll, 60)["ballots"], 60)


if __name__ == "__main__":
    unittest.main()
