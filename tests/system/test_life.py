"""The life of a poll, from its draft to its certificate: who may do what and when, who may know of
it, and that what was certified stays as it was."""

import concurrent.futures
import hashlib
import json
import shutil
import time

import veche
from minting import sub_of

STATES = ["draft", "submitted", "scheduled", "open", "closed", "certified", "cancelled"]
ROLES = ["moderator", "approver", "operator", "certifier", "analyst", "auditor"]
# action -> its role, and the states in which it does something, with what comes of it
ACTIONS = {
    "submit": ("moderator", {"draft": "submitted"}),
    "approve": ("approver", {"submitted": "scheduled"}),
    "return": ("approver", {"submitted": "draft"}),
    "open": ("approver", {"scheduled": "open"}),
    "close": ("operator", {"open": "closed"}),
    "certify": ("certifier", {"closed": "certified", "certified": "certified"}),
    "cancel": ("approver", {state: "cancelled" for state in STATES[:4]}),
}
STRAIGHT_ON = ["submit", "approve", "open", "close", "certify"]


def noise(seed):
    """256 letters that do not compress to less than half."""
    return hashlib.shake_256(str(seed).encode()).hexdigest(128)


class LifeCase(veche.ServerCase):
    def person(self, sub, *roles, **more):
        return self.server.issuer.staff(*roles, sub=sub, **more)

    def send(self, method, target, body=None, token=None, **headers):
        return self.server.request(method, target, body, {
            name.replace("_", "-"): value for name, value in headers.items()}, token)

    def step(self, action, token=None, poll=None, **headers):
        return self.server.change_poll(poll or self.poll_id, action, token=token, **headers)

    def draft(self, poll=None, **more):
        answer = self.server.draft_poll(veche.poll(poll or self.poll_id, **more))
        self.assertEqual(answer.status, 201, answer)
        return answer

    def edit(self, definition, version, token=None, poll=None):
        return self.send("PATCH", f"/v1/polls/{poll or self.poll_id}", definition,
                         token or self.server.staff("moderator"),
                         If_Match=version if version is None else f'"{version}"')

    def bring_to(self, state, poll=None, **more):
        """A new poll, straight on to this state."""
        poll = poll or self.poll_id
        self.draft(poll, **more)
        for action in ["cancel"] if state == "cancelled" else STRAIGHT_ON[:STATES.index(state)]:
            self.assertEqual(self.step(action, poll=poll).status, 200, action)
        return poll

    def show(self, poll=None, token=None):
        return self.send("GET", f"/v1/polls/{poll or self.poll_id}",
                         token=token or self.server.staff("auditor"))

    def history(self, poll=None, token=None):
        answer = self.send("GET", f"/v1/polls/{poll or self.poll_id}/history", token=token)
        self.assertEqual(answer.status, 200, answer)
        return answer.json()


class Life(LifeCase):
    def test_the_whole_life_of_a_poll_and_its_history(self):
        first = veche.poll(self.poll_id)
        second, third = {**first, "title": "Second"}, {**first, "title": "Third"}
        created = self.draft(title=first["title"])
        self.assertEqual((created.json()["state"], created.json()["version"]), ("draft", 1))
        self.assertEqual(created.headers["etag"], '"1"')
        edited = self.edit(second, 1)
        self.assertEqual((edited.status, edited.json()["title"], edited.json()["version"]),
                         (200, "Second", 2), edited)
        self.assertEqual(edited.headers["etag"], '"2"')
        self.assertEqual(self.step("submit").json()["state"], "submitted")
        returned = self.server.change_poll(self.poll_id, "return", "no word on the bridge")
        self.assertEqual((returned.json()["state"], returned.json()["version"]), ("draft", 2))
        self.assertEqual(self.edit(third, 2).status, 200)
        for action, state in (("submit", "submitted"), ("approve", "scheduled"), ("open", "open")):
            answer = self.step(action)
            self.assertEqual((answer.status, answer.json()["state"]), (200, state), answer)
        shown = self.server.get(f"/v1/polls/{self.poll_id}").json()
        self.assertEqual((shown["title"], shown["version"]), ("Third", 3))
        self.assert_outcome(self.server.vote(self.poll_id, sub_of("anna"), "a"), 201)
        self.assertEqual(self.step("close").json()["state"], "closed")
        self.assertEqual(self.step("certify").json()["state"], "certified")
        rows = self.history()["history"]
        self.assertEqual([(row["event"], row["by"], row["version"]) for row in rows],
                         [("drafted", "moderator the-moderator", 1),
                          ("drafted", "moderator the-moderator", 2),
                          ("submitted", "moderator the-moderator", 2),
                          ("returned", "approver the-approver", 2),
                          ("drafted", "moderator the-moderator", 3),
                          ("submitted", "moderator the-moderator", 3),
                          ("approved", "approver the-approver", 3),
                          ("opened", "approver the-approver", 3),
                          ("closed", "operator the-operator", 3),
                          ("certified", "certifier the-certifier", 3)])
        self.assertEqual(rows[3]["reason"], "no word on the bridge")
        times = [row["at"] for row in rows]
        self.assertEqual(times, sorted(times))
        self.assertTrue(all(time.endswith("Z") for time in times))

    def test_every_action_in_every_state(self):
        for state in STATES:
            for action, (role, leads) in ACTIONS.items():
                with self.subTest(state=state, action=action):
                    poll = self.bring_to(state, f"{state}-{action}")
                    # Who may also know of drafts, or operators and certifiers were told of none.
                    token = self.person("many-hats", role, "approver")
                    answer = self.step(action, token, poll)
                    if state in leads:
                        self.assertEqual((answer.status, answer.json().get("state")),
                                         (200, leads[state]), answer)
                    else:
                        problem = self.assert_refused(answer, 409, "wrong-state")
                        self.assertIn(state, problem["detail"])
                    self.assertEqual(self.show(poll).json()["state"], leads.get(state, state))

    def test_a_definition_changes_while_it_is_a_draft_and_then_never(self):
        for state in STATES:
            with self.subTest(state=state):
                poll = self.bring_to(state, f"edit-{state}")
                definition = veche.poll(poll, title="Another")
                answer = self.edit(definition, 1, poll=poll)
                if state == "draft":
                    self.assertEqual(answer.status, 200, answer)
                else:
                    self.assertIn(state, self.assert_refused(answer, 409, "wrong-state")["detail"])
                self.assertEqual(self.show(poll).json()["title"],
                                 "Another" if state == "draft" else f"Poll {poll}")

    def test_its_places_are_those_of_the_tree(self):
        answer = self.server.draft_poll(veche.poll(
            self.poll_id, targets=["75701000", "75999999"],
            expected_voters={"75701310": 100, "75999998": 100}))
        self.assert_refused(answer, 422, "invalid-poll")
        self.assertEqual([(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]],
                         [("/targets/1/territory", "unknown-territory"),
                          ("/expected_voters/75999998", "unknown-territory")])

    def test_who_may_do_what(self):
        poll = self.bring_to("draft")
        for action, (role, _) in ACTIONS.items():
            for other in set(ROLES) - {role}:
                self.assert_refused(self.step(action, self.person("x", other)), 403,
                                    "role-missing")
            answer = self.send("POST", f"/v1/polls/{poll}/transitions",
                               {"action": action, "reason": "x"})
            self.assert_refused(answer, 401, "token-missing")
        definition = veche.poll(poll, title="Another")
        for other in ROLES[1:]:
            self.assert_refused(self.edit(definition, 1, self.person("x", other)), 403,
                                "role-missing")
        self.assertEqual((self.show().json()["state"], self.show().json()["title"]),
                         ("draft", f"Poll {poll}"))

    def test_nobody_approves_what_he_wrote_or_submitted(self):
        anna = self.person("anna", "moderator", "approver")
        boris = self.person("boris", "moderator", "approver")
        vera = self.person("vera", "approver")
        definition = veche.poll(self.poll_id)
        self.assertEqual(self.send("POST", "/v1/polls", definition, anna).status, 201)
        self.assertEqual(self.edit({**definition, "title": "Another"}, 1, boris).status, 200)
        self.assertEqual(self.step("submit", boris).status, 200)
        self.assert_refused(self.step("approve", anna), 403, "own-draft")  # of an earlier version
        self.assert_refused(self.step("approve", boris), 403, "own-draft")
        self.assert_refused(self.step("approve", self.person("anna", "approver")), 403, "own-draft")
        self.assertEqual(self.step("return", anna).status, 200)
        self.assertEqual(self.step("submit", anna).status, 200)
        self.assertEqual(self.show().json()["state"], "submitted")
        self.assertEqual(self.step("approve", vera).json()["state"], "scheduled")

    def test_who_submits_alone_does_not_approve(self):
        dina = self.person("dina", "moderator", "approver")
        self.draft()
        self.assertEqual(self.step("submit", dina).status, 200)
        self.assert_refused(self.step("approve", dina), 403, "own-draft")

    def test_a_draft_is_returned_with_a_reason(self):
        self.bring_to("submitted")
        target, token = f"/v1/polls/{self.poll_id}/transitions", self.server.staff("approver")
        for body in ({"action": "return"}, {"action": "return", "reason": ""},
                     {"action": "return", "reason": " \t\n"}):
            self.assert_refused(self.send("POST", target, body, token), 422, "reason-missing")
        self.assertEqual(self.show().json()["state"], "submitted")
        self.assertEqual(self.send("POST", target, {"action": "return", "reason": "because"},
                                   token).status, 200)

    def test_an_edit_names_the_version_that_it_replaces(self):
        self.draft()
        definition = veche.poll(self.poll_id, title="Another")
        self.assert_refused(self.edit(definition, None), 428, "if-match-needed")
        for wrong in ('"2"', '"0"', "1", "*", '"x"', '"2", "3"', '"-1"', '"4294967297"', '"01"',
                      '"+1"', '" 1"', 'w/"1"', 'W/1', '"1" "2"', '"1-x"', '"1'):
            answer = self.send("PATCH", f"/v1/polls/{self.poll_id}", definition,
                               self.server.staff("moderator"), If_Match=wrong)
            self.assert_refused(answer, 412, "version-mismatch")
        self.assertEqual(self.edit(definition, 1).status, 200)
        self.assert_refused(self.edit(definition, 1), 412, "version-mismatch")
        self.assertEqual(self.show().json()["version"], 2)

    def test_a_draft_that_was_read_is_not_sent_again(self):
        self.draft()
        read = self.show()
        tag = read.headers["etag"]
        again = self.send("GET", f"/v1/polls/{self.poll_id}", None, self.server.staff("auditor"),
                          If_None_Match=f'"7", W/{tag}')
        self.assertEqual((again.status, again.headers["etag"], again.body), (304, tag, b""))
        self.edit(veche.poll(self.poll_id, title="Another"), 1)
        again = self.send("GET", f"/v1/polls/{self.poll_id}", None, self.server.staff("auditor"),
                          If_None_Match=tag)
        self.assertEqual(again.json()["title"], "Another")

    def test_an_edit_takes_the_tag_that_a_compressing_proxy_made_of_the_version(self):
        """And a list that has it, on one line or on several."""
        self.draft()
        tags = ('W/"{}"', '"{}-gzip"', 'W/"{}-br"', '"{};gzip"', '"77", "{}"', '"x",, W/"{}"')
        for version, tag in enumerate(tags, 1):
            definition = veche.poll(self.poll_id, title=f"Title {version}")
            answer = self.send("PATCH", f"/v1/polls/{self.poll_id}", definition,
                               self.server.staff("moderator"), If_Match=tag.format(version))
            self.assertEqual(answer.status, 200, tag)
        self.assertEqual(self.show().json()["version"], len(tags) + 1)
        self.assertEqual(self.step("submit", If_Match="*").status, 200)

    def test_an_edit_is_a_whole_and_good_definition_of_the_same_poll(self):
        self.draft()
        good = veche.poll(self.poll_id)
        for broken in ({**good, "id": "another"}, {**good, "targets": []},
                       {"title": "only this"}):
            self.assert_refused(self.edit(broken, 1), 422, "invalid-poll")
        self.assert_refused(self.edit(b"{", 1), 400, "malformed")
        self.assert_refused(self.edit(veche.poll("nowhere"), 1, poll="nowhere"), 404,
                            "unknown-poll")
        self.assertEqual(self.show().json()["version"], 1)

    def test_of_edits_at_the_same_time_one_holds(self):
        self.draft()
        definitions = [veche.poll(self.poll_id, title=f"Title {i}") for i in range(8)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda definition: self.edit(definition, 1), definitions))
        done = [answer for answer in answers if answer.status == 200]
        self.assertEqual(len(done), 1, answers)
        for answer in answers:
            self.assertIn((answer.status, answer.code),
                          ((200, None), (409, "overtaken"), (412, "version-mismatch")))
        shown = self.show().json()
        self.assertEqual((shown["version"], shown["title"]), (2, done[0].json()["title"]))

    def test_a_step_is_taken_with_the_version_that_was_read(self):
        self.bring_to("submitted")
        self.assert_refused(self.step("approve", If_Match='"2"'), 412, "version-mismatch")
        self.assert_refused(self.step("approve", If_Match="1"), 412, "version-mismatch")
        self.assertEqual(self.step("approve", If_Match='"1"').status, 200)

    def test_an_approved_poll_opens_by_itself_and_a_draft_does_not(self):
        late = f"{self.poll_id}-draft"
        self.draft(late, opens_in=-60)
        self.bring_to("scheduled", opens_in=-60)
        veche.eventually(lambda: self.show().json()["state"] == "open")
        time.sleep(0.5)
        self.assertEqual(self.show(late).json()["state"], "draft")

    def test_staff_of_a_place_decide_about_that_place(self):
        here, elsewhere = ["75701000"], ["01000000"]
        targets = ["75701000"]
        definition = veche.poll(self.poll_id, targets=targets)
        abroad = self.person("far", "moderator", "approver", territories=elsewhere)
        self.assert_refused(self.send("POST", "/v1/polls", definition, abroad), 403,
                            "role-missing")
        self.draft(targets=targets)
        for answer in (self.edit(definition, 1, abroad), self.step("submit", abroad),
                       self.step("cancel", abroad)):
            self.assertIn((answer.status, answer.code),
                          ((404, "unknown-poll"), (403, "role-missing")))
        near = self.person("near", "moderator", territories=here)
        self.assertEqual(self.edit(definition, 1, near).status, 200)
        self.assert_refused(self.edit({**definition, "targets": [{"territory": "01000000"}]}, 2,
                                      near), 403, "role-missing")
        self.assertEqual(self.step("submit", near).status, 200)
        self.assert_refused(self.step("approve", abroad), 404, "unknown-poll")
        self.assertEqual(self.step("approve", self.person("b", "approver",
                                                          territories=here)).status, 200)
        self.assert_refused(self.step("open", abroad), 403, "role-missing")  # it is known now

    def test_a_restart_keeps_drafts_and_histories(self):
        known = {}
        for state in STATES:
            poll = self.bring_to(state, f"{self.poll_id}-{state}")
            token = self.server.staff("auditor")
            known[poll] = self.show(poll).json(), self.history(poll, token)
        self.server.kill()
        self.server.start()
        for poll, (shown, history) in known.items():
            self.assertEqual(self.show(poll).json(), shown)
            self.assertEqual(self.history(poll, self.server.staff("auditor")), history)
        draft = f"{self.poll_id}-submitted"
        self.assert_refused(self.step("approve", self.person("the-moderator", "approver"), draft),
                            403, "own-draft")


class Drafts(LifeCase):
    """What is not approved is nowhere to be seen."""

    TARGETS = ["75701000"]

    def hidden_polls(self):
        return [self.bring_to(state, f"{self.poll_id}-{state}", targets=self.TARGETS)
                for state in ("draft", "submitted", "cancelled")]

    def outsiders(self, poll):
        issuer = self.server.issuer
        yield "nobody", None
        yield "junk", "a.b.c"
        yield "voter", issuer.vote(poll, sub_of("anna"), "75701310")
        yield "gateway", issuer.batch(b"x\n", 1)
        yield "unfit roles", self.person("x", "operator", "certifier", "analyst")
        yield "other places", self.person("x", *ROLES, territories=["01000000", "75603000"])
        yield "below", self.person("x", *ROLES, territories=["75701310"])
        expired = {"iss": issuer.issuer, "aud": issuer.audience, "iat": 1, "exp": 600,
                   "sub": "x", "roles": ROLES}
        yield "expired", issuer.sign("staff+jwt", expired)

    def test_every_page_is_as_if_there_were_no_poll(self):
        pages = ["", "/results", "/results.json", "/results.csv", "/results?by=territory",
                 "/results?view=exact", "/turnout", "/stream", "/history", "/certificate",
                 "/certificate/results.json", "/receipts/00000-00000-00000-00000-000000"]
        for poll in self.hidden_polls():
            for who, token in self.outsiders(poll):
                for page in pages:
                    with self.subTest(poll=poll, who=who, page=page):
                        hidden = self.send("GET", f"/v1/polls/{poll}{page}", token=token)
                        self.assert_refused(hidden, 404, "unknown-poll")
                        none = self.send("GET", f"/v1/polls/no{poll}{page}", token=token)
                        self.assertEqual((hidden.headers, hidden.body), (none.headers, none.body))

    def test_staff_who_have_to_do_with_it_see_it(self):
        for poll in self.hidden_polls():
            for role in ("moderator", "approver", "auditor"):
                for places in ([], ["75701000"], ["75000000"]):
                    token = self.person("x", role, **({"territories": places} if places else {}))
                    for page in ("", "/results", "/history"):
                        answer = self.send("GET", f"/v1/polls/{poll}{page}", token=token)
                        self.assertEqual(answer.status, 200, (role, places, page))

    def test_lists_leave_it_out(self):
        polls = set(self.hidden_polls())
        public = self.bring_to("scheduled", f"{self.poll_id}-scheduled", targets=self.TARGETS)
        queries = ["", "&territory=75701310", "&state=draft", "&state=submitted",
                   "&state=cancelled"]

        def listed(token, query):
            answer = self.send("GET", f"/v1/polls?limit=500{query}", token=token)
            self.assertEqual(answer.status, 200, answer)
            return {poll["id"] for poll in answer.json()["polls"]}
        for who, token in self.outsiders(public):
            for query in queries:
                self.assertEqual(listed(token, query) & polls, set(), (who, query))
            self.assertIn(public, listed(token, ""))
        for role in ("moderator", "approver", "auditor"):
            token = self.person("x", role, territories=["75701000"])
            self.assertEqual(listed(token, "") & polls, polls)
            self.assertEqual(listed(token, "&state=draft") & polls, {f"{self.poll_id}-draft"})

    def test_a_page_of_a_list_does_not_tell_of_it_by_being_shorter(self):
        for name in ("a", "b", "c", "d"):
            self.bring_to("draft" if name in "bc" else "scheduled", f"{self.poll_id}-{name}")
        found, cursor = [], f"&cursor={self.poll_id}"
        while cursor:
            page = self.server.get(f"/v1/polls?limit=1{cursor}").json()
            self.assertEqual(len(page["polls"]), 1)
            found += [poll["id"] for poll in page["polls"]]
            cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
        self.assertEqual([poll for poll in found if poll.startswith(self.poll_id)],
                         [f"{self.poll_id}-a", f"{self.poll_id}-d"])

    def test_a_ballot_finds_no_poll(self):
        for poll in self.hidden_polls():
            none = f"no{poll}"
            hidden, missing = (self.server.vote(name, sub_of("anna"), "a") for name in (poll, none))
            self.assert_refused(hidden, 404, "unknown-poll")
            self.assertEqual((hidden.headers, hidden.body), (missing.headers, missing.body))
            # Not even by its answers, its level, or the place of the voter.
            for choices, territory, more in (("z", "75701310", {}), ("a", "01701000", {}),
                                             ("a", "75701310", {"lvl": 1})):
                self.assert_refused(self.server.vote(poll, sub_of("x"), choices, territory, **more),
                                    404, "unknown-poll")
            lines = [self.server.line(name, sub_of("boris"), "a", "01701000")
                     for name in (poll, none)]
            report = self.server.post_batch(lines).json()
            self.assertEqual([(item["status"], item["code"]) for item in report["items"]],
                             [(404, "unknown-poll")] * 2)

    def test_a_gateway_with_limits_is_not_told_of_it_by_its_places(self):
        poll = self.bring_to("draft", targets=self.TARGETS)
        whole = self.server.jwks.read_text()
        keys = json.loads(whole)
        for key in keys["keys"]:
            if key["typ"] == "batch+jwt":
                key["territories"] = ["75701000"]
        self.addCleanup(self.reload, whole)
        self.reload(json.dumps(keys))
        lines = [self.server.line(name, sub_of("x"), "a", "75603407")
                 for name in (poll, f"no{poll}")]
        self.assertEqual([item["code"] for item in self.server.post_batch(lines).json()["items"]],
                         ["unknown-poll"] * 2)

    def reload(self, text):
        self.server.jwks.write_text(text)
        self.server.reload_keys()

    def test_steps_by_those_who_may_not_know_of_it_find_no_poll(self):
        for poll in self.hidden_polls():
            for action, (role, _) in ACTIONS.items():
                token = self.person("x", role, territories=["01000000"])
                hidden, missing = (self.step(action, token, name) for name in (poll, f"no{poll}"))
                self.assert_refused(hidden, 404, "unknown-poll")
                self.assertEqual((hidden.headers, hidden.body), (missing.headers, missing.body))
            for action in ("close", "certify"):  # whose roles have nothing to do with drafts
                self.assert_refused(self.step(action, poll=poll), 404, "unknown-poll")

    def test_from_its_approval_on_everybody_sees_it_and_its_history(self):
        poll = self.bring_to("submitted")
        self.assert_refused(self.server.get(f"/v1/polls/{poll}/history"), 404, "unknown-poll")
        self.step("approve")
        self.assertEqual([row["event"] for row in self.history()["history"]],
                         ["drafted", "submitted", "approved"])
        self.step("cancel")
        self.assertEqual(self.server.get(f"/v1/polls/{poll}").json()["state"], "cancelled")
        self.assertEqual(self.history()["history"][-1]["reason"], "a test")


class Certificates(LifeCase):
    def closed_poll(self, ballots=40, **more):
        poll = self.bring_to("open", **more)
        lines = [self.server.line(poll, sub_of(poll, i), "abc"[i % 3], veche.LEAVES[i % 5])
                 for i in range(ballots)]
        self.assertEqual(self.server.post_batch(lines).json()["accepted"], ballots)
        self.assertEqual(self.step("close").status, 200)
        return poll

    def frozen(self, poll):
        certificate = self.server.get(f"/v1/polls/{poll}/certificate")
        results = self.server.get(f"/v1/polls/{poll}/certificate/results.json")
        self.assertEqual((certificate.status, results.status), (200, 200))
        return certificate.json(), results

    def test_the_final_result_is_frozen_with_its_hash(self):
        poll = self.closed_poll()
        for page in ("/certificate", "/certificate/results.json"):
            self.assert_refused(self.server.get(f"/v1/polls/{poll}{page}"), 404, "not-certified")
        live = self.server.get(f"/v1/polls/{poll}/results?by=territory").body
        self.assertEqual(self.step("certify").json()["state"], "certified")
        certificate, results = self.frozen(poll)
        frozen, live = json.loads(results.body), json.loads(live)
        self.assertEqual({**frozen, "as_of": None}, {**live, "as_of": None})
        self.assertEqual((frozen["ballots"], frozen["final"], veche.votes_of(frozen)),
                         (40, True, {"a": 14, "b": 13, "c": 13}))
        digest = hashlib.sha256(results.body).hexdigest()
        self.assertEqual((certificate["sha256"], certificate["bytes"], certificate["certified_by"],
                          certificate["poll"]),
                         (digest, len(results.body), "certifier the-certifier", poll))
        self.assertEqual(certificate["certified_at"], self.history()["history"][-1]["at"])
        self.assertEqual(results.headers["etag"], f'"{digest}"')
        self.assertEqual(results.headers["content-type"], "application/json")
        target = f"/v1/polls/{poll}/certificate/results.json"
        same = self.server.get(target, If_None_Match=f'"{digest}"')
        self.assertEqual((same.status, same.body), (304, b""))
        self.assertEqual(self.server.get(target, If_None_Match='"x"').status, 200)

    def test_a_second_certificate_changes_nothing(self):
        poll = self.closed_poll()
        first = self.step("certify")
        before = self.frozen(poll)
        again = self.step("certify", self.person("another", "certifier"))
        self.assertEqual((again.status, again.body), (200, first.body))
        after = self.frozen(poll)
        self.assertEqual((before[0], before[1].body), (after[0], after[1].body))
        self.assertEqual([row["event"] for row in self.history()["history"]].count("certified"), 1)

    def test_certifiers_at_the_same_time_make_one_certificate(self):
        poll = self.closed_poll()
        tokens = [self.person(f"certifier-{i}", "certifier") for i in range(8)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda token: self.step("certify", token), tokens))
        self.assertEqual([answer.status for answer in answers], [200] * 8, answers)
        certificate, results = self.frozen(poll)
        self.assertEqual(hashlib.sha256(results.body).hexdigest(), certificate["sha256"])
        rows = [row for row in self.history()["history"] if row["event"] == "certified"]
        self.assertEqual([row["by"] for row in rows], [certificate["certified_by"]])

    def test_it_survives_kill_9_a_lost_index_and_an_orderly_end(self):
        poll = self.closed_poll()
        self.assertEqual(self.step("certify").status, 200)
        certificate, results = self.frozen(poll)
        history = self.history()

        def lose_index():
            self.server.kill()
            shutil.rmtree(self.server.data / "index")
        for end in (self.server.kill, lose_index, self.server.stop):
            end()
            self.server.start()
            again = self.frozen(poll)
            self.assertEqual((again[0], again[1].body), (certificate, results.body))
            self.assertEqual(again[1].headers["etag"], results.headers["etag"])
            self.assertEqual(self.history(), history)
            self.assertEqual(self.step("certify").status, 200)

    def test_a_retry_of_a_voter_is_answered_as_before(self):
        poll = self.bring_to("open")
        receipt = self.assert_outcome(self.server.vote(poll, sub_of("anna"), "a"), 201)
        self.step("close")
        self.step("certify")
        self.assertEqual(self.assert_outcome(self.server.vote(poll, sub_of("anna"), "a"), 200),
                         receipt)
        self.assert_refused(self.server.vote(poll, sub_of("boris"), "a"), 410, "poll-closed")
        self.assert_counts(poll, {"a": 1})

    def test_after_certification_results_are_shown_and_not_before(self):
        poll = self.closed_poll(visibility="after_certification")
        self.assert_refused(self.server.get(f"/v1/polls/{poll}/results"), 403, "results-hidden")
        self.assertEqual(self.step("certify").status, 200)
        shown = self.server.results(poll)
        self.assertEqual((shown["ballots"], shown["state"]), (40, "certified"))
        self.assertEqual(json.loads(self.frozen(poll)[1].body)["ballots"], 40)

    def test_a_cancelled_poll_promises_no_results(self):
        hidden = ("after_vote", "after_close", "after_certification")
        for visibility, opens in [(one, False) for one in hidden] + [("after_certification", True)]:
            self.poll_id += "-x"
            poll = veche.poll(self.poll_id, visibility=visibility)
            (self.server.open_poll if opens else self.server.create_poll)(poll)
            self.assertEqual(self.server.change_poll(poll["id"], "cancel").status, 200)
            answer = self.server.get(f"/v1/polls/{poll['id']}/results")
            self.assert_refused(answer, 403, "results-hidden")
            self.assertIn("never shown", answer.json()["detail"])

    def test_in_steps_the_certificate_tells_what_everybody_may_see(self):
        poll = self.closed_poll(ballots=3, disclosure={"mode": "steps", "k": 10})

        def certified():
            answer = self.step("certify")
            if answer.status != 200:
                self.assert_refused(answer, 409, "not-final")
            return answer.status == 200

        veche.eventually(certified)
        frozen = json.loads(self.frozen(poll)[1].body)
        self.assertEqual((frozen["final"], frozen["ballots"], frozen["suppressed"]),
                         (True, None, "too-few"))


class LargeCertificates(LifeCase):
    """Of so many places with names like noise that one record of the log does not hold it."""

    PLACES = 4_000
    territories = "oktmo8,name,kind,level,parent_oktmo8\n75000000,Region,region,0,\n" + "".join(
        f"8{place:07},{noise(place)},settlement,1,75000000\n"
        for place in range(PLACES))

    def test_in_parts_it_is_the_same_for_ever(self):
        poll = self.bring_to("open", targets=["75000000"])
        self.assert_outcome(self.server.vote(poll, sub_of("anna"), "a", "80000007"), 201)
        self.step("close")
        tokens = [self.person(f"certifier-{i}", "certifier") for i in range(4)]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda token: self.step("certify", token), tokens))
        for answer in answers:  # parts of two that came between each other made neither's
            self.assertIn((answer.status, answer.code), ((200, None), (503, "outcome-unknown")))
        self.assertEqual(self.step("certify").status, 200)
        target = f"/v1/polls/{poll}/certificate"
        certificate, results = self.server.get(target), self.server.get(target + "/results.json")
        self.assertEqual(hashlib.sha256(results.body).hexdigest(), certificate.json()["sha256"])
        places = {place["code"]: place for place in results.json()["territories"]}
        self.assertEqual(len(places), self.PLACES + 1)
        self.assertEqual((places["80000007"]["ballots"], places["80000008"]["ballots"]), (1, 0))
        self.server.kill()
        if veche.KIND_OF_LOG == "embedded":
            parts = [record for record in self.server.log.records()
                     if record.kind == "certificate"]
            self.assertGreater(len(parts), 1)
        self.server.start()
        self.assertEqual(self.server.get(target).body, certificate.body)
        self.assertEqual(self.server.get(target + "/results.json").body, results.body)


class Audits(LifeCase):
    def looked_at(self, poll=None):
        history = self.history(poll)
        rows = [row["by"] for row in history["history"] if row["event"] == "audited"]
        self.assertEqual(len(rows), history["audits"])
        return rows

    def test_an_auditor_sees_exact_counts_at_any_time_and_the_history_tells(self):
        for more in ({"visibility": "after_close"}, {"visibility": "after_certification"},
                     {"disclosure": {"mode": "steps", "k": 10}}):
            with self.subTest(**more):
                poll = self.bring_to("open", f"{self.poll_id}-{len(more)}-{list(more.values())[0]}"
                                     .lower().translate(str.maketrans("_{}': ,", "-------"))[:60],
                                     **more)
                self.assert_outcome(self.server.vote(poll, sub_of("anna"), "a"), 201)
                target = f"/v1/polls/{poll}/results"
                token = self.person("vera", "auditor")
                answer = self.send("GET", target + "?view=exact&by=territory", token=token)
                self.assertEqual(answer.status, 200, answer)
                self.assertEqual(veche.votes_of(answer.json())["a"], 1)
                self.assertEqual(answer.headers["cache-control"], "no-store")
                self.assertEqual(self.looked_at(poll), ["auditor vera"])
                table = self.send("GET", target + ".csv?view=exact", token=token)
                self.assertIn("q1,a,Option a", table.body.decode())
                self.assertEqual(self.looked_at(poll), ["auditor vera"] * 2)
                # Without asking for it he sees what everybody sees, and nothing is told.
                plain = self.send("GET", target, token=token)
                self.assertNotIn(b'"votes":1', plain.body)
                self.assertEqual(len(self.looked_at(poll)), 2)

    def test_nobody_else_does_and_nothing_is_told(self):
        poll = self.bring_to("open", visibility="after_close", targets=["75701000"])
        target = f"/v1/polls/{poll}/results?view=exact"
        self.assert_refused(self.send("GET", target), 401, "token-missing")
        voter = self.server.issuer.vote(poll, sub_of("anna"), "75701310")
        self.assert_refused(self.send("GET", target, token=voter), 401, "token-invalid")
        for role in ROLES[:-1]:
            self.assert_refused(self.send("GET", target, token=self.person("x", role)), 403,
                                "role-missing")
        far = self.person("x", "auditor", territories=["01000000"])
        self.assert_refused(self.send("GET", target, token=far), 403, "role-missing")
        auditor = self.person("x", "auditor")
        for wrong in ("view=all", "view="):
            self.assert_refused(self.send("GET", f"/v1/polls/{poll}/results?{wrong}",
                                          token=auditor), 400, "bad-parameter")
        for wrong in ("&by=nothing", "&version=1"):
            self.assert_refused(self.send("GET", target + wrong, token=auditor), 400,
                                "bad-parameter")
        self.assertEqual(self.looked_at(), [])

    def test_the_log_tells_of_each_look_also_after_a_crash(self):
        poll = self.bring_to("open")
        target = f"/v1/polls/{poll}/results?view=exact"
        for i in range(5):
            token = self.person(f"auditor-{i}", "auditor")
            self.assertEqual(self.send("GET", target, token=token).status, 200)
        self.server.kill()
        self.server.start()
        self.assertEqual(self.looked_at(), [f"auditor auditor-{i}" for i in range(5)])


class Caches(LifeCase):
    """A cache between must give nobody what a token of somebody else opened."""

    def answers(self):
        """(what, its answer, whether a token came with it)"""
        issuer = self.server.issuer
        draft = self.draft(f"{self.poll_id}-draft").json()["id"]
        hidden = self.bring_to("open", f"{self.poll_id}-hidden", visibility="after_vote")
        voter = issuer.vote(hidden, sub_of("anna"), "75701310")
        vote = f"/v1/polls/{hidden}/ballots?results=1"
        yield vote, self.send("POST", vote, veche.answers("a"), voter), True
        for page in ("", ".json", ".csv", "?by=territory", "?view=exact"):
            token = self.person("vera", "auditor") if "exact" in page else voter
            target = f"/v1/polls/{hidden}/results{page}"
            answer = self.send("GET", target, token=token)
            yield target, answer, True
            again = self.send("GET", target, token=token, If_None_Match=answer.headers["etag"])
            self.assertEqual(again.status, 304)
            yield target + " again", again, True
            yield target, self.send("GET", target), False
        for target in (f"/v1/polls/{draft}", f"/v1/polls/{draft}/history", "/v1/polls",
                       f"/v1/polls/{hidden}/turnout", f"/v1/polls/{hidden}/receipts/0",
                       f"/v1/polls/{draft}/certificate", "/v1/territories", "/", "/nowhere"):
            yield target, self.send("GET", target, token=self.server.staff("moderator")), True
            yield target, self.send("GET", target), False
            yield "HEAD", self.send("HEAD", target, token=self.server.staff("moderator")), True
        for body, kind in ((veche.poll("x"), "text/plain"), ({}, "application/json")):
            yield "POST", self.send("POST", "/v1/polls", body, voter, Content_Type=kind), True
        yield "stream", self.send("HEAD", f"/v1/polls/{hidden}/stream", token=voter), True

    def test_what_a_token_opened_is_private(self):
        for what, answer, has_token in self.answers():
            with self.subTest(f"{what} {answer.status}", has_token=has_token):
                headers = answer.headers
                self.assertEqual(headers["x-content-type-options"], "nosniff")
                self.assertIn("Authorization", headers["vary"].split(", "))
                cached = headers.get("cache-control", "").split(", ")
                self.assertEqual(has_token, bool({"private", "no-store"} & {*cached}), cached)

    def test_what_is_the_same_for_everybody_is_public(self):
        poll = self.bring_to("certified")
        answer = self.send("GET", f"/v1/polls/{poll}/certificate/results.json",
                           token=self.server.staff("auditor"))
        self.assertTrue(answer.headers["cache-control"].startswith("public, "))
        self.assertNotIn("vary", answer.headers)
        self.assertEqual(answer.headers["x-content-type-options"], "nosniff")


if __name__ == "__main__":
    veche.unittest.main()
