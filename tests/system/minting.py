"""Keys and tokens, made by the text of the token contract alone: nothing here is shared with the
server, so a mistake that both sides of the server make alike is seen.

HS256 needs the standard library only; RS256, PS256 and Ed25519 are textbook arithmetic, slow and
good for tests."""

import base64
import hashlib
import hmac
import json
import os
import time


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def compact(document):
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def sub_of(*parts):
    """A voter's pseudonym: 43 characters that stand for 32 bytes."""
    return b64(hashlib.sha256("/".join(map(str, parts)).encode()).digest())


# --- RSA -----------------------------------------------------------------------------------------


def der_items(data):
    """The items of one DER level as (tag, content)."""
    at = 0
    while at < len(data):
        tag, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(data[at:at + count], "big")
            at += count
        yield tag, data[at:at + length]
        at += length


class RsaKey:
    """The private key of a PKCS #8 file."""

    def __init__(self, pkcs8):
        (_, whole), = der_items(pkcs8)
        octets = [content for tag, content in der_items(whole) if tag == 0x04][0]
        (_, numbers), = der_items(octets)
        values = [int.from_bytes(content, "big") for _, content in der_items(numbers)]
        self.n, self.e, self.d = values[1:4]
        self.size = (self.n.bit_length() + 7) // 8

    def _raw(self, encoded):
        return pow(int.from_bytes(encoded, "big"), self.d, self.n).to_bytes(self.size, "big")

    def rs256(self, message):
        info = bytes.fromhex("3031300d060960864801650304020105000420")
        tail = info + hashlib.sha256(message).digest()
        return self._raw(b"\x00\x01" + b"\xff" * (self.size - len(tail) - 3) + b"\x00" + tail)

    def ps256(self, message):
        bits = self.n.bit_length() - 1
        size, salt = (bits + 7) // 8, os.urandom(32)
        digest = hashlib.sha256(bytes(8) + hashlib.sha256(message).digest() + salt).digest()
        block = b"\x00" * (size - 66) + b"\x01" + salt
        mask = b"".join(hashlib.sha256(digest + i.to_bytes(4, "big")).digest()
                        for i in range((len(block) + 31) // 32))
        masked = bytearray(a ^ b for a, b in zip(block, mask))
        masked[0] &= 0xFF >> (8 * size - bits)
        return self._raw(bytes(masked) + digest + b"\xbc")


# --- Ed25519 (RFC 8032) --------------------------------------------------------------------------

P25519 = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D25519 = -121665 * pow(121666, -1, P25519) % P25519
BASE_Y = 4 * pow(5, -1, P25519) % P25519


def _add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P25519
    b = (p[1] + p[0]) * (q[1] + q[0]) % P25519
    c = 2 * p[3] * q[3] * D25519 % P25519
    d = 2 * p[2] * q[2] % P25519
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P25519, g * h % P25519, f * g % P25519, e * h % P25519


def _times(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


def _base():
    square = (BASE_Y * BASE_Y - 1) * pow(D25519 * BASE_Y * BASE_Y + 1, -1, P25519) % P25519
    x = pow(square, (P25519 + 3) // 8, P25519)
    if (x * x - square) % P25519:
        x = x * pow(2, (P25519 - 1) // 4, P25519) % P25519
    x = x if x % 2 == 0 else P25519 - x
    return x, BASE_Y, 1, x * BASE_Y % P25519


def _packed(point):
    inverse = pow(point[2], -1, P25519)
    x, y = point[0] * inverse % P25519, point[1] * inverse % P25519
    return (y | (x & 1) << 255).to_bytes(32, "little")


def ed25519(seed, message):
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little") & (1 << 254) - 8 | 1 << 254
    public = _packed(_times(scalar, _base()))
    r = int.from_bytes(hashlib.sha512(digest[32:] + message).digest(), "little") % ORDER
    point = _packed(_times(r, _base()))
    k = int.from_bytes(hashlib.sha512(point + public + message).digest(), "little")
    return point + ((r + k * scalar) % ORDER).to_bytes(32, "little")


# --- Tokens --------------------------------------------------------------------------------------


class Issuer:
    """Mints all three kinds of token from an issuer.json."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            keys = json.load(file)
        self.issuer, self.audience, self.alg = keys["issuer"], keys["audience"], keys["alg"]
        self.keys = {key["typ"]: (key["kid"], unb64(key["key"])) for key in keys["keys"]}
        self._hmacs = {}
        self._headers = {}

    def change_key(self, typ, kid, key):
        self.keys[typ] = kid, key
        self._hmacs.clear()
        self._headers.clear()

    def header(self, typ):
        return {"alg": self.alg, "typ": typ, "kid": self.keys[typ][0]}

    def times(self, lifetime=300):
        now = int(time.time())
        return {"iat": now, "exp": now + lifetime}

    def signature(self, typ, message):
        key = self.keys[typ][1]
        if self.alg == "HS256":
            if typ not in self._hmacs:
                self._hmacs[typ] = hmac.new(key, None, hashlib.sha256)
            keyed = self._hmacs[typ].copy()
            keyed.update(message)
            return keyed.digest()
        if self.alg == "RS256":
            return RsaKey(key).rs256(message)
        if self.alg == "PS256":
            return RsaKey(key).ps256(message)
        return ed25519(key, message)

    def sign(self, typ, payload, header=None):
        """`payload` and `header` are documents, or bytes as they shall stand in the token."""
        if header is None:
            if typ not in self._headers:
                self._headers[typ] = b64(compact(self.header(typ)))
            head = self._headers[typ]
        else:
            head = b64(header if isinstance(header, bytes) else compact(header))
        body = b64(payload if isinstance(payload, bytes) else compact(payload))
        message = f"{head}.{body}"
        return f"{message}.{b64(self.signature(typ, message.encode()))}"

    def vote_claims(self, poll, sub, territory, lvl=3, **more):
        return {"iss": self.issuer, "aud": self.audience, **self.times(), "poll": poll, "sub": sub,
                "territory": territory, "lvl": lvl, **more}

    def vote(self, poll, sub, territory, lvl=3, **more):
        return self.sign("vote+jwt", self.vote_claims(poll, sub, territory, lvl, **more))

    def batch_claims(self, body, lines, **more):
        return {"iss": self.issuer, "aud": self.audience, **self.times(),
                "bh": b64(hashlib.sha256(body).digest()), "n": lines, **more}

    def batch(self, body, lines, **more):
        return self.sign("batch+jwt", self.batch_claims(body, lines, **more))

    def staff(self, *roles, sub="staff-1", **more):
        return self.sign("staff+jwt", {"iss": self.issuer, "aud": self.audience,
                                       **self.times(3600), "sub": sub, "roles": list(roles),
                                       **more})
