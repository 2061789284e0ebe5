"""Hostile requests: extreme instants, forged cursors, damaged state, bodies that never end. No 5xx comes from input."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from urllib.request import urlopen

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from features.kit.errors import DataError
from serving.api import traffic
from serving.api.app import create_app
from serving.api.outreach.schemas import NewList
from serving.api.outreach.service import create_list
from serving.api.places import Places
from tests.hostile import CURSORS, INSTANTS, PLAIN, forged, requests
from tests.hostile import statuses as sent_to
from tests.serving.api.test_serve import ask
from tests.serving.api.test_serve import serving as serving  # noqa: PLC0414 - the fixture of a real process

pytestmark = pytest.mark.xdist_group("api")


def statuses(client, headers, world):
    """Returns the status of every hostile request, by what was sent."""
    found: dict[tuple[str, object], int] = {}
    one = world.ids[0]
    for at in INSTANTS:
        reports = {
            "contacts": [{"contact_id": f"h{at}"[:90], "customer_id": one, "at": at, "action": "service_review"}]
        }
        outcome = {"disposition": "call_back", "agent": "a", "attempted_at": at, "next_at": at}
        scores = {"targets": ["churn"], "ids": [one], "purpose": "marketing", "channel": "call", "at": at}
        keyed = headers | {"Idempotency-Key": f"h{len(found)}"}
        found["contacts", at] = client.post("/v1/contacts", json=reports, headers=keyed).status_code
        found["outcomes", at] = client.post(
            "/v1/outcomes", json={"outcomes": [{"line_id": "x", **outcome}]}, headers=keyed | {"Idempotency-Key": f"o{len(found)}"}
        ).status_code  # fmt: skip
        found["scores", at] = client.post("/v1/scores", json=scores, headers=headers).status_code
        found["audience", at] = client.get("/v1/audiences", params=PLAIN | {"at": at}, headers=headers).status_code
    for number, keys in enumerate(CURSORS):
        cursor = forged(keys)
        found["audience", number] = client.get(
            "/v1/audiences", params=PLAIN | {"cursor": cursor}, headers=headers
        ).status_code
        found["lists", number] = client.get(
            "/v1/outreach/lists", params={"cursor": cursor}, headers=headers
        ).status_code
    return found


def test_extreme_instants_and_forged_cursors_are_refused_calmly(client, world, everything):
    """Years 1 and 9999 with offsets, numbers beyond 64 bits, control characters: 4xx or an answer, never 5xx."""
    found = statuses(client, everything, world)
    assert {what: status for what, status in found.items() if status >= 500} == {}
    assert {found["scores", at] for at in INSTANTS} == {422}
    assert {found["audience", at] for at in INSTANTS if at} == {422}
    assert [found["lists", number] for number in range(len(CURSORS))].count(422) >= len(CURSORS) - 1


def test_without_the_range_an_extreme_instant_is_an_error(world, everything, monkeypatch):
    """Canary: a cursor of the year 10000 is a 5xx where keys are not judged."""
    monkeypatch.setattr("serving.api.answers._is_plain", lambda key: True)
    with TestClient(create_app(world.home, check_in_child=False), raise_server_exceptions=False) as client:
        cursor = forged([253402300800, "x"])
        assert client.get("/v1/outreach/lists", params={"cursor": cursor}, headers=everything).status_code == 500


def refused_by(port, requests):
    """Returns the 5xx answers of a service to requests, by kind, and how many requests it answered at all."""
    with ThreadPoolExecutor(4) as pool:
        found = list(zip(requests, pool.map(lambda one: sent_to(port, one, silence=0.1), requests), strict=True))
    return {(sent.kind, one) for sent, got in found for one in got if one >= 500}, sum(bool(got) for _, got in found)


def test_no_hostile_request_is_a_5xx(serving, world, everything):
    """Ten of each of 21 kinds over a real socket (`make bench BENCH=input-1` sends 2,000); the service counts none either."""
    port, _ = serving
    found, answered = refused_by(port, list(requests(210, everything, world.ids)))
    assert (found, answered > 150) == (set(), True)
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as figures:
        counted = [line for line in figures.read().decode().splitlines() if line.startswith("insight_requests_total{")]
    assert [line for line in counted if 'status="5' in line] == []
    assert len(counted) > 10


def test_a_service_that_answers_5xx_is_seen(everything):
    """Canary: one that answers everything with 500 is named under every kind that waits for its answer."""

    class Broken(BaseRequestHandler):
        def handle(self):
            self.request.recv(65536)
            self.request.sendall(b"HTTP/1.1 500 Oh\r\n\r\n")

    server = ThreadingTCPServer(("127.0.0.1", 0), Broken)
    Thread(target=server.serve_forever, daemon=True).start()
    found, _ = refused_by(server.server_address[1], list(requests(42, everything, ["1", "2"])))
    server.shutdown()
    server.server_close()
    assert {"instant", "day", "cursor", "id", "query", "deep"} <= {kind for kind, _ in found}


def test_a_day_of_which_nothing_can_be_known_is_refused(client, everything):
    """Years 1 and 9999, and days that nobody is scored on, are 422 (they were 500 and 503); the range is what refuses."""
    for number, day in enumerate(("0001-01-01", "9999-12-31", "1969-12-31", "1999-01-01", "2099-12-31")):
        answer = client.post(
            "/v1/outreach/lists",
            json={"as_of": day, "capacity": 1},
            headers=everything | {"Idempotency-Key": f"d{number}"},
        )
        assert (answer.status_code, "as_of" in answer.json()["detail"]) == (422, True), answer.text
    context = client.app.state.context
    key = context.keys.find(everything["Authorization"].removeprefix("Bearer "))
    with pytest.raises(OverflowError):  # the canary: without the range it is an error of the calendar
        create_list(context, key, "d", NewList.model_construct(as_of=date.max))


def test_damage_of_our_own_state_is_503(world, everything, monkeypatch, capsys):
    """A database, a file or a landed table that fails is 503 with Retry-After; the log names the kind, never the text."""
    secret = "13800001234"
    for error in (OperationalError("SELECT " + secret, {}, Exception(secret)), OSError(secret), DataError(secret)):

        def fail(*_, error=error):
            raise error

        monkeypatch.setattr("serving.api.audiences.service._members", fail)
        with TestClient(create_app(world.home, check_in_child=False), raise_server_exceptions=False) as client:
            answer = client.get("/v1/audiences", params=PLAIN, headers=everything)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2"), error
        assert secret not in answer.text
        out = capsys.readouterr()
        assert type(error).__name__ in out.out + out.err
        assert secret not in out.out + out.err


def send_half(port, headers, *, chunked=False):
    """Returns a connection that has sent the head of a request and half a body."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    length = b"Transfer-Encoding: chunked\r\n" if chunked else b"Content-Length: 1000\r\n"
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    connection.sendall(
        b"POST /v1/scores HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + head + length + b"\r\n"
    )
    connection.sendall(b'5\r\n{"tar\r\n' if chunked else b'{"tar')
    return connection


def test_half_sent_bodies_stop_nobody_else(serving, world, everything):
    """100 without a key are refused at once; 100 of one key take none of the places; others are answered meanwhile."""
    port, _ = serving
    other = world.key("scores:read", name="other")
    body = {"targets": ["churn"], "ids": world.ids[:2]}
    nobody: dict[str, str] = {}
    for headers in (nobody, everything):
        held = [send_half(port, headers, chunked=number % 2 == 0) for number in range(100)]
        try:
            assert ask(port, "/v1/scores", other, body)[0] == 200
            assert ask(port, "/readyz")[0] == 200
            if headers:
                first = [one.recv(12) for one in held[-3:]]
                assert first == [b"HTTP/1.1 429"] * 3
            else:
                assert {one.recv(12) for one in held} == {b"HTTP/1.1 401"}
        finally:
            for one in held:
                one.close()


def test_a_chunked_body_is_counted_as_it_arrives(serving, everything):
    """Beyond 2 MB a body without a length is refused with 413; it is never kept whole."""
    port, _ = serving
    connection = send_half(port, everything, chunked=True)
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    answer = b""
    with contextlib.suppress(OSError):
        for _ in range(64):
            connection.sendall(chunk)
    with contextlib.suppress(OSError):
        answer = connection.recv(12)
    connection.close()
    assert answer in (b"HTTP/1.1 413", b"")
    assert ask(port, "/livez")[0] == 200


async def exchange(app, messages, headers, path="/v1/scores"):
    """Returns what an application sends for a request whose body comes as these messages, and then stays silent."""
    sent = []
    waiting = list(messages)

    async def receive():
        if waiting:
            return waiting.pop(0)
        return await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "app": app}
    await app.user_layer(scope, receive, send)
    return sent


@pytest.mark.parametrize(
    ("messages", "status"),
    [
        ([{"type": "http.request", "body": b"x" * 1_500_000, "more_body": True}] * 2, 413),
        ([{"type": "http.request", "body": b"x", "more_body": True}], 408),
    ],
)
def test_bytes_and_time_of_a_body_are_bounded(monkeypatch, messages, status):
    """More bytes than allowed are 413; a body that never ends is 408. The layer alone, with a key that is known."""
    reached = []

    async def inner(scope, receive, send):
        reached.append(await receive())

    async def known(scope):
        return type("Key", (), {"key_id": "k"})()

    monkeypatch.setattr(traffic, "authenticate", known)
    monkeypatch.setattr(traffic, "BODY_SECONDS", 0.05)
    layer = traffic.Traffic(inner, traffic.Figures())
    app = type("App", (), {"user_layer": staticmethod(layer)})()
    headers = [(b"transfer-encoding", b"chunked")]
    sent = asyncio.run(exchange(app, messages, headers))
    assert (sent[0]["status"], reached) == (status, [])
    assert (b"connection", b"close") in sent[0]["headers"]
    whole = [{"type": "http.request", "body": b"{}", "more_body": False}]
    asyncio.run(exchange(app, whole, headers))
    assert reached == whole


def test_an_answer_that_breaks_off_leaves_its_kind_in_the_log(capsys):
    """An error after the first half of an answer reaches no server that would print its text; the log has its kind."""

    async def inner(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise KeyError("13800001234")

    layer = traffic.Traffic(inner, traffic.Figures())
    app = type("App", (), {"user_layer": staticmethod(layer)})()
    sent = asyncio.run(exchange(app, [], [], "/docs"))
    out = "".join(capsys.readouterr())
    assert ([message["type"] for message in sent], "KeyError" in out) == (["http.response.start"], True)
    assert "13800001234" not in out


def test_readiness_says_when_every_place_is_taken(monkeypatch):
    """While all places have been taken for longer than a few seconds `/readyz` is 503; afterwards it passes again."""
    passed = []

    async def inner(scope, receive, send):
        passed.append(scope["path"])

    places = Places(1)
    layer = traffic.Traffic(inner, traffic.Figures(), places)
    app = type("App", (), {"user_layer": staticmethod(layer)})()

    async def story():
        async with places.hold("k", "/docs"):
            places.full_since = time.monotonic() - traffic.FULL_SECONDS - 1
            first = await exchange(app, [], [], "/readyz")
            other = await exchange(app, [], [], "/docs")
        return first, other, await exchange(app, [], [], "/readyz")

    first, other, last = asyncio.run(story())
    assert (first[0]["status"], other[0]["status"], last, passed) == (503, 503, [], ["/readyz"])
