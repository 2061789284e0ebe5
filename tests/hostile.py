"""Hostile requests as bytes on a socket: every kind that a tester has tried at the door, drawn from a seed.

None of them is one that a list, a contact or an outcome could come of.
"""

from __future__ import annotations

import base64
import contextlib
import json
import random
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

INSTANTS = [
    "0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59.999999Z",
    "1969-12-31T23:59:59Z", "2100-01-01T00:00:00Z", "+10000-01-01T00:00:00Z", "1e300", "NaN", "-1", "0", "99999999999999",
    "2026-06-01T00:00:00", "2026-02-30T00:00:00Z", "2026-06-01T25:00:00Z", "2026-06-01T00:00:00+99:99", "", "\u202e",
    "\u0662\u0660\u0662\u0666-06-01T00:00:00Z", "2026-06-01T00:00:00.0000000000000000001+24:00", "2026-W23-1",
]  # fmt: skip
DAYS = [
    "0001-01-01",
    "9999-12-31",
    "2026-02-30",
    "2026-6-1",
    "1999-01-01",
    "2099-12-31",
    "-0001-01-01",
    0,
    1e18,
    "\u0000",
    {},
]
CURSORS: list[Any] = [
    [1e308], [-1], [10**17], [2**62], [2**63], [2**64], [-(2**63)], ["a"], ["\x00"], [None], [[]], [{}], [True], [0, "\x00"],
    [10**11, "x"], [253402300800, "x"], [0, "x" * 400], [1, 2, 3], ["x", "y", "z", 1.5, "\x00"], ["x", "y", "z", "1", "c"],
    ["x", "y", "z", float("nan"), "c"], ["x", "y", "z", float("inf"), "c"], {}, "x", 10**4000,
]  # fmt: skip
IDS: list[Any] = [
    0, -1, 1.5, 880000001000000000, 2**63, 10**30, True, None, [], {}, "", " ", "\x00", "a\x00b", "\ud800", "\udfff\ud800",
    "\u202e\u202d", "\ufeff", "\U0010ffff", "é" * 64, "x" * 65, "x" * 100_000, "'; DROP TABLE outreach_lists; --", "../../etc/passwd",
    "%00", "%2e%2e%2f", "=1+1", "1.23E+17", "８８０", "\r\nX: y", "nan", "😀" * 40, "a/b", "?", "#",
]  # fmt: skip
NUMBERS = ["-1", "0", "1e3", "1001", str(10**30), "NaN", "inf", "-0", "１", "", "null", "0x10", "1.0", "9" * 5000]
PLAIN = {"target": "churn", "purpose": "marketing", "channel": "message"}
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


@dataclass(frozen=True)
class Sent:
    """One hostile request.

    Attributes:
        kind: What it tries.
        content: The bytes.
        is_half: It never ends: the sender hangs up after it.
    """

    kind: str
    content: bytes
    is_half: bool = False


def forged(keys: Any) -> str:
    """Returns a cursor made of any keys."""
    return base64.urlsafe_b64encode(json.dumps(keys).encode()).decode().rstrip("=")


def requests(count: int, key: Mapping[str, str], ids: list[str], *, seed: int = 12) -> Iterator[Sent]:
    """Yields hostile requests, every kind in turn, with a key that may do everything."""
    draw = _Draw(random.Random(seed), key, ids)
    kinds: list[Callable[[], Sent]] = [
        draw.instant, draw.day, draw.cursor, draw.odd_id, draw.odd_path, draw.query, draw.in_numbers, draw.content_type,
        draw.deep, draw.duplicates, draw.no_text, draw.unicode, draw.key, draw.headers, draw.chunked, draw.half, draw.huge,
        draw.method, draw.idempotency, draw.line, draw.fuzz,
    ]  # fmt: skip
    for number in range(count):
        yield kinds[number % len(kinds)]()


def statuses(port: int, sent: Sent, *, patience: float = 60.0, silence: float = 0.3) -> list[int]:
    """Returns the status of each answer to what was sent; none where the service hangs up, or waits for more."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(sent.content)
        if sent.is_half:
            connection.settimeout(silence)
        with contextlib.suppress(TimeoutError if sent.is_half else ConnectionResetError, ConnectionResetError):
            while piece := connection.recv(65536):
                received += piece
    return [int(status) for status in _STATUS.findall(received)]


class _Draw:
    """Draws requests of each kind."""

    def __init__(self, dice: random.Random, key: Mapping[str, str], ids: list[str]) -> None:
        self.dice, self.auth, self.ids, self.drawn = dice, dict(key), ids, 0

    def _http(
        self, method: str, target: str | bytes, body: bytes | None = None, kind: str = "", *, version: str = "HTTP/1.1",
        is_half: bool = False, **headers: Any,
    ) -> Sent:  # fmt: skip
        self.drawn += 1
        known: dict[str, str | bytes | None] = {
            "Host": "x", **self.auth, "Connection": "close", "Idempotency-Key": f"hostile-{self.drawn}",
        }  # fmt: skip
        if body is not None:
            known |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        known |= {name.replace("_", "-"): value for name, value in headers.items()}
        raw = [
            f"{method} ".encode(),
            target.encode() if isinstance(target, str) else target,
            f" {version}\r\n".encode(),
        ]
        for name, value in known.items():
            if value is not None:
                raw += [name.encode(), b": ", value.encode() if isinstance(value, str) else value, b"\r\n"]
        return Sent(kind, b"".join([*raw, b"\r\n", body or b""]), is_half)

    def _post(self, path: str, body: Any, kind: str, **headers: Any) -> Sent:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._http("POST", path, content, kind, **headers)

    def _get(self, path: str, params: Mapping[str, Any], kind: str) -> Sent:
        return self._http("GET", f"{path}?{urlencode(params, errors='surrogatepass')}", None, kind)

    def _scores(self, kind: str, **changes: Any) -> Sent:
        return self._post("/v1/scores", {"targets": ["churn"], "ids": self.ids[:2], **changes}, kind)

    def instant(self) -> Sent:
        at, place = self.dice.choice([*INSTANTS, None, 1e308, []]), self.dice.randrange(4)
        if place == 0:
            one = {
                "contact_id": f"h{self.drawn}",
                "customer_id": self.ids[0],
                "at": at or "",
                "action": "service_review",
            }
            return self._post("/v1/contacts", {"contacts": [one]}, "instant")
        if place == 1:
            line = {"line_id": "7KQ2-M9XF5", "disposition": "callback", "agent": "a", "attempted_at": at, "next_at": at}
            return self._post("/v1/outcomes", {"outcomes": [line]}, "instant")
        if place == 2:
            return self._scores("instant", purpose="marketing", channel="call", at=at)
        return self._get("/v1/audiences", PLAIN | {"at": at}, "instant")

    def day(self) -> Sent:
        return self._post("/v1/outreach/lists", {"as_of": self.dice.choice(DAYS), "capacity": 1}, "day")

    def cursor(self) -> Sent:
        cursor = (
            forged(self.dice.choice(CURSORS))
            if self.dice.random() < 0.8
            else self.dice.choice(["=", "%", "a" * 501, "é"])
        )
        if self.dice.random() < 0.5:
            return self._get("/v1/audiences", PLAIN | {"cursor": cursor}, "cursor")
        return self._get(
            self.dice.choice(["/v1/outreach/lists", "/v1/outreach/lists/L1/lines"]), {"cursor": cursor}, "cursor"
        )

    def odd_id(self) -> Sent:
        one, place = self.dice.choice(IDS), self.dice.randrange(5)
        if place == 0:
            return self._scores("id", ids=[one], purpose="service", channel="call", reasons=1)
        if place == 1:
            return self._scores("id", targets=[one])
        if place == 2:
            sent = {
                "contact_id": one,
                "customer_id": f"nobody{self.drawn}",
                "at": "2026-06-01T10:00:00Z",
                "action": "x",
            }
            return self._post("/v1/contacts", {"contacts": [sent]}, "id")
        if place == 3:
            return self._post("/v1/lookups", {"number": one}, "id")
        return self._post("/v1/outcomes", {"outcomes": [{"line_id": one, "disposition": one}]}, "id")

    def odd_path(self) -> Sent:
        one = str(self.dice.choice(IDS))[:2000]
        path = self.dice.choice(
            ["/v1/customers/{}/portrait", "/v1/customers/{}/product-fit", "/v1/outreach/lists/{}", "/v1/{}"]
        )
        name = quote(one, safe="" if self.dice.random() < 0.7 else "/?#%", errors="surrogatepass")
        if self.dice.random() < 0.2:
            return self._http(
                "GET", path.format("").encode() + self.dice.randbytes(12).replace(b"\n", b"%"), None, "path"
            )
        return self._http("GET", path.format(name), None, "path")

    def query(self) -> Sent:
        one = self.dice.choice([str(self.dice.choice(IDS)), *NUMBERS])[:2000]
        name = self.dice.choice(
            [*PLAIN, "province", "city", "class", "exclude_class", "band", "view", "action", "strange"]
        )
        return self._get("/v1/audiences", PLAIN | {name: one}, "query")

    def in_numbers(self) -> Sent:
        number = self.dice.choice(NUMBERS)
        if self.dice.random() < 0.5:
            return self._get("/v1/audiences", PLAIN | {self.dice.choice(["limit", "min_percentile"]): number}, "number")
        raw = f'{{"targets": ["churn"], "ids": ["1"], "reasons": {number or 1.5}}}'.encode()
        return self._post("/v1/scores", raw, "number")

    def content_type(self) -> Sent:
        kind = self.dice.choice([
            "text/plain", "application/xml", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "",
            "application/json; charset=utf-16", "application/json; charset=nonsense", "\xff\xfe", "image/png", "a" * 5000, "/", None,
        ])  # fmt: skip
        coded = self.dice.choice([None, None, "gzip", "br", "nonsense"])
        body = b'{"targets": ["churn"], "ids": ["1"]}'
        return self._http("POST", "/v1/scores", body, "content type", Content_Type=kind, Content_Encoding=coded)

    def deep(self) -> Sent:
        depth = self.dice.choice([50, 1_000, 5_000, 100_000, 300_000])
        opening, closing = self.dice.choice([(b"[", b"]"), (b'{"a":', b"}"), (b'{"ids":[', b"]}"), (b"[", b"")])
        return self._post(self.dice.choice(["/v1/scores", "/v1/contacts", "/v1/outcomes", "/v1/lookups"]), opening * depth + b"1" + closing * depth, "deep")  # fmt: skip

    def duplicates(self) -> Sent:
        if self.dice.random() < 0.3:
            return self._http(
                "GET",
                "/v1/audiences?" + "&".join(f"{k}={v}" for k, v in PLAIN.items() for _ in (0, 1)),
                None,
                "duplicates",
            )
        bodies = [
            b'{"targets": ["churn"], "ids": ["1"], "ids": 5}', b'{"targets": 5, "targets": ["churn", "churn"], "ids": ["1"]}',
            b'{"targets": ["churn"], "ids": ["1"], "\\u0069ds": null}', b"{" + b'"a": 1,' * 20_000 + b'"a": 1}',
        ]  # fmt: skip
        return self._post("/v1/scores", self.dice.choice(bodies), "duplicates")

    def no_text(self) -> Sent:
        bodies = [
            b"", b"null", b"NaN", b"1", b'"x"', b"[]", b"{}", b"{", b"}", b"\x00" * 100, self.dice.randbytes(300), b"{'a': 1}",
            b'{"targets": NaN, "ids": Infinity}', b'{"reasons": 1e999}', b'{"reasons": ' + b"9" * 5000 + b"}", b"[" + b"1," * 200_000 + b"1]",
            b'{"targets": ["churn"], "ids": ' + json.dumps(["1"] * 1001).encode() + b"}", b"// {}", b"\x1f\x8b\x08\x00garbage",
        ]  # fmt: skip
        path = self.dice.choice(["/v1/scores", "/v1/contacts", "/v1/outcomes", "/v1/lookups", "/v1/outreach/lists"])
        body = self.dice.choice(bodies)
        return self._post(path if body != b"{}" else "/v1/scores", body, "no JSON of ours")

    def unicode(self) -> Sent:
        bodies = [
            b'{"targets": ["churn"], "ids": ["\xff\xfe"]}', b"\xef\xbb\xbf{}", '{"targets": ["churn"]}'.encode("utf-16"),
            '{"targets": ["churn"]}'.encode("utf-32"), b'{"targets": ["churn"], "ids": ["\\ud800"]}', b'{"\\ud800": 1}',
            b'{"targets": ["churn"], "ids": ["\\u0000"]}', b'{"number": "\\udc80\\ud800"}', '{"ids": ["\u2028"]}'.encode(),
            b'{"targets": ["churn"], "ids": ["1"], "locale": "\\ud83d"}', b"\xc0\x80", b"\xed\xa0\x80",
        ]  # fmt: skip
        return self._post(self.dice.choice(["/v1/scores", "/v1/lookups"]), self.dice.choice(bodies), "unicode")

    def key(self) -> Sent:
        keys: list[str | bytes | None] = [
            None, "", "Bearer", "Bearer ", "Basic eDp5", "Bearer ik_", "Bearer ik_x_y", "Bearer " + "x" * 20_000, b"Bearer \xff\xfe\x80",
            "Bearer ik_\u4e2d", "bearer  ik_a b", "Bearer ' OR 1=1 --", "Bearer " + self.auth["Authorization"][7:] + "x",
        ]  # fmt: skip
        return self._http(
            "GET",
            self.dice.choice(["/v1/models", "/v1/scores", "/v1/none"]),
            None,
            "key",
            Authorization=self.dice.choice(keys),
        )

    def headers(self) -> Sent:
        flood = [
            b"X-A: b\r\n" * 2_000, b"X-A: " + b"b" * 60_000 + b"\r\n", b"X-A: b\r\n" * 40_000, b"X A: b\r\n", b": b\r\n", b"X-A\r\n",
            b"X-A: \x00\r\n", b"X-A: a\r\n b\r\n", b"Content-Length: 1\r\nContent-Length: 2\r\n", b"Host: a\r\nHost: b\r\n",
            b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n",
            b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n", b"Expect: 200-ok\r\n", b"Range: bytes=0-99999999999999999999\r\n",
            b"Accept: " + b"*/*," * 3000 + b"\r\n", b"Cookie: " + b"a=b;" * 3000 + b"\r\n", b"X-Forwarded-For: \xff\r\n",
            b"If-Modified-Since: Sat, 00 Xxx 0000\r\n", b"X-HTTP-Method-Override: DELETE\r\n", b"Accept-Encoding: \x80\r\n",
        ]  # fmt: skip
        plain = self._http("GET", self.dice.choice(["/v1/models", "/livez", "/docs"]), None, "headers").content
        return Sent("headers", plain.removesuffix(b"\r\n") + self.dice.choice(flood) + b"\r\n")

    def chunked(self) -> Sent:
        chunks = [
            b"0\r\n\r\n", b"ffffffffffffffff\r\n", b"-1\r\nx\r\n0\r\n\r\n", b"zz\r\nx\r\n", b"5\r\nabc\r\n0\r\n\r\n", b"2;a=b\r\n{}\r\n0\r\n\r\n",
            b"2\r\n{}\r\n0\r\nX-Trailer: y\r\n\r\n", b"1\r\n{\r\n" * 500 + b"0\r\n\r\n", b"2\r\n{}0\r\n\r\n", b"\r\n\r\n",
            b"100000\r\n" + b"x" * 0x100000 + b"\r\n100000\r\n" + b"x" * 0x100000 + b"\r\n10\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n",
        ]  # fmt: skip
        chunk, length = self.dice.choice(chunks), self.dice.choice([None, None, "2", "0"])
        coding = self.dice.choice(["chunked", "chunked", "chunked, chunked", "identity", "gzip, chunked", "xchunked"])
        sent = self._http("POST", "/v1/scores", None, "chunked", Transfer_Encoding=coding, Content_Length=length,
                          Content_Type="application/json")  # fmt: skip
        ends = chunk.endswith(b"0\r\n\r\n") and coding == "chunked" and length is None
        return Sent("chunked", sent.content + chunk, is_half=not ends)

    def half(self) -> Sent:
        whole = self._scores("half").content
        return Sent("half-sent", whole[: self.dice.randrange(1, len(whole))], is_half=True)

    def huge(self) -> Sent:
        length = self.dice.choice(
            ["3000000", str(10**18), str(2**64), "-5", "abc", "1e3", "+5", "0x10", " 12", "", "5, 5", "２"]
        )
        body = b"x" * (3_000_000 if length == "3000000" else 12)
        sent = self._http("POST", "/v1/scores", body, "huge", Content_Length=length)
        return Sent("huge", sent.content, is_half=length in ("+5", " 12", "", "5, 5", "２", "1e3", "0x10", "abc", "-5"))

    def method(self) -> Sent:
        method = self.dice.choice(
            ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "HEAD", "CONNECT", "PROPFIND", "get", "GE T", "X" * 300, ""]
        )
        version = self.dice.choice(["HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9.9", "", "ICY"])
        target = self.dice.choice(
            [
                "/v1/scores",
                "/v1/outreach/lists/L1",
                "*",
                "http://x/v1/models",
                "//",
                "/" + "a" * 50_000,
                "/%",
                "",
                "x:1",
            ]
        )
        return self._http(method, target, None, "method", version=version)

    def idempotency(self) -> Sent:
        key = self.dice.choice([None, "", " ", "x" * 201, "x" * 50_000, "\u4e2d", b"\xff", "a b", "\x01"])
        return self._post("/v1/contacts", {"contacts": [{"contact_id": "x", "customer_id": "nobody", "at": "2026-06-01T10:00:00Z",
                          "action": "x"}]}, "idempotency", Idempotency_Key=key)  # fmt: skip

    def line(self) -> Sent:
        lines = [
            b"\r\n\r\n", b"GET / HTTP/0.9\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET /\r\n\r\n",
            b"\x00" * 64, b"SSH-2.0-x\r\n", b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n", b"GET /livez HTTP/1.1\nConnection: close\n\n",
            b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 20, b"{}\r\n", b"A" * 200_000, self.dice.randbytes(200),
        ]  # fmt: skip
        return Sent("line", self.dice.choice(lines), is_half=True)

    def fuzz(self) -> Sent:
        """A good request with some bytes changed."""
        whole = bytearray(self._scores("fuzz", purpose="service", channel="call", reasons=2).content)
        for _ in range(self.dice.randrange(1, 6)):
            whole[self.dice.randrange(len(whole))] = self.dice.randrange(256)
        return Sent("fuzz", bytes(whole), is_half=True)
