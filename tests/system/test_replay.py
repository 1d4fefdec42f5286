"""Real ballots through the real binary: every official total, however the ballots arrive."""

import collections
import csv
import gzip
import io
import json
import pathlib
import subprocess
import tarfile
import time
import unicodedata
import unittest

import crash
import veche
from minting import sub_of

BALLOTS = veche.SHARED_DATA / "ballots"
CITIES = {"Wroclaw_2020": 89_419, "Zabrze_2020": 9_375, "Krakow_2021": 51_229,
          "Katowice_2023": 39_828, "Warszawa_2026": 61_668}
DISTRICT_POLLS = {"Zabrze_2020": (18, 14_104), "Krakow_2021": (18, 51_229),
                  "Katowice_2023": (22, 44_969)}


def city_file(city):
    return BALLOTS / f"Poland_{city}.pb.gz"


def official_totals(path):
    """{project: (votes, score or None)}, read with nothing but the csv module."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        lines = file.read().splitlines()
    begin, end = lines.index("PROJECTS") + 1, lines.index("VOTES")
    rows = csv.DictReader(io.StringIO("\n".join(lines[begin:end])), delimiter=";")
    return {row["project_id"]: (int(row["votes"]), int(row["score"]) if "score" in row else None)
            for row in rows}


def ballots_by_district(path):
    """{folded name: ballots}, read with nothing but the csv module."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        lines = file.read().splitlines()
    rows = list(csv.DictReader(io.StringIO("\n".join(lines[lines.index("VOTES") + 1:])),
                               delimiter=";"))
    column = "district" if "district" in rows[0] else "neighborhood"
    return collections.Counter(fold(row.get(column) or "Unknown") for row in rows)


def fold(name):
    name = unicodedata.normalize("NFKC", name).casefold().strip()
    return "unknown" if name == "-" else name


def far_zone():
    """Where it is another day than in UTC now: the tools must not go by a day of their own."""
    return "Etc/GMT-14" if time.gmtime().tm_hour >= 10 else "Etc/GMT+12"


class ReplayCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not BALLOTS.is_dir():
            raise unittest.SkipTest(f"no real ballots in {BALLOTS}")
        cls.server = veche.Server(territories=None, options=["--time-zone", far_zone()])
        cls.addClassCleanup(cls.server.close)
        cls.server.start()
        if not crash.has_command("replay"):
            raise unittest.SkipTest("this binary has no replay")

    def command(self, path, *options):
        return [veche.BINARY, "replay", str(path), "--server", self.server.url, "--keys",
                str(self.server.folder / "keys/issuer.json"), "--json", *options]

    def replay(self, path, *options):
        """The report of a replay that has to succeed."""
        done = subprocess.run(self.command(path, *options), capture_output=True, text=True,
                              timeout=180)
        self.assertEqual(done.returncode, 0, f"{path.name}: {done.stdout[-800:]}"
                                             f"{done.stderr[-800:]}")
        return json.loads(done.stdout)

    def assert_official(self, path, report, ballots=None):
        """Not only by the product's own word."""
        self.assertEqual(report["totals"]["equal"], report["totals"]["of"])
        self.assertGreater(report["totals"]["of"], 0)
        official = official_totals(path)
        results = self.server.settled_results(report["poll"], ballots or report["ballots"])
        if ballots:
            self.assertEqual(results["ballots"], ballots)
        shown = {option["id"]: option for option in results["questions"][0]["options"]}
        self.assertEqual(shown.keys(), official.keys())
        for project, (votes, score) in official.items():
            self.assertEqual(shown[project]["votes"], votes, project)
            if score is not None and "points" in shown[project]:
                self.assertEqual(shown[project]["points"], score, project)
        return results

    def tearDown(self):
        self.assertTrue(self.server.is_running())

    @classmethod
    def recount(cls):
        """The server is stopped for it, and started again."""
        if not crash.has_command("recount"):
            return []
        if cls.server.stop() != 0:
            return ["SIGTERM did not end well"]
        faults = crash.recount_faults(cls.server)
        cls.server.start()
        return faults


class Cities(ReplayCase):
    def replay_city(self, city, *options):
        path = city_file(city)
        report = self.replay(path, *options)
        self.assertEqual(report["outcomes"], {"accepted": CITIES[city]})
        results = self.assert_official(path, report, CITIES[city])
        self.assertEqual(sum(territory["ballots"] for territory in self.server.results(
            report["poll"])["territories"] if territory["parent"] is None), CITIES[city])
        again = self.replay(path, *options)
        self.assertEqual(again["outcomes"], {"recorded": CITIES[city]})
        self.assertEqual(self.server.results(report["poll"])["questions"], results["questions"])

    def test_wroclaw_by_single_ballots(self):
        self.replay_city("Wroclaw_2020", "--connections", "32")

    def test_zabrze(self):
        self.replay_city("Zabrze_2020", "--batch", "500")

    def test_krakow_with_ranks(self):
        self.replay_city("Krakow_2021", "--batch", "1000")

    def test_katowice_with_points(self):
        self.replay_city("Katowice_2023", "--batch", "1000")

    def test_warszawa_with_approval(self):
        self.replay_city("Warszawa_2026", "--batch", "1000")

    def test_z_a_recount_is_the_same(self):
        """The last one by name: it looks at what the others left."""
        self.assertEqual(self.recount(), [])


class InSteps(ReplayCase):
    def replay_city(self, city, k):
        path = city_file(city)
        report = self.replay(path, "--steps", str(k), "--batch", "1000")
        self.assertEqual(report["outcomes"], {"accepted": CITIES[city]})
        results = self.assert_official(path, report, CITIES[city])
        self.assertTrue(results["final"])
        self.assertEqual(report["counts"]["differences"], [])
        self.assertGreater(report["counts"]["compared"], 0)
        self.assert_districts(path, results, k, report["territories"])
        again = self.replay(path, "--steps", str(k), "--batch", "1000")
        self.assertEqual(again["outcomes"], {"recorded": CITIES[city]})
        self.assertEqual(self.server.results(report["poll"]), results)
        return report["territories"]

    def assert_districts(self, path, results, k, reported):
        """By the file alone: each district is shown as it voted, or in one group with others."""
        truth = ballots_by_district(path)
        districts = {row["code"]: row for row in results["territories"] if row["level"] == 2}
        shown = {code for code, row in districts.items() if row["ballots"] is not None}
        for code in shown:
            name = fold(districts[code]["name"])
            self.assertEqual(districts[code]["ballots"], truth[name], name)
            self.assertGreaterEqual(truth[name], k)
        grouped = []
        for group in results["groups"]:
            grouped += group["leaves"]
            self.assertGreaterEqual(group["ballots"], k)
            self.assertEqual(group["ballots"], sum(truth[fold(districts[code]["name"])]
                                                   for code in group["leaves"]))
        self.assertEqual(sorted(grouped), sorted(districts.keys() - shown))
        self.assertEqual(reported["in_groups"], len(grouped))
        self.assertEqual(reported["groups"], len(results["groups"]))
        self.assertEqual(reported["shown"], len(shown) + 1, "and the city")

    def test_wroclaw(self):
        self.assertGreater(self.replay_city("Wroclaw_2020", 10)["shown"], 40)

    def test_katowice(self):
        self.assertGreater(self.replay_city("Katowice_2023", 10)["shown"], 20)

    def test_warszawa(self):
        self.assertGreater(self.replay_city("Warszawa_2026", 10)["shown"], 15)

    def test_zabrze(self):
        self.assertGreater(self.replay_city("Zabrze_2020", 10)["shown"], 15)

    def test_krakow_in_such_steps_that_most_districts_join(self):
        territories = self.replay_city("Krakow_2021", 5000)
        self.assertGreater(territories["in_groups"], 10)
        self.assertGreater(territories["groups"], 2)


class InStepsOfTooMany(ReplayCase):
    def test_nothing_is_shown_and_that_is_right(self):
        path = city_file("Zabrze_2020")
        report = self.replay(path, "--steps", "9376", "--batch", "1000")
        self.assertEqual(report["outcomes"], {"accepted": 9375})
        self.assertEqual(report["totals"], {"equal": 0, "explained": 0, "of": 0})
        self.assertIn("too few", report["hidden"])
        self.assertIsNone(self.server.results(report["poll"])["ballots"])
        exact = subprocess.run(self.command(path), capture_output=True, text=True, timeout=60)
        self.assertEqual(exact.returncode, 1)
        self.assertIn("another poll", exact.stderr)


class ABallotMore(ReplayCase):
    def test_is_found_in_its_district_and_in_all(self):
        path = city_file("Zabrze_2020")
        report = self.replay(path, "--batch", "1000")
        results = self.server.results(report["poll"])
        district = results["territories"][3]["code"]
        project = results["questions"][0]["options"][0]["id"]
        line = self.server.line(report["poll"], sub_of("nobody"), project, district)
        self.assertEqual(self.server.post_batch([line]).json()["accepted"], 1)
        done = subprocess.run(self.command(path, "--batch", "1000"), capture_output=True,
                              text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        found = json.loads(done.stdout)["counts"]["differences"]
        self.assertEqual(len([line for line in found if line.startswith(district)]), 2, found)


class WroclawInBatches(ReplayCase):
    def test_batches_and_then_single_ballots(self):
        path = city_file("Wroclaw_2020")
        report = self.replay(path, "--batch", "1000")
        self.assertEqual(report["outcomes"], {"accepted": 89_419})
        self.assert_official(path, report, 89_419)
        again = self.replay(path, "--connections", "32")
        self.assertEqual(again["outcomes"], {"recorded": 89_419})


class WroclawKilled(ReplayCase):
    def test_three_kills_in_the_middle_change_no_total(self):
        path, poll = city_file("Wroclaw_2020"), "poland-wroclaw-2020"
        running = subprocess.Popen(self.command(path, "--connections", "32"), text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(running.kill)
        kills = 0
        for mark in (15_000, 35_000, 55_000):
            while running.poll() is None and self.ballots_now(poll) < mark:
                time.sleep(0.02)
            if running.poll() is None:
                self.server.kill()
                self.server.start()
                kills += 1
        output, errors = running.communicate(timeout=180)
        self.assertEqual(kills, 3, "the replay was over too early")
        self.assertEqual(running.returncode, 0, output[-800:] + errors[-800:])
        report = json.loads(output)
        self.assertGreater(report["resent"], 0)
        self.assertEqual(report["outcomes"].get("accepted", 0)
                         + report["outcomes"].get("recorded", 0), 89_419)
        self.assertLessEqual(report["outcomes"].keys(), {"accepted", "recorded"})
        self.assert_official(path, report, 89_419)
        self.assertEqual(self.replay(path, "--batch", "1000")["outcomes"], {"recorded": 89_419})
        self.assertEqual(self.recount(), [])

    def ballots_now(self, poll):
        answer = self.server.get(f"/v1/polls/{poll}/results")
        return answer.json()["ballots"] if answer.status == 200 else 0


class DistrictPolls(ReplayCase):
    def setUp(self):
        self.folder = self.server.folder / "districts"

    def districts(self, city):
        folder = self.folder / city
        if not folder.exists():
            folder.mkdir(parents=True)
            with tarfile.open(BALLOTS / f"Poland_{city}__district_polls.tar.gz") as archive:
                for member in filter(tarfile.TarInfo.isfile, archive):
                    (folder / pathlib.PurePath(member.name).name).write_bytes(
                        archive.extractfile(member).read())
        return sorted(folder.glob("*.pb"))

    def replay_all(self, city):
        files = self.districts(city)
        polls, ballots = DISTRICT_POLLS[city]
        self.assertEqual(len(files), polls)
        counted = 0
        for path in files:
            report = self.replay(path, "--registry", str(city_file(city)), "--batch", "1000")
            self.assertEqual(report["outcomes"], {"accepted": report["ballots"]}, path.name)
            self.assert_official(path, report)
            counted += report["ballots"]
        self.assertEqual(counted, ballots)
        return files

    def test_zabrze(self):
        self.replay_all("Zabrze_2020")

    def test_katowice(self):
        self.replay_all("Katowice_2023")

    def test_krakow_and_its_neighbours(self):
        """Everybody's home is the poll's district, so at the next district's poll all are refused,
        and nothing is counted."""
        files = self.replay_all("Krakow_2021")
        for path, neighbour in list(zip(files, files[1:] + files[:1]))[::3]:
            report = self.replay(path, "--registry", str(city_file("Krakow_2021")), "--into",
                                 str(neighbour), "--batch", "1000")
            self.assertEqual(report["outcomes"], {"not-eligible": report["ballots"]}, path.name)
            self.assertEqual(report["counted_before"], report["counted_after"])
        path, neighbour = files[:2]
        self.replay(path, "--registry", str(city_file("Krakow_2021")), "--into", str(neighbour))


DIALECTS = veche.SHARED_DATA / "dialects"


@unittest.skipUnless(DIALECTS.is_dir(), f"no real data at {DIALECTS}")
class Dialects(unittest.TestCase):
    """Files that others read, and whose official totals Veche tells right from wrong."""

    @classmethod
    def setUpClass(cls):
        cls.server = veche.Server(territories=None)
        cls.addClassCleanup(cls.server.close)
        cls.server.start()

    def replay(self, path, *options, code=0):
        done = subprocess.run([veche.BINARY, "replay", str(path), "--server", self.server.url,
                               "--keys", str(self.server.folder / "keys/issuer.json"), *options],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, f"{path.name}: {done.stdout}{done.stderr}")
        return done.stdout

    def assert_replays(self, name, equal, of, ballots, explained=0):
        """The report; what the server shows is held against the file once more."""
        path = DIALECTS / name
        report = json.loads(self.replay(path, "--json"))
        self.assertEqual(report["outcomes"], {"accepted": ballots})
        self.assertEqual(report["totals"], {"equal": equal, "explained": explained, "of": of})
        self.assertEqual(report["counts"]["differences"], [])
        results = self.server.settled_results(report["poll"], ballots)
        shown = {option["id"]: option for option in results["questions"][0]["options"]}
        explained = {difference["project"] for difference in report["differences"]}
        for project, (votes, score) in official_totals(path).items():
            if project in explained:
                continue
            self.assertEqual(shown[project]["votes"], votes, project)
            if score is not None and "points" in shown[project] and not report["not_comparable"]:
                self.assertEqual(shown[project]["points"], score, project)
        return report, results

    def test_stray_quotes(self):
        report, _ = self.assert_replays("01-stray-quotes.pb", 3, 3, 4)
        poll = self.server.get(f"/v1/polls/{report['poll']}").json()
        self.assertEqual([option["title"] for option in poll["questions"][0]["options"]],
                         ['Plac zabaw "Bajka" przy szkole', "Park nad rzeka", 'Droga 5" szeroka'])

    def test_neighborhoods_lie_below_the_polls_district(self):
        _, results = self.assert_replays("02-neighborhood.pb", 2, 2, 5)
        rows = {row["name"]: row for row in results["territories"]}
        self.assertEqual(rows.keys(), {"Miasto", "Dolny", "Górce", "Lotnisko,Stare Lotnisko"})
        for name in ("Górce", "Lotnisko,Stare Lotnisko"):
            self.assertEqual(rows[name]["parent"], rows["Dolny"]["code"])
            self.assertEqual(rows[name]["ballots"], 2)

    def test_a_project_named_twice_counts_once_and_the_official_total_is_explained(self):
        report, results = self.assert_replays("03-named-twice.pb", 1, 2, 3, explained=1)
        self.assertEqual(results["questions"][0]["options"][0]["votes"], 3)
        lines = (DIALECTS / "03-named-twice.pb").read_text().splitlines()
        line = lines.index("a;1,1,2;Dolny") + 1
        self.assertEqual(report["differences"], [
            {"project": "1", "total": "votes", "official": 4, "counted": 3, "explained": True,
             "reason": f"line {line} names it twice", "lines": [line]}])
        self.assertEqual([note["line"] for note in report["notes"]], [line])
        self.assertIn(f"official 4, counted 3: line {line} names it twice",
                      self.replay(DIALECTS / "03-named-twice.pb"))

    def test_zero_points_are_a_vote(self):
        _, results = self.assert_replays("04-zero-points.pb", 6, 6, 3)
        self.assertEqual([option["points"] for option in results["questions"][1]["options"]],
                         [13, 12, 5])

    def test_sums_outside_meta(self):
        report, _ = self.assert_replays("05-sum-outside-meta.pb", 4, 4, 3)
        self.assertEqual(len(report["notes"]), 2)

    def test_ranks_by_the_longest_ballot(self):
        self.assert_replays("06-rank-by-longest.pb", 8, 8, 3)

    def test_scores_without_a_rule(self):
        report, _ = self.assert_replays("07-score-without-rule.pb", 3, 3, 3)
        self.assertEqual(report["not_comparable"]["total"], "score")
        self.assertIn("rule is unknown", report["not_comparable"]["reason"])
        self.assertIn("scores are not comparable",
                      self.replay(DIALECTS / "07-score-without-rule.pb"))

    def test_a_difference_that_no_line_explains_fails(self):
        for name, right, wrong in (("03-named-twice.pb", "1;100;4;A", "1;100;5;A"),
                                   ("06-rank-by-longest.pb", "2;200;2;5;B", "2;200;2;6;B"),
                                   ("05-sum-outside-meta.pb", "1;100;3;160;A", "1;100;2;160;A")):
            with self.subTest(name):
                path = pathlib.Path(self.server.folder) / f"wrong-{name}"
                path.write_text((DIALECTS / name).read_text().replace(right, wrong))
                report = json.loads(self.replay(path, "--json", code=1))
                self.assertEqual([d["explained"] for d in report["differences"]], [False])


class Broken(unittest.TestCase):
    @veche.needs_binary
    def test_a_broken_file_is_refused_with_its_line(self):
        server = veche.Server()
        self.addCleanup(server.close)
        path = pathlib.Path(server.folder) / "broken.pb"
        good = ("META\nkey;value\nunit;X\nvote_type;approval\nnum_projects;1\nnum_votes;2\n"
                "PROJECTS\nproject_id;cost;votes\np1;1;2\nVOTES\nvoter_id;vote\nv1;p1\nv2;p1\n")
        for change, line in (((";", ";"), None), (("v2;p1", "v2;nobody"), 13),
                             (("v2;p1", "v1;p1"), 13), (("p1;1;2", "p1;1;x"), 9),
                             (("v2;p1", "v2"), 13), (("v2;p1", 'v2;"p1'), 13)):
            with self.subTest(change=change):
                path.write_text(good.replace(*change))
                done = subprocess.run([veche.BINARY, "replay", str(path)], capture_output=True,
                                      text=True, timeout=60)
                self.assertEqual(done.returncode == 0, line is None, done.stderr)
                if line:
                    self.assertIn(f"line {line}", done.stderr)


if __name__ == "__main__":
    unittest.main()
