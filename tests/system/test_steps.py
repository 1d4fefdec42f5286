"""Disclosure in steps on real servers, and results in every form."""

import csv
import importlib
import io
import json
import pathlib
import re
import shutil
import sys
import time
import unittest

import veche
from minting import sub_of

TICK = ["--tick", "50ms"]
STEPS = {"mode": "steps", "k": 3}
# Enough in every place that each shows by itself.
EXPECTED = {code: 1000 for code in veche.LEAVES} | {
    "75000000": 20000, "75701000": 5000, "75603000": 5000, "01000000": 9000}
PYTHON_PACKAGES = pathlib.Path(veche.REPOSITORY) / "build/python"


def steps_poll(name, **more):
    return veche.poll(name, disclosure=STEPS, expected_voters=EXPECTED, **more)


class StepsCase(veche.ServerCase):
    options = TICK

    def open_steps(self, **more):
        poll = self.server.open_poll(steps_poll(self.poll_id, **more))["id"]
        self.server.await_publication(poll)
        return poll

    def cast(self, poll, choices, territory="75701310"):
        """So many new voters as there are letters."""
        self.voters = getattr(self, "voters", 0)
        lines = []
        for choice in choices:
            self.voters += 1
            lines.append(self.server.line(poll, sub_of(poll, self.voters), choice, territory))
        answer = self.server.post_batch(lines)
        self.assertEqual(answer.json()["accepted"], len(choices), answer.body)

    def until(self, poll, happened, within=10.0):
        veche.eventually(lambda: happened(self.server.results(poll)), within,
                         lambda: self.server.results(poll))
        return self.server.results(poll)

    def published(self, poll):
        """Waits until everything cast was looked at."""
        time.sleep(0.3)
        return self.server.results(poll)

    def close(self, poll):
        self.assertEqual(self.server.change_poll(poll, "close").status, 200)
        return self.until(poll, lambda results: results["final"])


def place(results, code):
    return next(row for row in results["territories"] if row["code"] == code)


class Steps(StepsCase):
    def test_a_batch_is_shown_when_the_next_one_may_come_out(self):
        poll = self.open_steps()
        self.cast(poll, "ab")
        self.assertEqual(self.published(poll)["suppressed"], "not-yet")
        self.cast(poll, "a")
        self.assertIsNone(self.published(poll)["ballots"])
        self.cast(poll, "ccc")  # of one mind: they wait for others
        self.assertIsNone(self.published(poll)["ballots"])
        self.cast(poll, "bab")
        results = self.until(poll, lambda results: results["ballots"] is not None)
        self.assertEqual(veche.votes_of(results), {"a": 2, "b": 1, "c": 0})
        self.assertEqual(place(results, "75701310")["ballots"], 3)
        self.assertEqual(place(results, "75701000")["ballots"], 3)
        beside = place(results, "75701320")
        self.assertEqual((beside["ballots"], beside["suppressed"]), (None, "not-yet"))
        self.assertIsNone(beside["questions"][0]["options"][0]["votes"])
        for hint in ("partition_ballots", "not_shown"):
            self.assertNotIn(hint, results, "it would give the turnout away")
        final = self.close(poll)
        self.assertEqual(veche.votes_of(final), {"a": 3, "b": 3, "c": 3})
        self.assertEqual((final["turnout"], final["suppressed"]), (9, None))

    def test_the_turnout_is_told_in_tens(self):
        poll = self.open_steps()
        seen = set()
        for _ in range(25):
            self.cast(poll, "a")
            seen.add(self.server.results(poll)["turnout"])
        seen.add(self.published(poll)["turnout"])
        self.assertLessEqual(seen, {0, 10, 20})
        turnout = self.server.get(f"/v1/polls/{poll}/turnout").json()
        self.assertEqual(turnout["turnout"], 20)
        self.assertTrue(turnout["series"])
        self.assertLessEqual({point["ballots"] for point in turnout["series"]}, {0, 10, 20})

    def test_a_poll_of_too_few_says_so_and_nothing_else(self):
        poll = self.open_steps()
        self.cast(poll, "ab")
        final = self.close(poll)
        self.assertEqual((final["ballots"], final["turnout"], final["suppressed"]),
                         (None, None, "too-few"))
        self.assertEqual({row["suppressed"] for row in final["territories"]}, {"too-few"})
        series = self.server.get(f"/v1/polls/{poll}/turnout").json()["series"]
        self.assertEqual(series, [])

    def test_versions_are_kept_and_never_change(self):
        poll = self.open_steps()
        seen = {}
        for _ in range(6):
            self.cast(poll, "aab")
            results = self.published(poll)
            seen[results["version"]] = results
        self.assertGreaterEqual(len(seen), 5)
        numbers = [int(version.split("-")[0]) for version in seen]
        self.assertEqual(numbers, sorted(numbers))
        for version, results in seen.items():
            again = self.server.get(f"/v1/polls/{poll}/results?by=territory&version={version}")
            self.assertEqual(again.json(), results)
            number = version.split("-")[0]
            self.assert_refused(
                self.server.get(f"/v1/polls/{poll}/results?version={number}-closed"), 404,
                "version-not-kept")
        for unknown, status, code in (("999", 404, "version-not-kept"), ("x", 400, "bad-parameter"),
                                      (f"{numbers[0]}-zzz", 404, "version-not-kept")):
            self.assert_refused(self.server.get(f"/v1/polls/{poll}/results?version={unknown}"),
                                status, code)
        last = self.server.get(f"/v1/polls/{poll}/results")
        self.assertEqual(self.server.get(f"/v1/polls/{poll}/results",
                                         If_None_Match=last.headers["etag"]).status, 304)

    def test_a_version_is_that_of_its_state(self):
        poll = self.open_steps()
        self.cast(poll, "aab")
        self.published(poll)
        self.cast(poll, "bab")
        shown = self.until(poll, lambda results: results["ballots"])
        self.assertEqual(self.server.change_poll(poll, "close").status, 200)
        seen = {shown["version"]: shown}
        while not self.server.results(poll)["final"]:
            between = self.server.results(poll)
            seen[between["version"]] = between
        for action, state in ((None, "closed"), ("certify", "certified")):
            if action:
                self.assertEqual(self.server.change_poll(poll, action).status, 200)
            last = self.server.results(poll)
            self.assertEqual((last["state"], last["final"]), (state, True))
            seen[last["version"]] = last
        for version, results in seen.items():
            again = self.server.get(f"/v1/polls/{poll}/results?by=territory&version={version}")
            self.assertEqual(again.json(), results)

    def test_ballots_of_other_polls_leave_no_trace(self):
        public = self.server.open_poll(veche.poll("public"))["id"]
        self.cast(public, "ab")
        forms = ("/results?by=territory", "/results.csv", "/turnout", "")

        def look():
            bodies = [self.server.get(f"/v1/polls/{public}{form}").body for form in forms]
            return [re.sub(rb"\d{4}-\d\d-\d\dT[0-9:.]+Z", b"", body) for body in bodies]
        before = look()
        for more in ({"visibility": "after_close"}, {"disclosure": STEPS,
                                                     "expected_voters": EXPECTED}):
            self.poll_id += "-x"
            other = self.server.open_poll(veche.poll(self.poll_id, **more))["id"]
            for _ in range(5):
                self.cast(other, "abc")
                self.assertEqual(look(), before)

    def test_a_poll_too_wide_to_be_published_is_refused(self):
        wide = [veche.question(name=f"q{i}") | {"options": [
            {"id": str(option), "title": "x"} for option in range(512)]} for i in range(8)]
        territories = ["oktmo8,name,kind,level,parent_oktmo8", "75000000,Region,region,0,"]
        territories += [f"{75100000 + i},Place,rural_settlement,1,75000000" for i in range(800)]
        with_many = veche.Server(territories="\n".join(territories) + "\n")
        self.addCleanup(with_many.close)
        with_many.start()
        expected = {str(75100000 + i): 100 for i in range(800)}
        for questions, status in ((wide, 422), (wide[:7], 201)):
            answer = with_many.draft_poll(veche.poll(
                self.poll_id, *questions, targets=["75000000"], disclosure=STEPS,
                expected_voters=expected))
            self.assertEqual(answer.status, status, answer.body[:500])
            if status == 422:
                self.assertEqual(answer.json()["errors"][0]["pointer"], "/disclosure")

    def test_hidden_steps_are_hidden_in_every_version(self):
        poll = self.open_steps(visibility="after_close")
        self.cast(poll, "aabbab")
        time.sleep(0.3)
        for form in ("/results", "/results?version=1", "/results?version=999", "/results.csv",
                     "/turnout", "/turnout?version=999"):
            self.assert_refused(self.server.get(f"/v1/polls/{poll}{form}"), 403, "results-hidden")

    def test_every_form_shows_the_same(self):
        poll = self.open_steps()
        for places in range(4):
            self.cast(poll, "aabcb", veche.LEAVES[places])
            self.published(poll)
            self.cast(poll, "ab", veche.LEAVES[places])
        for results in (self.published(poll), self.close(poll)):
            target = f"/v1/polls/{poll}/results.csv?by=territory&version={results['version']}"
            rows = list(csv.DictReader(io.StringIO(self.server.get(target).body.decode())))
            excel = self.server.get(target + "&excel=1").body.decode("utf-8-sig")
            self.assert_rows(results, rows)
            spreadsheet = list(csv.DictReader(io.StringIO(excel), delimiter=";"))
            for row in spreadsheet:
                for name in ("poll_id", "question_id", "option_id", "territory"):
                    row[name] = row[name].removeprefix('="').removesuffix('"')
                row["share"] = row["share"].replace(",", ".")
            self.assertEqual(spreadsheet, rows)
        self.assertTrue(any(row["suppressed"] for row in rows), "something is in a group")

    def assert_rows(self, results, rows):
        shown = {(row["territory"], row["option_id"]):
                 (row["votes"], row["ballots"], row["suppressed"]) for row in rows}
        wanted = {}
        places = [("(all)", results)]
        places += [(row["code"], row) for row in results["territories"]]
        places += [(f"(group {i + 1})", group) for i, group in enumerate(results["groups"])]
        text = lambda value: "" if value is None else str(value)
        for name, counts in places:
            for option in counts["questions"][0]["options"]:
                wanted[name, option["id"]] = (text(option["votes"]), text(counts["ballots"]),
                                              text(counts["suppressed"]))
        self.assertEqual(shown, wanted)

    def test_publications_outlive_a_crash_and_the_index(self):
        poll = self.open_steps()
        for _ in range(3):
            self.cast(poll, "aab")
            before = self.published(poll)
        self.server.kill()
        shutil.rmtree(self.server.data / "index")
        self.server.start()
        self.assertEqual(self.server.results(poll), before)
        self.cast(poll, "abb")
        after = self.until(poll, lambda results: results["version"] != before["version"])
        self.assertGreaterEqual(after["ballots"], before["ballots"])
        self.assertEqual(self.close(poll)["ballots"], 12)


class BallotsWithResults(StepsCase):
    def vote(self, poll, voter, query="?results=1"):
        return self.server.request("POST", f"/v1/polls/{poll}/ballots{query}", veche.answers("a"),
                                   token=self.server.issuer.vote(poll, sub_of(voter), "75701310"))

    def test_the_answer_to_a_ballot_carries_results_with_the_ballot_in_them(self):
        poll = self.open(visibility="after_vote")
        for voter in range(3):
            answer = self.vote(poll, voter)
            self.assert_outcome(answer, 201)
            self.assertEqual(answer.json()["results"]["ballots"], voter + 1)
        again = self.vote(poll, 0)
        self.assert_outcome(again, 200)
        self.assertEqual(again.json()["results"]["ballots"], 3)
        self.assertNotIn("results", self.vote(poll, 1, "").json())
        self.assert_refused(self.server.get(f"/v1/polls/{poll}/results"), 403, "results-hidden")

    def test_results_that_a_voter_may_not_see_are_null(self):
        poll = self.open(visibility="after_close")
        answer = self.vote(poll, 1)
        self.assert_outcome(answer, 201)
        self.assertIsNone(answer.json()["results"])

    def test_in_steps_the_own_ballot_may_not_show_yet(self):
        poll = self.open_steps(visibility="after_vote")
        self.assertEqual(self.vote(poll, 1).json()["results"]["suppressed"], "not-yet")

    def test_a_parameter_that_means_nothing_is_refused_and_nothing_is_counted(self):
        poll = self.open()
        self.assert_refused(self.vote(poll, 1, "?results=yes"), 400, "bad-parameter")
        self.assertEqual(self.server.results(poll)["ballots"], 0)


class Turnout(StepsCase):
    def test_an_exact_poll_tells_ballots_by_the_hour(self):
        poll = self.open()
        self.cast(poll, "aabb")
        self.server.settled_results(poll, 4)
        for step, hours in (("", 1), ("?step=6h", 6), ("?step=1d", 24)):
            turnout = self.server.get(f"/v1/polls/{poll}/turnout{step}").json()
            self.assertEqual((turnout["turnout"], turnout["step_hours"]), (4, hours))
            self.assertEqual(turnout["series"][-1]["ballots"], 4)
        for step in ("0h", "25h", "32d", "1m", "h", "-1h", ""):
            self.assert_refused(self.server.get(f"/v1/polls/{poll}/turnout?step={step}"),
                                400, "bad-parameter")


class Tables(StepsCase):
    """CSV as programs read it that guess what a column is."""

    def setUp(self):
        super().setUp()
        sys.path.insert(0, str(PYTHON_PACKAGES))
        self.addCleanup(sys.path.remove, str(PYTHON_PACKAGES))

    def table(self):
        options = [{"id": option, "title": {"ru": f'=1+"{option}"; да', "en": f"@{option}"}}
                   for option in "abc"]
        poll = self.open({**veche.question(), "options": options})
        for code in veche.LEAVES:
            self.cast(poll, "aab", code)
        results = self.server.settled_results(poll, 15)
        return results, self.server.get(f"/v1/polls/{poll}/results.csv?by=territory").body

    def package(self, name):
        try:
            return importlib.import_module(name)
        except ImportError as error:
            self.skipTest(f"{name} is not installed: {error}")

    def test_pandas_reads_codes_as_strings_and_the_same_sums(self):
        pandas = self.package("pandas")
        results, body = self.table()
        table = pandas.read_csv(io.BytesIO(body))
        self.assertTrue(all(isinstance(code, str) for code in table.territory))
        self.assertIn("01701000", set(table.territory))
        whole = table[table.territory == "(all)"]
        self.assertEqual(dict(zip(whole.option_id, whole.votes)), veche.votes_of(results))
        leaves = table[table.territory.isin(veche.LEAVES)]
        self.assertEqual(leaves.groupby("option_id").votes.sum().to_dict(),
                         veche.votes_of(results))

    def test_duckdb_reads_codes_as_strings_and_the_same_sums(self):
        duckdb = self.package("duckdb")
        results, body = self.table()
        path = self.server.folder / "results.csv"
        path.write_bytes(body)
        rows = duckdb.sql(f"select typeof(territory), option_id, votes from '{path}' "
                          "where territory = '(all)' or territory = '01701000'").fetchall()
        self.assertEqual({row[0] for row in rows}, {"VARCHAR"})
        self.assertEqual(len(rows), 6)
        sums = duckdb.sql(f"select option_id, sum(votes)::bigint from '{path}' where level = 2 "
                          "or territory = '01701000' group by all").fetchall()
        self.assertEqual(dict(sums), veche.votes_of(results))

    def test_a_spreadsheet_runs_nothing(self):
        results, _ = self.table()
        for lang in ("ru", "en"):
            text = self.server.get(f"/v1/polls/{results['poll']}/results.csv?by=territory&excel=1"
                                   f"&lang={lang}").body.decode("utf-8-sig")
            rows = list(csv.DictReader(io.StringIO(text), delimiter=";"))
            self.assertTrue(all(row["option_title"].startswith("'") for row in rows))
            self.assertIn('="01701000"', {row["territory"] for row in rows})


@unittest.skipUnless(veche.KIND_OF_LOG == "kafka", "one log, several nodes")
class StepsOfNodes(unittest.TestCase):
    def test_equal_versions_are_equal_bytes_on_every_node(self):
        first = veche.Server(log=veche.KafkaLog(), options=TICK)
        nodes = [first] + [veche.Server(beside=first, options=TICK) for _ in range(2)]
        for node in nodes:
            self.addCleanup(node.close)
            node.start()
        poll = first.open_poll(steps_poll("together"))["id"]
        first.await_publication(poll)
        target = f"/v1/polls/{poll}/results?by=territory"
        bodies = {}

        def look():
            for node in nodes:
                answer = node.get(target)
                if answer.status == 404:
                    continue  # it has not heard of the poll yet
                version = answer.json()["version"]
                self.assertEqual(bodies.setdefault(version, answer.body), answer.body)

        for step in range(40):
            node = nodes[step % 3]
            code = veche.LEAVES[step % 4]
            node.post_batch([node.line(poll, sub_of(step, i), "abc"[i % 3], code)
                             for i in range(4)])
            look()
        nodes[1].kill()
        nodes.pop(1)
        self.assertEqual(first.change_poll(poll, "close").status, 200)
        deadline = time.monotonic() + 15
        while not all(node.results(poll)["final"] for node in nodes):
            self.assertLess(time.monotonic(), deadline)
            look()
        look()
        final = json.loads(bodies[max(bodies, key=lambda version: int(version.split("-")[0]))])
        self.assertEqual(final["ballots"], 160)
        self.assertGreater(len(bodies), 5)


if __name__ == "__main__":
    unittest.main()
