"""What happens to every request: an id, its key, bounds for all and for each key, its body, figures, a log line.

The key is checked before a byte of the body is read. A body is read here, whole, within `BODY_SECONDS` and
`MOST_BODY_BYTES` counted as they arrive; a request takes a place among those answered only once it is complete, so
that half-sent bodies hold up nobody but the key that sends them.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter as Tally
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from features.kit.errors import InsightError
from features.kit.log import get_logger
from features.store.online.deadline import one_deadline
from serving.api.auth import authenticate
from serving.api.errors import DAMAGED, OverloadedError, answer_of
from serving.database.session import in_request

MOST_AT_ONCE = 64
OF_ONE_KEY = 0.75
"""The share of the places that one key may take."""
MOST_READING_OF_KEY = 32
"""Bodies of one key that may be on their way at once."""
MOST_BODY_BYTES = 2 * 1024 * 1024
BODY_SECONDS = 10.0
FULL_SECONDS = 5.0
"""From when on `/readyz` says that every place is taken."""
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_UNBOUNDED = ("/livez", "/readyz", "/metrics", "/version")


class TooLargeError(InsightError):
    """A body is longer than the service takes."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "too_large"


class SlowBodyError(InsightError):
    """A body did not arrive whole in time."""

    status = HTTPStatus.REQUEST_TIMEOUT
    code = "request_timeout"


class BusyKeyError(OverloadedError):
    """One key has more requests under way than its share."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "too_many_requests"


class _GoneError(Exception):
    """The caller has hung up."""


class Figures:
    """The service's Prometheus figures, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "insight_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "insight_request_seconds", "Time to answer.", ("route",), buckets=_BUCKETS, registry=self.registry
        )
        self.scored = Counter("insight_scores", "Scores given.", ("target", "status"), registry=self.registry)
        self.damaged = Counter(
            "insight_state_damaged", "Requests that a part of our own state failed.", ("route",), registry=self.registry
        )
        self.lost = Counter(
            "insight_portraits_lost", "Portraits asked for that the store lost.", registry=self.registry
        )
        self.age = Gauge("insight_portrait_age_hours", "Age of the live portraits.", registry=self.registry)


class Traffic:
    """The outermost ASGI layer."""

    def __init__(self, app: ASGIApp, figures: Figures, *, most_at_once: int = MOST_AT_ONCE) -> None:
        self._app = app
        self._figures = figures
        self._most = most_at_once
        self._most_of_key = max(1, int(OF_ONE_KEY * most_at_once))
        self._now = 0
        self._now_of: Tally[str] = Tally()
        self._reading_of: Tally[str] = Tally()
        self._full_since: float | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on and records what became of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope["insight.request_id"] = secrets.token_hex(6)
        started = time.perf_counter()
        answer = {"status": 0}

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._answer(scope, receive, send_with_id)
        except _GoneError:
            answer["status"] = HTTPStatus.BAD_REQUEST
        except Exception as error:  # noqa: BLE001 - every kind is answered, or logged
            if answer["status"]:  # half of the answer is out already; the server then closes the connection
                get_logger().error("answer_broken", request_id=request_id, error_kind=type(error).__name__)
                return
            response = answer_of(error, scope)
            response.headers["Connection"] = "close"  # the rest of its body is never read
            await response(scope, receive, send_with_id)
        finally:
            self._record(scope, answer["status"], time.perf_counter() - started, request_id)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in _UNBOUNDED:
            if scope["path"] == "/readyz" and self._full_since is not None:
                waited = time.monotonic() - self._full_since
                if waited > FULL_SECONDS:
                    raise OverloadedError(f"every place has been taken for {waited:.0f} s")
            await self._app(scope, receive, send)
            return
        key_id = ""
        if scope["path"].startswith("/v1/"):
            key = scope["insight.key"] = await authenticate(scope)
            key_id = scope["insight.key_id"] = key.key_id
            receive = await self._with_body(scope, receive, key_id)
        async with self._place(key_id):
            with in_request(), one_deadline():
                await self._app(scope, receive, send)

    @asynccontextmanager
    async def _place(self, key_id: str) -> AsyncIterator[None]:
        """Holds one of the places. Raises OverloadedError, or BusyKeyError where one key has its share already."""
        if self._now >= self._most:
            raise OverloadedError("too many requests at once", remedy="try again after `Retry-After` seconds")
        if key_id and self._now_of[key_id] >= self._most_of_key:
            raise BusyKeyError(f"this key has {self._most_of_key} requests under way; send fewer at once")
        self._now += 1
        self._now_of[key_id] += 1
        if self._now == self._most and self._full_since is None:
            self._full_since = time.monotonic()
        try:
            yield
        finally:
            self._now -= 1
            self._full_since = None
            self._now_of[key_id] -= 1
            if not self._now_of[key_id]:
                del self._now_of[key_id]

    async def _with_body(self, scope: Scope, receive: Receive, key_id: str) -> Receive:
        """Returns a `receive` that holds the whole body. Raises TooLargeError, SlowBodyError or BusyKeyError."""
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if length == b"0" and b"transfer-encoding" not in headers:
            return receive
        if length.isdigit() and int(length) > MOST_BODY_BYTES:
            raise TooLargeError(f"at most {MOST_BODY_BYTES} bytes in a body")
        if self._reading_of[key_id] >= MOST_READING_OF_KEY:
            raise BusyKeyError(f"this key has {MOST_READING_OF_KEY} bodies on their way; finish them first")
        self._reading_of[key_id] += 1
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _whole(receive)
        except TimeoutError:
            raise SlowBodyError(f"the body did not arrive within {BODY_SECONDS:.0f} s") from None
        finally:
            self._reading_of[key_id] -= 1
            if not self._reading_of[key_id]:
                del self._reading_of[key_id]
        held: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive_held() -> Message:
            return held.pop() if held else await receive()

        return receive_held

    def _record(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route: Any = scope.get("route")
        path = getattr(route, "path", None) or "unknown"
        self._figures.requests.labels(scope["method"], path, status).inc()
        self._figures.seconds.labels(path).observe(seconds)
        if scope.get(DAMAGED):
            self._figures.damaged.labels(path).inc()
        get_logger().info(
            "request",
            request_id=request_id,
            key_id=scope.get("insight.key_id"),
            method=scope["method"],
            route=path,
            status=status,
            seconds=round(seconds, 4),
        )


async def _whole(receive: Receive) -> bytes:
    """Returns a body, its bytes counted as they arrive."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise _GoneError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BODY_BYTES:
            raise TooLargeError(f"at most {MOST_BODY_BYTES} bytes in a body")
        if not message.get("more_body", False):
            return b"".join(parts)
