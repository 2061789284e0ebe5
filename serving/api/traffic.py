"""What happens to every request: an id, its key, bounds for all and for each key, its body, figures, a log line.

Where every place is taken a request is refused before anything of it is looked at. The key is checked before a byte of
the body is read. A body is read here, whole, within `BODY_SECONDS` and `MOST_BODY_BYTES` counted as they arrive; a
request takes a place among those answered only once it is complete, so that half-sent bodies hold up nobody but the key
that sends them.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import Counter as Tally
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from features.kit.errors import InsightError
from features.kit.log import get_logger
from features.store.online.deadline import one_deadline
from serving.api.auth import authenticate
from serving.api.errors import DAMAGED, OverloadedError, answer_of
from serving.api.places import BusyKeyError, Places
from serving.database.keys import ApiKey
from serving.database.session import in_request

MOST_READING_OF_KEY = 32
"""Bodies of one key that may be on their way at once."""
MOST_BODY_BYTES = 2 * 1024 * 1024
BODY_SECONDS = 10.0
FULL_SECONDS = 5.0
"""From when on `/readyz` says that every place is taken."""
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_READ, _ROUTE = "insight.read", "insight.route"
UNBOUNDED = ("/livez", "/readyz", "/metrics", "/version")


class TooLargeError(InsightError, status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE, code="too_large"):
    """A body is longer than the service takes."""


class SlowBodyError(InsightError, status=HTTPStatus.REQUEST_TIMEOUT, code="request_timeout"):
    """A body did not arrive whole in time."""


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


AtOnce = Callable[[Any, ApiKey, bytes], Response | None]
"""Answers a request by the process's resources, its key and its body; None leaves it to the application."""


class Traffic:
    """The outermost ASGI layer."""

    def __init__(
        self,
        app: ASGIApp,
        figures: Figures,
        places: Places | None = None,
        at_once: Mapping[str, AtOnce] | None = None,
    ) -> None:
        """Takes the application, and what may answer a POST of JSON in its place, by path."""
        self._app = app
        self._at_once = at_once or {}
        self._figures = figures
        self._places = places or Places()
        self._reading_of: Tally[str] = Tally()

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
            if not await _is_whole(scope, receive):
                response.headers["Connection"] = "close"  # the rest of its body is never read
            await response(scope, receive, send_with_id)
        finally:
            self._record(scope, answer["status"], time.perf_counter() - started, request_id)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in UNBOUNDED:
            if scope["path"] == "/readyz" and self._places.full_since is not None:
                waited = time.monotonic() - self._places.full_since
                if waited > FULL_SECONDS:
                    raise OverloadedError(f"every place has been taken for {waited:.0f} s")
            await self._app(scope, receive, send)
            return
        self._places.check()
        key_id, body = "", None
        if scope["path"].startswith("/v1/"):
            headers = dict(scope["headers"])
            key = scope["insight.key"] = await authenticate(scope)
            key_id = scope["insight.key_id"] = key.key_id
            self._places.check(key_id)
            body = await self._body(headers, receive, key_id)
        async with self._places.hold(key_id, scope["path"]):
            with in_request(), one_deadline():
                if body is not None:
                    scope[_READ] = True
                    answer = self._at_once.get(scope["path"])
                    if answer and scope["method"] == "POST" and headers.get(b"content-type") == b"application/json":
                        scope[_ROUTE] = scope["path"]
                        response = answer(scope["app"].state.context, key, body)
                        if response is not None:
                            await response(scope, receive, send)
                            return
                    receive = _held(body, receive)
                await self._app(scope, receive, send)

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive, key_id: str) -> bytes | None:
        """Returns the whole body, None if there is none. Raises TooLargeError, SlowBodyError or BusyKeyError."""
        length = headers.get(b"content-length", b"0")
        if length == b"0" and b"transfer-encoding" not in headers:
            return None
        if length.isdigit() and int(length) > MOST_BODY_BYTES:
            raise TooLargeError(f"at most {MOST_BODY_BYTES} bytes in a body")
        if self._reading_of[key_id] >= MOST_READING_OF_KEY:
            raise BusyKeyError(f"this key has {MOST_READING_OF_KEY} bodies on their way; finish them first")
        self._reading_of[key_id] += 1
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return await _whole(receive)
        except TimeoutError:
            raise SlowBodyError(f"the body did not arrive within {BODY_SECONDS:.0f} s") from None
        finally:
            self._reading_of[key_id] -= 1
            if not self._reading_of[key_id]:
                del self._reading_of[key_id]

    def _record(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        path = scope.get(_ROUTE) or getattr(scope.get("route"), "path", None) or "unknown"
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


def _held(body: bytes, receive: Receive) -> Receive:
    """Returns a `receive` that holds a whole body."""
    held: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_held() -> Message:
        return held.pop() if held else await receive()

    return receive_held


async def _is_whole(scope: Scope, receive: Receive) -> bool:
    """Returns whether all of a request that is refused has come already; nothing is waited for."""
    if scope.get(_READ):
        return True
    if any(name == b"expect" for name, _ in scope["headers"]):
        return False
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0):
            while (message := await receive())["type"] == "http.request":
                if not message.get("more_body", False):
                    return True
    return False


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
