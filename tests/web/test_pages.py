"""The pages in a real browser, over the real server: every state, what the script adds, and that
nothing foreign is loaded or run."""

import functools
import gzip
import hashlib
import json
import pathlib
import re
import sys
import time
import unittest
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "system")]

# pylint: disable=wrong-import-position
from browser import Browser, install  # noqa: E402
from minting import sub_of  # noqa: E402
import veche  # noqa: E402

PAGE_BYTES = 60 * 1024  # of a page with all that it loads, as gzip
NARROW = {"width": 320, "height": 640}

TERRITORIES = """\
oktmo8,name,kind,level,parent_oktmo8
75000000,Озёрная область,region,0,
75701000,Берёзовск,city_okrug,1,75000000
75701310,Калининский район,intra_city_district,2,75701000
75701320,Курчатовский район,intra_city_district,2,75701000
75603000,Ёлкинский район,municipal_district,1,75000000
75603407,Щёлково,rural_settlement,2,75603000
75603411,Буранное,rural_settlement,2,75603000
"""
HOSTILE = "<script>document.title='owned'</script>\" onload=\"x 'y' \u202Eabc & <b>"


def poll(name, *questions, **more):
    more = {"targets": ("75000000",), **more}
    return veche.poll(name, *questions, **more) | {
        "title": {"ru": f"Голосование {name}", "en": f"Poll {name}"}}


class PagesCase(unittest.TestCase):
    """One server and one browser for the tests of a class."""

    options = ()

    @classmethod
    def setUpClass(cls):
        cls.server = veche.Server(options=cls.options, territories=TERRITORIES)
        cls.addClassCleanup(cls.server.close)
        cls.server.start()
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    def setUp(self):
        self.poll_id = re.sub("[^a-z0-9]+", "-", self._testMethodName.lower())[:50].strip("-")

    def open_poll(self, *questions, **more):
        return self.server.open_poll(poll(self.poll_id, *questions, **more))["id"]

    def url(self, path):
        return self.server.url + path

    def vote(self, name, choices, count=1, territory="75603407", begin=0):
        """`count` voters of their own for each call with another `begin`."""
        lines = [self.server.line(name, sub_of(name, begin + i), choices, territory)
                 for i in range(count)]
        answer = self.server.post_batch(lines).json()
        self.assertEqual(answer["accepted"], count, answer)

    def show(self, path, status=200, **options):
        tab = self.browser.open(**options)
        self.addCleanup(tab.act, "close")
        self.assertEqual(tab.goto(self.url(path)), status)
        return tab

    def assert_sound(self, tab):
        """Whatever it shows: fits, is accessible, loads nothing foreign, complains of nothing."""
        wide = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
        self.assertLessEqual(wide, 0, "the page scrolls sideways")
        self.assertEqual(tab.serious_findings(), [])
        self.assertEqual(tab.said, [])
        foreign = [url for url in tab.asked
                   if urllib.parse.urlsplit(url).netloc
                   != urllib.parse.urlsplit(self.url("/")).netloc]
        self.assertEqual(foreign, [])


def both_ways(test):
    """The test in light and wide, and in dark and narrow."""
    @functools.wraps(test)
    def run(self):
        for options in ({"language": "ru"}, {"language": "en", "dark": True, **NARROW}):
            with self.subTest(**options):
                test(self, options)
    return run


class States(PagesCase):
    """Each state has its page, which says what it is."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        server = cls.server
        server.open_poll(poll("empty"))
        server.open_poll(poll("live", veche.question(), veche.question(kind="points", at_most=9,
                                                                       name="q2"),
                              expected_voters={"75000000": 1000, "75603407": 40}))
        for visibility in ("after_vote", "after_close", "after_certification"):
            server.open_poll(poll(visibility.replace("_", "-"), visibility=visibility))
        server.create_poll(poll("scheduled"))
        server.open_poll(poll("steps", disclosure={"mode": "steps", "k": 10}))
        server.open_poll(poll("demo-lake"))
        for name in ("closed", "cancelled-open"):
            server.open_poll(poll(name))
        server.change_poll("closed", "close")
        server.change_poll("cancelled-open", "cancel")
        server.create_poll(poll("cancelled"))
        server.change_poll("cancelled", "cancel")
        server.post_batch([cls.line(i) for i in range(1234)])
        server.draft_poll(poll("draft"))
        for name, voters in (("certified", {"75603407": 5}), ("few", {"75603407": 3}),
                             ("grouped", {"75603407": 3, "75603411": 40, "75701310": 40})):
            cls.vote_and_close(name, voters)
        server.change_poll("certified", "certify")

    @classmethod
    def vote_and_close(cls, name, voters):
        steps = {} if name == "certified" else {"disclosure": {"mode": "steps", "k": 10}}
        cls.server.open_poll(poll(name, **steps))
        lines = [cls.server.line(name, sub_of(name, territory, i), "aab"[i % 3], territory)
                 for territory, count in voters.items() for i in range(count)]
        cls.server.post_batch(lines)
        cls.server.change_poll(name, "close")
        veche.eventually(lambda: cls.server.results(name)["final"])

    @classmethod
    def line(cls, i):
        territory = "75603407" if i % 2 else "75701310"
        return {"poll": "live", "voter": sub_of("live", i), "territory": territory, "level": 3,
                "answers": [{"question": "q1", "choices": ["abc"[i % 3]]},
                            {"question": "q2", "choices": {"a": 2, "b": 1 + i % 2}}]}

    def check(self, path, options, *, en, ru, status=200):
        tab = self.show(path, status, **options)
        words = tab.text("main")
        self.assertIn(ru if options["language"] == "ru" else en, words)
        self.assertEqual(tab.evaluate("document.documentElement.lang"), options["language"])
        if status == 200:
            self.assert_sound(tab)
        else:
            self.assertEqual(tab.serious_findings(), [])
        return tab

    @both_ways
    def test_list(self, options):
        tab = self.check("/", options, en="Poll live", ru="Голосование live")
        self.assertNotIn("1234", tab.text("main"))

    @both_ways
    def test_empty(self, options):
        self.check("/polls/empty", options, en="There are no ballots yet", ru="Бюллетеней пока нет")

    @both_ways
    def test_live(self, options):
        russian = options["language"] == "ru"
        tab = self.check("/polls/live", options, en="until", ru="до")
        tab.wait("document.querySelector('.fresh').dataset.status !== undefined")
        self.assertEqual(tab.text("#turnout-figure"), "1 234" if russian else "1,234")
        self.assertIn(tab.text("[data-question='0'] .share"), ("33,4 %", "33.4%"))
        self.assertIn("Идёт" if russian else "Open", tab.evaluate("document.title"))
        self.assertEqual(tab.texts("[data-question='1'] th[scope=row]"),
                         ["Option a", "Option b", "Option c"])

    @both_ways
    def test_territory(self, options):
        tab = self.check("/polls/live/territories/75603407", options, en="Щёлково", ru="Щёлково")
        self.assertEqual(tab.text("#turnout-figure"), "617")
        self.assertEqual(len(tab.texts(".crumbs a")), 4)
        self.check("/polls/live/territories/75603000", options, en="Within", ru="Внутри")

    @both_ways
    def test_hidden(self, options):
        for name, en, ru in (("after-vote", "only to those who have voted", "только проголосовавшие"),
                             ("after-close", "until the poll is closed", "до завершения"),
                             ("after-certification", "until they are certified", "до утверждения")):
            tab = self.check(f"/polls/{name}", options, en=en, ru=ru)
            self.assertIsNone(tab.text(".figure, .bars, .places"))
            self.check(f"/polls/{name}/territories/75603407", options, en=en, ru=ru)

    @both_ways
    def test_scheduled(self, options):
        tab = self.check("/polls/scheduled", options, en="not open yet", ru="ещё не открыто")
        self.assertIsNone(tab.text(".figure, .bars"))

    @both_ways
    def test_steps(self, options):
        tab = self.check("/polls/steps", options, en="at least 10 voters",
                         ru="в каждой: не менее 10")
        self.assertIsNone(tab.text(".bars"))

    @both_ways
    def test_closed(self, options):
        self.check("/polls/closed", options, en="not certified yet", ru="Итог ещё не утверждён")

    @both_ways
    def test_certified(self, options):
        tab = self.check("/polls/certified", options, en="will not change any more",
                         ru="больше не изменится")
        self.assertRegex(tab.text(".hash code"), "^[0-9a-f]{64}$")
        document = self.server.get(tab.evaluate(
            "document.querySelectorAll('.notice.certified a')[1].getAttribute('href')"))
        self.assertEqual(hashlib.sha256(document.body).hexdigest(), tab.text(".hash code"))
        self.assertEqual(tab.texts(".mark"), ["больше всего" if options["language"] == "ru"
                                              else "the most"])

    @both_ways
    def test_shown_in_groups(self, options):
        tab = self.check("/polls/grouped", options, en="Shown together only",
                         ru="Показаны только вместе")
        row = tab.texts("[data-code='75603407'] td")
        self.assertIn(row[0], ("в группе", "in a group"))
        self.assertNotIn("0", row)
        self.check("/polls/grouped/territories/75603407", options, en="only together with others",
                   ru="только вместе с другими")

    @both_ways
    def test_too_few(self, options):
        tab = self.check("/polls/few", options, en="Too few people voted, or all alike",
                         ru="слишком мало, или все ответили одинаково")
        self.assertIsNone(tab.text(".figure, .bars, .places"))
        tab = self.show("/polls/few/territories/75603000", **options)
        self.assertIn(tab.text("[data-code='75603407'] .b"), ("not shown", "не показывается"))

    def test_draft_is_nowhere(self):
        self.show("/polls/draft", 404)
        self.assertNotIn("Poll draft", self.show("/", language="en").texts("h2"))

    @both_ways
    def test_cancelled(self, options):
        self.check("/polls/cancelled", options, en="before it opened", ru="до открытия")
        self.check("/polls/cancelled-open", options, en="have no effect", ru="не влияют")

    @both_ways
    def test_test_data(self, options):
        tab = self.check("/polls/demo-lake", options, en="Option a", ru="Option a")
        self.assertIn(tab.text(".banner"), ("Тестовые данные. Это не настоящее голосование.",
                                            "Test data. This is not a real poll."))
        self.assertIsNone(self.show("/polls/live", **options).text(".banner"))

    @both_ways
    def test_error(self, options):
        for path in ("/nope", "/polls/nope", "/polls/live/territories/1", "/assets/nope.js"):
            self.check(path, options, status=404, en="no such page", ru="страницы нет")
        self.check("/?page=zero", options, status=400, en="parameters", ru="параметры")

    def test_programs_get_documents_of_errors(self):
        self.assertEqual(self.server.get("/nope").code, "not-found")
        self.assertEqual(self.server.get("/v1/nope", Accept="text/html").code, "not-found")

    def test_all_is_there_without_a_script(self):
        tab = self.show("/polls/live", script=False, language="en")
        self.assertEqual(tab.text("#turnout-figure"), "1,234")
        self.assertEqual(len(tab.texts(".places tbody tr")), 7)
        self.assertIn("Reload the page", tab.text(".fresh"))
        self.assertIn("UTC", tab.text("time"))
        self.assertFalse(tab.evaluate("document.querySelector('.pause').checkVisibility()"))
        tab = self.show("/polls/live?q=%D0%B5%D0%BB%D0%BA%D0%B8%D0%BD&level=1", script=False)
        self.assertEqual(tab.texts(".places tbody th"), ["Ёлкинский район"])

    def test_times_are_of_the_readers_zone(self):
        utc = self.show("/polls/live", language="en", zone="UTC").text(".state time")
        there = self.show("/polls/live", language="en", zone="Asia/Yekaterinburg")
        self.assertIn("GMT+5", there.text(".state time"))
        self.assertNotEqual(utc, there.text(".state time"))

    def test_print_hides_what_cannot_be_pressed(self):
        tab = self.show("/polls/live", media="print")
        for hidden in (".top nav", ".search", ".pause"):
            self.assertFalse(tab.evaluate(f"document.querySelector('{hidden}').checkVisibility()"))
        self.assertTrue(tab.evaluate("document.querySelector('.places').checkVisibility()"))

    def test_keyboard_sees_where_it_is_and_skips(self):
        tab = self.show("/polls/live")
        tab.press("Tab")
        self.assertEqual(tab.evaluate("document.activeElement.className"), "skip")
        self.assertGreaterEqual(tab.evaluate("document.activeElement.getBoundingClientRect().left"), 0)
        tab.press("Enter")
        tab.press("Tab")
        self.assertTrue(tab.evaluate("document.activeElement.closest('main') !== null"))
        self.assertNotEqual(tab.evaluate("getComputedStyle(document.activeElement).outlineStyle"),
                            "none")

    def test_contrast_of_large_and_dark_pages(self):
        tab = self.show("/polls/live", dark=True, width=2560, height=1440)
        self.assert_sound(tab)
        self.assertGreaterEqual(
            tab.evaluate("parseFloat(getComputedStyle(document.body).fontSize)"), 20)


class Hostile(PagesCase):
    def test_titles_stay_text(self):
        definition = poll(self.poll_id, veche.question())
        definition["title"] = HOSTILE
        definition["questions"][0]["title"] = HOSTILE
        definition["questions"][0]["options"][0]["title"] = HOSTILE
        self.server.open_poll(definition)
        shown = HOSTILE.replace("\u202E", "")
        for path in ("/", f"/polls/{self.poll_id}", f"/polls/{self.poll_id}/territories/75603000",
                     "/?q=" + urllib.parse.quote("<script>\"'")):
            tab = self.show(path)
            self.assert_sound(tab)
            self.assertNotEqual(tab.evaluate("document.title"), "owned")
            self.assertEqual(tab.evaluate("document.querySelectorAll('script').length"), 1)
            if "?" not in path:
                self.assertIn(shown, tab.evaluate("document.querySelector('main').textContent"))

    def test_policy_stops_what_would_come_in(self):
        self.open_poll()
        tab = self.show(f"/polls/{self.poll_id}")
        tab.evaluate("""(() => { const s = document.createElement('script');
          s.textContent = 'window.owned = 1'; document.body.append(s);
          document.body.setAttribute('style', 'color: red'); })()""")
        self.assertIsNone(tab.evaluate("window.owned"))
        self.assertTrue(any("Content Security Policy" in line for line in tab.said), tab.said)


class Table(PagesCase):
    def setUp(self):
        super().setUp()
        self.open_poll()
        self.vote(self.poll_id, ["a"], 5, "75701310")
        self.vote(self.poll_id, ["b"], 12, "75603411", begin=100)
        self.tab = self.show(f"/polls/{self.poll_id}", language="ru")
        self.names = lambda: self.tab.evaluate(
            "[...document.querySelectorAll('.places tbody tr')]"
            ".filter(r => !r.hidden).map(r => r.cells[0].textContent)")

    def test_search_knows_no_case_and_no_yo(self):
        self.tab.fill("#find", "ЕЛКИН")
        self.assertEqual(self.names(), ["Ёлкинский район"])
        self.tab.wait("document.querySelector('.found').textContent === 'Показано 1 из 7'")
        self.tab.fill("#find", "щЁл")
        self.assertEqual(self.names(), ["Щёлково"])
        self.tab.fill("#find", "нет такой")
        self.assertEqual(self.names(), [])
        self.tab.fill("#find", "")
        self.assertEqual(len(self.names()), 7)

    def test_sort_by_keyboard(self):
        tree = self.names()
        self.tab.evaluate("document.querySelectorAll('.places th button')[1].focus()")
        sorted_by = "document.querySelectorAll('.places thead th')[1].getAttribute('aria-sort')"
        self.tab.press("Enter")
        self.assertEqual(self.tab.evaluate(sorted_by), "ascending")
        self.assertEqual(self.names()[-1], "Озёрная область")
        self.tab.press("Space")
        self.assertEqual(self.tab.evaluate(sorted_by), "descending")
        self.assertEqual(self.names()[:2], ["Озёрная область", "Ёлкинский район"])
        self.assert_sound(self.tab)
        self.tab.press("Enter")
        self.assertIsNone(self.tab.evaluate(sorted_by))
        self.assertEqual(self.names(), tree)

    def test_names_sort_as_the_language_does(self):
        self.tab.click(".places th button")
        self.assertEqual(self.names()[:3], ["Берёзовск", "Буранное", "Ёлкинский район"])

    def test_csv_is_of_the_view(self):
        tab = self.show(f"/polls/{self.poll_id}?level=1", language="ru")
        href = tab.evaluate("document.querySelector('.territories .more a').getAttribute('href')")
        rows = self.server.get(href).body.decode().splitlines()
        codes = {row.split(",")[5] for row in rows[1:]} - {"(all)"}
        self.assertEqual(codes, {"75701000", "75603000"})
        self.assertEqual(len(tab.texts(".places tbody tr")), 2)

    def test_polls_are_found_by_territory(self):
        self.server.open_poll(poll("only-elkino", targets=("75603000",)))
        self.server.open_poll(poll("only-city", targets=("75701000",)))
        tab = self.show("/", language="ru")
        tab.fill("#find", "щелково")
        tab.press("Enter")
        tab.wait("location.search !== ''")
        self.assertIn("Голосование only-elkino", tab.texts("h2"))
        self.assertNotIn("Голосование only-city", tab.texts("h2"))


class Live(PagesCase):
    """What follows the stream."""

    options = ("--tick", "100ms")

    def figure(self, tab, text):
        tab.wait(f"document.querySelector('#turnout-figure')?.textContent === '{text}'")

    def status(self, tab, status, within=10.0):
        tab.wait(f"document.querySelector('.fresh').dataset.status === '{status}'", within)

    def watch(self, path="", **options):
        tab = self.show(f"/polls/{self.poll_id}{path}", language="en", **options)
        tab.evaluate("window.stays = 1")  # a page that is loaded anew has no such thing
        return tab

    def test_numbers_move_without_a_reload(self):
        self.open_poll()
        tab = self.watch()
        self.status(tab, "live")
        self.vote(self.poll_id, ["a"], 3)
        self.figure(tab, "3")
        self.assertIsNone(tab.text(".notice.empty"))
        self.vote(self.poll_id, ["b"], 1, begin=10)
        self.figure(tab, "4")
        self.assertEqual(tab.texts(".bars .share"), ["75.0%", "25.0%", "0.0%"])
        self.assertEqual(tab.texts(".bars .votes"), ["3", "1", "0"])
        self.assertEqual(tab.evaluate("document.querySelector('.fill').getAttribute('width')"),
                         "75.0%")
        tab.scroll_to(".places")
        self.vote(self.poll_id, ["b"], 1, begin=20)
        tab.wait("document.querySelector('[data-code=\"75603407\"] .b').textContent === '5'")
        self.assertEqual(tab.evaluate("window.stays"), 1)
        self.assert_sound(tab)

    def test_script_writes_as_the_server_does(self):
        self.open_poll(veche.question(kind="approval", at_most=3))
        self.vote(self.poll_id, ["a", "b"], 1999)
        moved = self.watch()
        self.vote(self.poll_id, ["a"], 1, begin=5000)
        self.figure(moved, "2,000")
        made = self.show(f"/polls/{self.poll_id}", language="en", script=False)
        self.assertEqual(moved.texts(".bars td"), made.texts(".bars td"))
        moved.scroll_to(".places")
        moved.wait("document.querySelector('[data-code=\"75603407\"] .b').textContent === '2,000'")
        self.assertEqual(moved.texts(".places td"), made.texts(".places td"))

    def test_territory_moves_too(self):
        self.open_poll()
        tab = self.watch("/territories/75603407")
        self.status(tab, "live")
        self.vote(self.poll_id, ["b"], 2)
        self.figure(tab, "2")
        self.assertEqual(tab.texts(".bars .votes"), ["0", "2", "0"])

    def test_pause_holds_the_numbers(self):
        self.open_poll()
        tab = self.watch()
        self.status(tab, "live")
        tab.click(".pause")
        self.status(tab, "paused")
        self.assertEqual(tab.evaluate("document.querySelector('.pause').ariaPressed"), "true")
        self.vote(self.poll_id, ["a"], 2)
        tab.wait("/[23] s ago/.test(document.querySelector('.age').textContent)")
        self.assertEqual(tab.text("#turnout-figure"), "0")
        self.assert_sound(tab)
        tab.click(".pause")
        self.figure(tab, "2")
        self.status(tab, "live")

    def test_what_the_reader_did_outlives_another_state(self):
        self.open_poll()
        tab = self.watch()
        self.status(tab, "live")
        tab.fill("#find", "елкин")
        tab.click(".places th:nth-child(2) button")
        tab.evaluate("document.querySelector('#find').focus()")
        self.server.change_poll(self.poll_id, "close")
        tab.wait("document.querySelector('.badge').textContent === 'Closed'")
        self.assertEqual(tab.evaluate("document.querySelector('#find').value"), "елкин")
        self.assertEqual(tab.evaluate("document.activeElement.id"), "find")
        self.assertEqual(tab.evaluate("[...document.querySelectorAll('.places tbody tr')]"
                                      ".filter(r => !r.hidden).length"), 1)
        self.assertEqual(tab.evaluate("document.querySelector('.places [aria-sort]').ariaSort"),
                         "ascending")
        self.assert_sound(tab)

    def test_numbers_of_a_node_that_is_cut_off_are_old(self):
        self.open_poll()
        document = self.server.get(f"/v1/polls/{self.poll_id}/results").body.decode()
        tab = self.watch()
        self.status(tab, "live")
        tab.evaluate("""window.EventSource = class extends EventTarget {
          constructor() { super(); window.source = this; } close() {} }""")

        def reopen(as_of):
            tab.click(".pause")
            tab.click(".pause")
            text = json.dumps(json.loads(document) | {"as_of": as_of})
            tab.evaluate("source.dispatchEvent(new MessageEvent('snapshot', "
                         f"{{data: {json.dumps(text)}}}))")
            return tab.evaluate("document.querySelector('.fresh').dataset.status")
        self.assertEqual(reopen("2026-09-01T00:00:00Z"), "live")
        self.assertEqual(reopen("2026-09-01T00:00:00Z"), "live", "in the same moment")
        tab.evaluate("new Promise(done => setTimeout(done, 5500))")
        self.assertEqual(reopen("2026-09-01T00:00:00Z"), "stalled")
        self.assertEqual(reopen("2026-09-01T00:00:09Z"), "live")

    def test_groups_move_too(self):
        self.open_poll(disclosure={"mode": "steps", "k": 10},
                       expected_voters={"75603407": 20, "75603411": 20})
        for begin in (0, 100, 200):
            self.vote(self.poll_id, ["a"], 8, begin=begin)
            self.vote(self.poll_id, ["b"], 4, begin=begin + 50)
            time.sleep(0.5)
        tab = self.watch()
        tab.scroll_to(".groups")
        self.status(tab, "live")
        before = tab.texts("[data-group] .b")
        self.vote(self.poll_id, ["a"], 8, begin=300)
        self.vote(self.poll_id, ["b"], 10, begin=350)
        tab.wait("JSON.stringify([...document.querySelectorAll('[data-group] .b')]"
                 f".map(e => e.textContent.replace(/\\s+/g, ' '))) !== JSON.stringify({before})")
        self.assertEqual(tab.evaluate("window.stays"), 1)
        made = self.show(f"/polls/{self.poll_id}", language="en", script=False)
        self.assertEqual(tab.texts(".groups li"), made.texts(".groups li"))

    def test_a_paused_page_stays(self):
        self.open_poll()
        tab = self.watch()
        self.status(tab, "live")
        tab.click(".pause")
        self.server.change_poll(self.poll_id, "close")
        tab.evaluate("new Promise(done => setTimeout(done, 3000))")
        self.assertEqual(tab.text(".badge"), "Open")
        tab.click(".pause")
        tab.wait("document.querySelector('.badge').textContent === 'Closed'")

    def test_turnout_in_steps_is_never_zero(self):
        self.open_poll(disclosure={"mode": "steps", "k": 10})
        tab = self.watch()
        self.status(tab, "live")
        self.vote(self.poll_id, ["a"], 12)
        tab.evaluate("new Promise(done => setTimeout(done, 500))")
        self.assertEqual(tab.text("#turnout-figure"), "fewer than 30")
        self.vote(self.poll_id, ["a"], 30, begin=100)
        self.figure(tab, "40")

    def test_hidden_counts_appear_when_the_poll_closes(self):
        self.open_poll(visibility="after_close")
        self.vote(self.poll_id, ["a"], 7)
        tab = self.watch()
        self.assertIsNone(tab.text(".figure"))
        self.server.change_poll(self.poll_id, "close")
        self.figure(tab, "7")
        self.assertIn("Closed", tab.evaluate("document.title"))
        self.assertEqual(tab.evaluate("window.stays"), 1)
        self.assert_sound(tab)

    def test_scheduled_page_opens_by_itself(self):
        self.server.create_poll(poll(self.poll_id))
        tab = self.watch()
        self.assertIn("not open yet", tab.text("main"))
        tab.evaluate("new Promise(done => setTimeout(done, 3000))")
        self.assertEqual(sum(url.endswith("/" + self.poll_id) for url in tab.asked), 1,
                         "asked for again though nothing happened")
        self.server.change_poll(self.poll_id, "open")
        tab.wait("document.querySelector('.badge').textContent === 'Open'")
        self.status(tab, "live")

    def test_reader_is_told_now_and_then(self):
        self.open_poll()
        tab = self.watch()
        self.status(tab, "live")
        tab.evaluate("""window.told = []; new MutationObserver(() =>
          told.push(document.getElementById('news').textContent)).observe(
          document.getElementById('news'), {childList: true})""")
        for i in range(24):
            self.vote(self.poll_id, ["a"], 1, begin=i)
            tab.evaluate("new Promise(done => setTimeout(done, 500))")
        told = tab.evaluate("told")
        self.assertIn(len(told), (1, 2))
        tab.wait("document.getElementById('news').textContent === 'Counted: 24\u00a0ballots'", 12)
        self.assertRegex(told[0], r"^Counted: \d+\u00a0ballots?$")


class Restart(PagesCase):
    options = Live.options

    def test_page_comes_back_with_the_server(self):
        self.open_poll()
        tab = self.show(f"/polls/{self.poll_id}", language="en")
        tab.wait("document.querySelector('.fresh').dataset.status === 'live'")
        self.server.stop()
        tab.wait("document.querySelector('.fresh').dataset.status === 'stalled'", 15)
        self.assertIn("No connection", tab.text(".fresh"))
        self.assertEqual(tab.serious_findings(), [])
        first = tab.text(".age")
        tab.wait(f"document.querySelector('.age').textContent !== '{first}'")
        self.server.start()
        self.vote(self.poll_id, ["a"], 4)
        tab.wait("document.querySelector('#turnout-figure').textContent === '4'", 30)
        tab.wait("document.querySelector('.fresh').dataset.status === 'live'")
        self.assertNotIn("No connection", tab.text(".fresh"))


class Load(PagesCase):
    """The operator's page, on the operator's listener."""

    def url(self, path):
        port = re.search(r"metrics at (http://[^/]+)/", self.server.errors()).group(1)
        return port + path

    @both_ways
    def test_page(self, options):
        tab = self.show("/load", **options)
        self.assertIsNone(tab.text("a[href='/']"))
        tab.wait("document.getElementById('ballots-rate').textContent !== '–'")
        self.assert_sound(tab)

    def test_rates_are_of_what_comes_in(self):
        name = self.server.open_poll(poll(self.poll_id, visibility="after_close"))["id"]
        tab = self.show("/load", language="en")
        tab.wait("document.getElementById('ballots-rate').textContent !== '–'")
        for i in range(20):
            self.server.vote(name, sub_of(name, i), ["a"], "75603407")
        tab.wait("document.querySelector('[data-outcome=accepted] .sum').textContent === '20'")
        tab.wait("/ms$|s$/.test(document.getElementById('p99').textContent)")
        self.assertNotIn(name, tab.evaluate("document.documentElement.outerHTML"))

    def test_a_connection_that_stands_still_shows(self):
        tab = self.show("/load", language="en")
        tab.evaluate("""window.fetch = (url, given) => new Promise((_, refuse) =>
          given?.signal?.addEventListener('abort', () => refuse(given.signal.reason)))""")
        tab.wait("!document.getElementById('trouble').hidden")

    def test_public_cannot_see_it(self):
        for path in ("/load", "/load.json"):
            self.assertEqual(self.server.get(path).status, 404)


class Weight(PagesCase):
    def test_page_with_all_it_loads(self):
        self.server.open_poll(poll(self.poll_id, veche.question("abcdef")))
        path = f"/polls/{self.poll_id}"
        tab = self.show(path)
        named = set(re.findall('"(/assets/[^"]+)"', self.server.get(path).body.decode()))
        self.assertEqual(len(named), 3)  # style, script, icon
        asked = {urllib.parse.urlsplit(url).path for url in tab.asked if "/stream" not in url}
        self.assertLessEqual(asked, {path} | named)
        total = 0
        for wanted in {path} | named:
            answer = self.server.get(wanted)
            total += len(gzip.compress(answer.body))
            if wanted in named:
                self.assertIn("immutable", answer.headers["cache-control"])
        print(f"a page with all that it loads: {total} bytes as gzip")
        self.assertLess(total, PAGE_BYTES)


if __name__ == "__main__":
    install()
    unittest.main()
