"""What happens to every request: an id, a bound on how many are answered at once, a size limit, figures, a log line."""

from __future__ import annotations

import secrets
import time
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from features.kit.log import get_logger
from serving.api.errors import OverloadedError, problem_response

MOST_AT_ONCE = 64
MOST_BODY_BYTES = 2 * 1024 * 1024
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_UNBOUNDED = ("/livez", "/readyz", "/metrics", "/version")


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
        self.age = Gauge("insight_portrait_age_hours", "Age of the live portraits.", registry=self.registry)


class Traffic:
    """The outermost ASGI layer."""

    def __init__(self, app: ASGIApp, figures: Figures, *, most_at_once: int = MOST_AT_ONCE) -> None:
        self._app = app
        self._figures = figures
        self._most = most_at_once
        self._now = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on and records what became of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope["insight.request_id"] = secrets.token_hex(6)
        started = time.perf_counter()
        answer = {"status": 500}

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        bounded = scope["path"] not in _UNBOUNDED
        self._now += bounded
        try:
            refusal = self._refusal(scope, request_id) if bounded else None
            await (refusal or self._app)(scope, receive, send_with_id)
        finally:
            self._now -= bounded
            self._record(scope, answer["status"], time.perf_counter() - started, request_id)

    def _refusal(self, scope: Scope, request_id: str) -> ASGIApp | None:
        if self._now > self._most:
            error = OverloadedError("too many requests at once", remedy="try again after `Retry-After` seconds")
            return problem_response(error.status, error.code, error.message, remedy=error.remedy, request_id=request_id)
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if length.isdigit() and int(length) > MOST_BODY_BYTES:
            return problem_response(
                413, "too_large", f"at most {MOST_BODY_BYTES} bytes in a body", request_id=request_id
            )
        return None

    def _record(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route: Any = scope.get("route")
        path = getattr(route, "path", None) or "unknown"
        self._figures.requests.labels(scope["method"], path, status).inc()
        self._figures.seconds.labels(path).observe(seconds)
        get_logger().info(
            "request",
            request_id=request_id,
            key_id=scope.get("insight.key_id"),
            method=scope["method"],
            route=path,
            status=status,
            seconds=round(seconds, 4),
        )
