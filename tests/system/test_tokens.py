"""The rules of tokens, row by row, over HTTP, with tokens made by code of our own."""

import base64
import collections
import hashlib
import hmac
import json
import signal
import subprocess
import time
import unittest

import veche
from minting import ORDER, b64, compact, sub_of, unb64

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class TokenCase(veche.ServerCase):
    """An open poll for each test; after it, one good ballot is the only one counted."""

    def setUp(self):
        super().setUp()
        self.issuer = self.server.issuer
        self.poll = self.open(targets=["75701000"])
        self.sub = sub_of(self.poll)

    def tearDown(self):
        answer = self.server.vote(self.poll, self.sub, "a")
        self.assert_outcome(answer, 201)
        self.assert_counts(self.poll, {"a": 1})

    def post(self, token):
        return self.server.vote(self.poll, None, "b", token=token)

    def assert_invalid(self, token, label=""):
        with self.subTest(label or token[:60]):
            self.assert_refused(self.post(token), 401, "token-invalid")

    def claims(self, **changes):
        claims = self.issuer.vote_claims(self.poll, self.sub, "75701310")
        claims.update(changes)
        return claims

    def signed(self, payload=None, header=None, typ="vote+jwt"):
        return self.issuer.sign(typ, self.claims() if payload is None else payload, header)

    def header(self, **changes):
        header = self.issuer.header("vote+jwt")
        header.update(changes)
        return header


class Headers(TokenCase):
    def test_alg_none_in_any_case(self):
        for alg in ("none", "None", "NONE", "nOnE", "", None, 0, ["none"], "none ", "HS256 "):
            header = b64(compact(self.header(alg=alg)))
            message = f"{header}.{b64(compact(self.claims()))}"
            self.assert_invalid(message + ".", f"{alg} without signature")
            self.assert_invalid(self.signed(header=self.header(alg=alg)), f"{alg} signed")

    def test_the_right_key_with_a_wrong_alg(self):
        for alg in ("HS384", "HS512", "RS256", "PS256", "EdDSA", "Ed25519", "hs256", "ES256"):
            if alg != self.issuer.alg:
                self.assert_invalid(self.signed(header=self.header(alg=alg)), alg)

    def test_kid(self):
        good = self.header()["kid"]
        without = self.header()
        del without["kid"]
        self.assert_invalid(self.signed(header=without), "no kid")
        for kid in ([good], {"kid": good}, 7, None, True, "", "x" * 1000, "../../etc/passwd",
                    good + "\0", "\0", good + " ", good.upper() if good != good.upper() else "X",
                    self.issuer.keys["staff+jwt"][0], self.issuer.keys["batch+jwt"][0]):
            self.assert_invalid(self.signed(header=self.header(kid=kid)), repr(kid)[:40])

    def test_a_kid_of_ten_kilobytes(self):
        answer = self.post(self.signed(header=self.header(kid="x" * 10240)))
        self.assertIn(answer.status, (401, 431), answer)

    def test_typ(self):
        for typ in ("batch+jwt", "staff+jwt", "JWT", "vote", "VOTE+JWT", "application/vote+jwt",
                    None, ""):
            self.assert_invalid(self.signed(header=self.header(typ=typ)), typ)
        without = self.header()
        del without["typ"]
        self.assert_invalid(self.signed(header=without), "no typ")

    def test_members_that_a_header_must_not_have(self):
        key = {"kty": "oct", "k": b64(bytes(32))}
        for name, value in (("crit", ["exp"]), ("crit", []), ("jku", "https://evil.example/k"),
                            ("jwk", key), ("x5u", "https://evil.example/c"), ("x5c", ["MII"]),
                            ("b64", False), ("b64", True), ("zip", "DEF"), ("cty", "JWT"),
                            ("epk", key), ("", ""), ("ALG", "HS256")):
            self.assert_invalid(self.signed(header=self.header(**{name: value})), name)

    def test_a_key_of_the_attacker_inside_the_header(self):
        secret = bytes(range(32))
        header = self.header(jwk={"kty": "oct", "k": b64(secret)})
        message = f"{b64(compact(header))}.{b64(compact(self.claims()))}"
        signature = hmac.digest(secret, message.encode(), "sha256")
        self.assert_invalid(f"{message}.{b64(signature)}")

    def test_duplicate_members_also_escaped(self):
        good = compact(self.header()).decode()
        for more in ('"alg":"none",', '"\\u0061lg":"none",', '"kid":"x",', '"\\u006bid":"x",',
                     '"typ":"JWT",'):
            self.assert_invalid(self.signed(header=("{" + more + good[1:]).encode()), more)
            self.assert_invalid(
                self.signed(header=(good[:-1] + "," + more[:-1] + "}").encode()), more + " last")

    def test_an_escaped_name_is_the_same_name(self):
        header = compact(self.header()).replace(b'"alg"', b'"\\u0061lg"')
        answer = self.post(self.signed(header=header))
        self.assertIn(answer.status, (201, 401), answer)
        if answer.status == 201:  # then the voter of tearDown is another
            self.sub = sub_of("another")
            self.poll = self.server.open_poll(veche.poll(self.poll + "-2"))["id"]

    def test_headers_that_are_no_object(self):
        good = compact(self.header())
        for header in (b"", b"null", b"[]", b"7", b"{", good[:-1], good + b"x", good + good,
                       b"[" + good + b"]", b"\xff" + good, b"{}", b"[" * 1000):
            self.assert_invalid(self.signed(header=header), header[:20])


class Encoding(TokenCase):
    def test_parts_and_dots(self):
        header, payload, signature = self.signed().split(".")
        for token in (f"{header}.{payload}", f"{header}{payload}{signature}", header, ".", "..",
                      "...", f"{header}.{payload}.{signature}.", f".{header}.{payload}.{signature}",
                      f"{header}..{payload}.{signature}", f"{header}.{payload}.",
                      f".{payload}.{signature}", f"{header}..{signature}",
                      f"{header}.{payload}.{signature}.{signature}"):
            self.assert_invalid(token)

    def test_padding_other_alphabets_and_white_space(self):
        parts = self.signed().split(".")
        for place in range(3):
            for change in (lambda part: part + "=", lambda part: part + "==",
                           lambda part: part + "====", lambda part: part[:5] + " " + part[5:],
                           lambda part: part[:5] + "+" + part[6:],
                           lambda part: part[:5] + "/" + part[6:],
                           lambda part: part[:5] + "%2B" + part[6:], lambda part: part + "A",
                           lambda part: part[:5] + "\t" + part[5:]):
                changed = list(parts)
                changed[place] = change(parts[place])
                self.assert_invalid(".".join(changed), f"part {place}")

    def test_a_last_character_that_is_not_canonical(self):
        """Bits that decoding drops must be zero, or one token has several spellings."""
        tried = 0
        for length in range(3):
            claims = self.claims(territory="75701310"[:8 - length] + "0" * length)
            parts = self.issuer.sign("vote+jwt", claims).split(".")
            for place in range(3):
                spare = {2: 4, 3: 2}.get(len(parts[place]) % 4)
                if not spare:
                    continue
                for more in range(1, 1 << spare):
                    last = ALPHABET[ALPHABET.index(parts[place][-1]) | more]
                    changed = list(parts)
                    changed[place] = parts[place][:-1] + last
                    self.assertEqual(unb64(changed[place]), unb64(parts[place]))
                    self.assert_invalid(".".join(changed), f"part {place}, {last}")
                    tried += 1
        self.assertGreater(tried, 3)

    def test_one_flipped_bit_anywhere(self):
        token = self.signed().encode()
        statuses = collections.Counter()
        connection = self.server.connect()
        for place in range(len(token)):
            for bit in (0, 1, 4):
                flipped = bytearray(token)
                flipped[place] ^= 1 << bit
                answer = connection.request("POST", f"/v1/polls/{self.poll}/ballots",
                                            veche.answers("b"), token=flipped.decode("latin-1"))
                statuses[answer.status] += 1
                if answer.headers.get("connection") == "close":  # a byte no header may have
                    connection.close()
                    connection = self.server.connect()
        connection.close()
        self.assertLessEqual(statuses.keys(), {400, 401})
        self.assertGreater(statuses[401], 0.9 * sum(statuses.values()))

    def test_a_signature_one_byte_short_or_long(self):
        header, payload, signature = self.signed().split(".")
        raw = unb64(signature)
        for wrong in (raw[:-1], raw[1:], raw + b"\0", b"\0" + raw, b"", bytes(len(raw)), raw[::-1],
                      raw + raw):
            self.assert_invalid(f"{header}.{payload}.{b64(wrong)}")

    def test_too_long(self):
        addr = ["street-" + "x" * 50] * 16
        self.assert_invalid(self.signed(self.claims(addr=addr * 3)))
        self.assert_invalid(self.signed(self.claims(nonsense="y" * 1600)))


class Claims(TokenCase):
    def test_times_that_are_none(self):
        now = int(time.time())
        for name in ("exp", "iat"):
            for value in (str(now + 100), "1e10", "", None, True, [now], {}, now + 0.5, -1, -now,
                          2**63, 2**63 - 1, 2**64, -2**63, 1e300):
                self.assert_invalid(self.signed(self.claims(**{name: value})), f"{name} {value}")
        for text in (b"1e10", b"1.5", b"%d.0" % (now + 100), b"-0", b"9223372036854775808",
                     b"1E10", b"0x7fffffff", b"Infinity"):
            payload = compact(self.claims(exp=777)).replace(b"777", text)
            self.assert_invalid(self.signed(payload), text)

    def test_expired_and_not_yet_valid(self):
        now = int(time.time())
        for iat, exp in ((now - 200, now - 40), (now - 600, now - 31), (1, 600)):
            answer = self.post(self.signed(self.claims(iat=iat, exp=exp)))
            self.assert_refused(answer, 401, "token-expired")
        self.assert_invalid(self.signed(self.claims(iat=now + 60, exp=now + 120)), "future iat")
        self.assert_invalid(self.signed(self.claims(nbf=now + 60)), "future nbf")

    def test_an_expired_token_that_is_wrong_is_just_wrong(self):
        token = self.signed(self.claims(iat=1, exp=600))
        self.assert_invalid(token[:-2] + ("AA" if not token.endswith("AA") else "BA"))

    def test_clocks_may_differ_a_little(self):
        now = int(time.time())
        for i, (iat, exp, more) in enumerate(((now - 100, now - 20, {}), (now + 20, now + 100, {}),
                                              (now, now + 600, {}), (now, now + 60, {"nbf": now}))):
            claims = self.claims(iat=iat, exp=exp, sub=sub_of("skew", i), poll=self.poll + "-s",
                                 **more)
            if i == 0:
                self.server.open_poll(veche.poll(self.poll + "-s"))
            answer = self.server.vote(self.poll + "-s", None, "b", token=self.signed(claims))
            self.assert_outcome(answer, 201)

    def test_lifetimes(self):
        now = int(time.time())
        for iat, exp in ((now, now + 601), (now - 500, now + 200), (now, now), (now, now - 10),
                         (now + 10, now + 5), (0, now + 100)):
            self.assert_invalid(self.signed(self.claims(iat=iat, exp=exp)), (iat - now, exp - now))

    def test_issuer_and_audience(self):
        for name in ("iss", "aud"):
            good = self.claims()[name]
            for value in ("", good + "/", good.upper(), [good], None, 7, {"a": good}):
                self.assert_invalid(self.signed(self.claims(**{name: value})), f"{name} {value}")

    def test_every_claim_is_needed(self):
        for name in self.claims():
            claims = self.claims()
            del claims[name]
            self.assert_invalid(self.signed(claims), name)

    def test_unknown_claims(self):
        for name in ("name", "email", "snils", "jti", "scope", "roles", "LVL", "", "bh"):
            self.assert_invalid(self.signed(self.claims(**{name: "Anna Petrova"})), name)
        self.assertNotIn("Petrova", self.server.errors())

    def test_duplicate_claims_also_escaped(self):
        good = compact(self.claims())
        for more in (b'"lvl":3', b'"sub":"x"', b'"\\u0073ub":"x"', b'"poll":"p"',
                     b'"territory":"75000000"', b'"exp":1'):
            self.assert_invalid(self.signed(b"{" + more + b"," + good[1:]), more)
            self.assert_invalid(self.signed(good[:-1] + b"," + more + b"}"), more)

    def test_subjects(self):
        for sub in ("", "anna", self.sub[:-1], self.sub + "A", self.sub + "=", b64(bytes(31)),
                    b64(bytes(33)), self.sub[:-1] + " ", [self.sub], None, 7, "é" * 43,
                    base64.b64encode(b"\xff" * 32).decode().rstrip("="),
                    self.sub[:-1] + ALPHABET[ALPHABET.index(self.sub[-1]) | 1]):
            self.assert_invalid(self.signed(self.claims(sub=sub)), repr(sub))

    def test_levels(self):
        for lvl in (0, 4, -1, "3", 3.0, None, [3], True, 2**32 + 3, 2**64 + 3):
            self.assert_invalid(self.signed(self.claims(lvl=lvl)), repr(lvl))

    def test_territories_that_are_none(self):
        for territory in ("", " ", "75701310 ", "75 70", "х", "7" * 33, None, 75701310,
                          ["75701310"], "../75", "75701310\0"):
            self.assert_invalid(self.signed(self.claims(territory=territory)), repr(territory))

    def test_addresses_that_are_none(self):
        for addr in ("house-7", [], [7], [[]], ["a b"], [""], None, ["x" * 65], ["a"] * 17, {"a": 1}):
            self.assert_invalid(self.signed(self.claims(addr=addr)), repr(addr)[:40])

    def test_payloads_that_are_no_object(self):
        good = compact(self.claims())
        for payload in (b"", b"null", b"[]", b"{}", b"[" + good + b"]", good[:-1], good + b",",
                        good + good, b"\xef\xbb\xbf" + good, good[:-1] + b',"x":"\xff"}',
                        b"[" * 900):
            self.assert_invalid(self.signed(payload), payload[:20])


class Places(TokenCase):
    def test_a_token_for_one_poll_at_another(self):
        other = self.server.open_poll(veche.poll(self.poll + "-2"))["id"]
        token = self.issuer.vote(other, self.sub, "75701310")
        self.assert_refused(self.post(token), 403, "poll-mismatch")
        self.assert_outcome(self.server.vote(other, None, "a", token=token), 201)

    def test_territories_outside_above_and_below_the_target(self):
        poll = self.poll
        for territory, label in (("75603407", "beside"), ("01701000", "another region"),
                                 ("75000000", "above"), ("99999999", "unknown"),
                                 ("7570131", "a part of a code"), ("757013100", "a longer code")):
            with self.subTest(label):
                answer = self.server.vote(poll, sub_of(label), "b", territory)
                self.assert_refused(answer, 403, "not-eligible")
        below = self.server.open_poll(veche.poll(poll + "-2", targets=["75701000"]))["id"]
        for territory in ("75701310", "75701320", "75701000"):
            self.assert_outcome(self.server.vote(below, sub_of(territory), "a", territory), 201)

    def test_a_body_cannot_name_another_territory(self):
        token = self.issuer.vote(self.poll, self.sub, "75603407")
        target = f"/v1/polls/{self.poll}/ballots"
        for member in ("territory", "addr", "level", "lvl", "sub", "poll", "voter"):
            body = {**veche.answers("b"), member: "75701310"}
            answer = self.server.request("POST", target, body, token=token)
            self.assert_refused(answer, 400, "malformed")
        answer = self.server.request("POST", target + "?territory=75701310&lvl=3",
                                     veche.answers("b"), token=token)
        self.assertIn((answer.status, answer.code), ((403, "not-eligible"), (400, "malformed")))

    def test_each_kind_of_token_is_good_in_its_place_only(self):
        vote = self.issuer.vote(self.poll, self.sub, "75701310")
        staff = self.issuer.staff("moderator", "operator", "approver")
        body = json.dumps(self.server.line(self.poll, self.sub, "b")).encode() + b"\n"
        batch = self.issuer.batch(body, 1)
        self.assert_invalid(staff, "staff at ballots")
        self.assert_invalid(batch, "batch at ballots")
        for token in (vote, staff):
            answer = self.server.request("POST", "/v1/ballots", body,
                                         {"Content-Type": "application/x-ndjson"}, token)
            self.assert_refused(answer, 401, "token-invalid")
        for token in (vote, batch):
            answer = self.server.request("POST", "/v1/polls", veche.poll("stolen"), token=token)
            self.assert_refused(answer, 401, "token-invalid")

    def test_claims_of_one_kind_signed_by_the_key_of_another(self):
        for typ in ("batch+jwt", "staff+jwt"):
            for header in (None, self.header(), self.header(kid=self.issuer.keys[typ][0])):
                self.assert_invalid(self.signed(header=header, typ=typ), typ)


class Batches(TokenCase):
    def post_lines(self, claims=None, **changes):
        body = json.dumps(self.server.line(self.poll, self.sub, "b")).encode() + b"\n"
        claims = {**self.issuer.batch_claims(body, 1), **changes}
        return self.server.request("POST", "/v1/ballots", body,
                                   {"Content-Type": "application/x-ndjson"},
                                   self.issuer.sign("batch+jwt", claims))

    def test_claims_of_a_batch(self):
        now = int(time.time())
        other = b64(hashlib.sha256(b"other").digest())
        for changes in ({"bh": other}, {"bh": ""}, {"bh": 7}, {"bh": b64(bytes(31))}, {"n": 0},
                        {"n": 2}, {"n": -1}, {"n": "1"}, {"n": 1.0}, {"n": 2**32 + 1},
                        {"n": 10**6}, {"sub": "x"}, {"roles": ["operator"]}, {"iss": "other"},
                        {"aud": "other"}, {"iat": now, "exp": now + 700}):
            with self.subTest(changes=changes):
                self.assert_refused(self.post_lines(**changes), 401, "token-invalid")
        self.assert_refused(self.post_lines(iat=now - 300, exp=now - 100), 401, "token-expired")


class Staff(TokenCase):
    def create(self, **changes):
        claims = {"iss": self.issuer.issuer, "aud": self.issuer.audience,
                  **self.issuer.times(3600), "sub": "s-1", "roles": ["moderator"], **changes}
        return self.server.request("POST", "/v1/polls", veche.poll(self.poll + "-staff"),
                                   token=self.issuer.sign("staff+jwt", claims))

    def test_claims_of_staff(self):
        now = int(time.time())
        for changes in ({"roles": []}, {"roles": "moderator"}, {"roles": ["king"]}, {"roles": [7]},
                        {"roles": ["moderator", "king"]}, {"sub": ""}, {"sub": "a b"},
                        {"sub": "x" * 129}, {"sub": 'a"b'}, {"territories": "75000000"},
                        {"territories": [7]}, {"territories": []}, {"lvl": 3}, {"poll": "p"}, {"iss": "other"},
                        {"iat": now, "exp": now + 32 * 86400}):
            with self.subTest(changes=changes):
                self.assert_refused(self.create(**changes), 401, "token-invalid")
        self.assert_refused(self.create(iat=now - 4000, exp=now - 100), 401, "token-expired")
        self.assertEqual(self.create().status, 201)

    def test_staff_of_one_territory(self):
        """Roles that hold for a territory do not hold elsewhere."""
        answer = self.create(territories=["01000000"])
        self.assertIn((answer.status, answer.code), ((403, "role-missing"), (403, "not-eligible")))

    def test_an_empty_list_of_territories_holds_nowhere(self):
        """And not everywhere, as none would: refused on each route that looks at a staff token."""
        hidden = self.server.open_poll(veche.poll(self.poll + "-hidden",
                                                  visibility="after_close"))["id"]
        draft = veche.poll(self.poll + "-draft")
        self.assertEqual(self.server.draft_poll(draft).status, 201)
        tree = self.server.request("GET", "/v1/territories", headers={"Accept": "text/csv"}).body
        for method, target, role, body, kind in (
                ("POST", "/v1/polls", "moderator", veche.poll(self.poll + "-new"),
                 "application/json"),
                ("PATCH", f"/v1/polls/{draft['id']}", "moderator", draft, "application/json"),
                ("POST", f"/v1/polls/{draft['id']}/transitions", "moderator",
                 {"action": "submit"}, "application/json"),
                ("PUT", "/v1/territories", "operator", tree, "text/csv"),
                ("GET", f"/v1/polls/{hidden}/results?view=exact", "auditor", None, None)):
            with self.subTest(f"{method} {target}"):
                token = self.issuer.staff(role, territories=[])
                headers = {"Content-Type": kind, "If-Match": '"1"'} if kind else None
                answer = self.server.request(method, target, body, headers, token)
                self.assert_refused(answer, 401, "token-invalid")
        token = self.issuer.staff("auditor", "moderator", territories=[])
        answer = self.server.request("GET", f"/v1/polls/{draft['id']}", token=token)
        self.assert_refused(answer, 404, "unknown-poll")


class KeySets(unittest.TestCase):
    """Servers of their own: their keys change."""

    def start(self, alg="hs256"):
        server = veche.Server(alg=alg)
        self.addCleanup(server.close)
        server.start()
        server.open_poll(veche.poll("keyed"))
        return server

    def change_keys(self, server, change):
        keys = json.loads(server.jwks.read_text())
        change(keys["keys"])
        server.jwks.write_text(json.dumps(keys))

    @veche.needs_binary
    def test_a_revoked_key_ends_with_sighup(self):
        server = self.start()
        token = server.issuer.vote("keyed", sub_of("anna"), "75701310")
        self.assertEqual(server.vote("keyed", None, "a", token=token).status, 201)
        secret = bytes(range(32))
        self.change_keys(server, lambda keys: keys[0].update(kid="another", k=b64(secret)))
        self.assertEqual(server.vote("keyed", None, "a", token=token).status, 200)
        with server.connect() as kept:  # a connection of before must not keep the old keys
            kept.request("GET", "/livez")
            server.reload_keys()
            answer = kept.request("POST", "/v1/polls/keyed/ballots", veche.answers("a"),
                                  token=token)
        self.assertEqual((answer.status, answer.code), (401, "token-invalid"))
        server.issuer.change_key("vote+jwt", "another", secret)
        self.assertEqual(server.vote("keyed", sub_of("anna"), "a").status, 200)

    @veche.needs_binary
    def test_a_key_set_that_is_not_good_changes_nothing(self):
        server = self.start()
        good = server.jwks.read_text()
        for text in ("", "{", '{"keys":[]}', good.replace('"k":"', '"k":"!', 1),
                     good.replace("HS256", "none", 1)):
            server.jwks.write_text(text)
            server.reload_keys()
            self.assertIn(server.vote("keyed", sub_of("anna"), "a").status, (200, 201))

    @veche.needs_binary
    def test_key_sets_that_refuse_to_start(self):
        server = veche.Server()
        self.addCleanup(server.close)
        rsa = veche.Server(alg="rs256")
        self.addCleanup(rsa.close)
        rsa_key = json.loads(rsa.jwks.read_text())["keys"][0]
        good = server.jwks.read_text()
        for label, change in (
                ("duplicate kid", lambda keys: keys[1].update(kid=keys[0]["kid"])),
                ("short secret", lambda keys: keys[0].update(k=b64(bytes(31)))),
                ("private member", lambda keys: keys[0].update(d="AQAB")),
                ("HS256 mixed with others", lambda keys: keys.append({**rsa_key, "kid": "r"})),
                ("unknown alg", lambda keys: keys[0].update(alg="none")),
                ("no typ", lambda keys: keys[0].pop("typ")),
                ("small RSA", lambda keys: keys.__setitem__(slice(None), [
                    {**rsa_key, "n": b64(b"\xc1" + bytes(126) + b"\1")}]))):
            with self.subTest(label):
                server.jwks.write_text(good)
                self.change_keys(server, change)
                with self.assertRaises(veche.StartFailed) as refused:
                    server.start()
                self.assertNotEqual(refused.exception.code, 0)
                self.assertIn("jwks.json", refused.exception.errors)
        server.jwks.write_text(good)
        server.start()

    @veche.needs_binary
    def test_a_flood_of_unknown_kids_costs_no_memory(self):
        server = self.start()

        def flood(count):
            with server.connect() as connection:
                for i in range(count):
                    header = {**server.issuer.header("vote+jwt"), "kid": f"kid-{i}"}
                    token = server.issuer.sign("vote+jwt", server.issuer.vote_claims(
                        "keyed", sub_of(i), "75701310"), header)
                    answer = connection.request("POST", "/v1/polls/keyed/ballots",
                                                veche.answers("a"), token=token)
                    self.assertEqual((answer.status, answer.code), (401, "token-invalid"))
        flood(1000)
        before = server.resident_kib()
        flood(10_000)
        if not veche.SANITIZED:
            self.assertLess(server.resident_kib() - before, 4096)
        self.assertEqual(server.vote("keyed", sub_of("anna"), "a").status, 201)


class Algorithms(unittest.TestCase):
    """The other algorithms: a sample of each."""

    def start(self, alg):
        server = veche.Server(alg=alg)
        self.addCleanup(server.close)
        server.start()
        server.open_poll(veche.poll("signed"))
        return server

    def post(self, server, token):
        return server.vote("signed", None, "a", token=token)

    def check_sample(self, alg):
        server = self.start(alg)
        issuer = server.issuer
        token = issuer.vote("signed", sub_of("anna"), "75701310")
        self.assertEqual(self.post(server, token).status, 201)
        self.assertEqual(self.post(server, token).status, 200)
        body = json.dumps(server.line("signed", sub_of("boris"), "b")).encode() + b"\n"
        self.assertEqual(server.post_batch([1], body=body).json()["accepted"], 1)
        header, payload, signature = issuer.vote("signed", sub_of("gleb"), "75701310").split(".")
        raw = unb64(signature)
        for wrong in (raw[:-1], raw + b"\0", bytes(len(raw)), b"\xff" * len(raw), raw[::-1],
                      bytes([raw[0] ^ 1]) + raw[1:], raw[:-1] + bytes([raw[-1] ^ 1]), b""):
            answer = self.post(server, f"{header}.{payload}.{b64(wrong)}")
            self.assertEqual((answer.status, answer.code), (401, "token-invalid"))
        for other in ("HS256", "RS256", "PS256", "EdDSA", "none"):
            if other != issuer.alg:
                forged = issuer.sign("vote+jwt", issuer.vote_claims(
                    "signed", sub_of("gleb"), "75701310"),
                    {**issuer.header("vote+jwt"), "alg": other})
                self.assertEqual(self.post(server, forged).code, "token-invalid")
        self.forge_with_public_key(server)
        results = server.settled_results("signed", 2)
        self.assertEqual(results["ballots"], 2)
        return server

    def forge_with_public_key(self, server):
        """HS256 with what is public as its secret."""
        keys = json.loads(server.jwks.read_text())["keys"]
        key, = [key for key in keys if key["typ"] == "vote+jwt"]
        secrets = [server.jwks.read_bytes(), compact(key)]
        secrets += [form for member in ("n", "x") if member in key
                    for form in (key[member].encode(), unb64(key[member]))]
        issuer = server.issuer
        header = b64(compact({**issuer.header("vote+jwt"), "alg": "HS256"}))
        claims = b64(compact(issuer.vote_claims("signed", sub_of("gleb"), "75701310")))
        for secret in secrets:
            signature = hmac.digest(secret, f"{header}.{claims}".encode(), "sha256")
            answer = self.post(server, f"{header}.{claims}.{b64(signature)}")
            self.assertEqual(answer.code, "token-invalid")

    @veche.needs_binary
    def test_rs256(self):
        self.check_sample("rs256")

    @veche.needs_binary
    def test_ps256(self):
        self.check_sample("ps256")

    @veche.needs_binary
    def test_eddsa(self):
        server = self.check_sample("eddsa")
        issuer = server.issuer
        header, payload, signature = issuer.vote("signed", sub_of("gleb"), "75701310").split(".")
        raw = unb64(signature)
        scalar = int.from_bytes(raw[32:], "little")
        low_order = [bytes(32), b"\1" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f",
                     bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0"
                                   "d5dfac05d3c63339b13802886d53fc05")]
        for wrong in [raw[:32] + (scalar + ORDER).to_bytes(32, "little"),  # the same, not reduced
                      raw[:32] + bytes(32)] + [point + bytes(32) for point in low_order] + [
                      point + raw[32:] for point in low_order]:
            answer = self.post(server, f"{header}.{payload}.{b64(wrong)}")
            self.assertEqual((answer.status, answer.code), (401, "token-invalid"))

    @veche.needs_binary
    def test_the_product_mints_what_it_takes(self):
        for alg in ("hs256", "eddsa"):
            server = self.start(alg)
            done = subprocess.run(
                [server.binary, "token", "vote", "--keys", str(server.folder / "keys/issuer.json"),
                 "--poll", "signed", "--sub", sub_of("anna"), "--territory", "75701310"],
                capture_output=True, text=True, timeout=20)
            if done.returncode:
                self.skipTest(f"no such command: {done.stderr[-200:]}")
            self.assertEqual(self.post(server, done.stdout.strip()).status, 201)


if __name__ == "__main__":
    unittest.main()
