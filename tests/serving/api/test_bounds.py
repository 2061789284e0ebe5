"""What is refused before it costs anything: heads that never end, requests where no place is free, full lanes."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from serving.api.errors import OverloadedError
from serving.api.places import AT_WORK, Places
from serving.api.server import protocol
from serving.database.session import MOST_WAITING

GET = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /v1/scores HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nHELLO"


async def hang_up(writer):
    """Closes a connection and lets the other end see it."""
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    await asyncio.sleep(0.01)


class Door:
    """A listening protocol in front of an application that answers with the path, and what reached it."""

    def __init__(self, places: Places) -> None:
        self.places, self.reached, self.port = places, list[str](), 0

    async def app(self, scope, receive, send):
        self.reached.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    @asynccontextmanager
    async def open(self):
        config = Config(self.app, log_config=None, lifespan="off", interface="asgi3")
        config.load()
        state, loop = ServerState(), asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: protocol.BoundedProtocol(self.places, config, state, {}, loop), "127.0.0.1", 0
        )
        async with server:
            self.port = server.sockets[0].getsockname()[1]
            yield self

    async def say(self, *parts: bytes, then: float = 0.0) -> bytes:
        """Returns all that comes back on one connection until it is closed, or until a while of silence."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        received = b""
        for part in parts:
            writer.write(part)
            await asyncio.sleep(then)
        try:
            async with asyncio.timeout(5):
                received = await reader.read()
        finally:
            await hang_up(writer)
        return received


def at_the_door(places, story):
    """Runs a story at an open door and returns what it does, and what reached the application."""

    async def run():
        door = Door(places)
        async with door.open():
            return await story(door), door.reached

    return asyncio.run(run())


@pytest.mark.parametrize(
    "parts", [(b"GET /v1/mo",), (b"G", b"E", b"T", b" ", b"/"), (), (b"\r\n", b"\r\n"), (GET, b"GET /v1/mo")]
)
def test_a_head_that_does_not_come_whole_is_hung_up_on(monkeypatch, parts):
    """However slowly it trickles, at first or after a good request: its time is from its first byte."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.1)
    received, reached = at_the_door(Places(), lambda door: door.say(*parts, then=0.02))
    assert (received.count(b"HTTP/1.1"), len(reached)) == (parts.count(GET), parts.count(GET))


def test_a_head_without_end_is_refused_by_its_bytes():
    """More than 64 KB of headers are 400 and the end of the connection, while uvicorn keeps what comes."""
    flood = b"GET /livez HTTP/1.1\r\n" + b"X-A: b\r\n" * 10_000
    received, reached = at_the_door(Places(), lambda door: door.say(flood))
    assert (received[:12], reached) == (b"HTTP/1.1 400", [])


def test_where_no_place_is_free_a_request_is_refused_unread_and_the_next_is_answered():
    """503 with Retry-After on a connection that stays; nothing reaches the application, probes do; then a place is free."""

    async def story(door):
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(POST)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
        writer.write(GET.replace(b"/v1/models", b"/livez"))
        probe = await reader.readuntil(b"ok")
        door.places._most = 1
        writer.write(POST)
        answer = await reader.readuntil(b"ok")
        writer.write(GET)
        again = await reader.readuntil(b"ok")
        await hang_up(writer)
        return head, [answer[:12] for answer in (probe, answer, again)]

    (head, statuses), reached = at_the_door(Places(0), story)
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"retry-after: 2\r\n" in head
    assert b"problem+json" in head
    assert statuses == [b"HTTP/1.1 200"] * 3
    assert reached == ["/livez", "/v1/scores", "/v1/models"]


def test_a_refused_request_that_asks_before_it_sends_loses_its_connection():
    """Who waits for `100 Continue`, wants no further request, or no body of the answer, is told and hung up on."""
    asks = [POST.removesuffix(b"\r\n\r\nHELLO") + b"\r\n" + header + b"\r\n\r\n" for header in
            (b"Expect: 100-continue", b"Connection: close")]  # fmt: skip
    for sent in (*asks, GET.replace(b"GET", b"HEAD")):
        received, reached = at_the_door(Places(0), lambda door, sent=sent: door.say(sent))
        assert (received[:12], b"connection: close" in received, reached) == (b"HTTP/1.1 503", True, [])


def test_a_lane_works_on_so_many_at_a_time_and_stops_no_other():
    """With every scoring request at work the next waits; one for the ledger goes on at once; places count both."""

    async def run():
        places, entered, gate = Places(8), list[str](), asyncio.Event()

        async def one(path):
            async with places.hold("k", path):
                entered.append(path)
                await gate.wait()

        asked = [asyncio.create_task(one("/v1/scores")) for _ in range(AT_WORK["customers"] + 2)]
        asked.append(asyncio.create_task(one("/v1/outcomes")))
        await asyncio.sleep(0.01)
        first = list(entered)
        places._most = len(asked)
        with pytest.raises(OverloadedError):
            places.check()
        gate.set()
        await asyncio.gather(*asked)
        places.check("k")
        return first, entered

    first, entered = asyncio.run(run())
    assert sorted(first) == sorted(["/v1/scores"] * AT_WORK["customers"] + ["/v1/outcomes"])
    assert entered.count("/v1/scores") == AT_WORK["customers"] + 2
    assert AT_WORK["ledger"] > MOST_WAITING, "else those that wait for the ledger are never seen to be stuck"
