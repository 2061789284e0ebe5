"""HTTP as uvicorn speaks it, with bounds on what comes before a request: seconds, bytes, connections, free places.

uvicorn waits for ever for the head of a request and keeps whatever comes meanwhile. Where every place is taken a
request is refused here, as soon as its head is whole: to make a request of it first costs several times as much, and
what is spent on refusing is taken from those that are answered. `traffic.py` bounds what follows.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from serving.api.errors import OverloadedError, problem_response
from serving.api.places import FULL, Places
from serving.api.traffic import UNBOUNDED

HEAD_SECONDS = 10.0
"""From the first byte that may begin a request until its head is whole."""
MOST_HEAD_BYTES = 64 * 1024
MOST_CONNECTIONS = 800
"""Below the 1,024 files that a process may commonly have open; the newest connection is closed, not an old one."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection: closed if the head of a request does not come whole in time, or is too long."""

    def __init__(
        self,
        places: Places,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._places = places
        self._waits: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._is_in_head = self._is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for the first head, or closes where too many are open."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes bytes; those of a head that is not whole are counted, and further ones do not extend its time."""
        super().data_received(data)
        if self._is_answering():
            self._stop_waiting()
        elif not self.transport.is_closing():
            self._head_bytes = self._head_bytes + len(data) if self._is_in_head else 0
            if self._head_bytes > MOST_HEAD_BYTES:
                self.send_400_response("The head of the request is too long.")
            elif self._waits is None:
                self._wait()

    def on_message_begin(self) -> None:
        """Begins a head."""
        self._is_in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begins a request, or refuses it where every place is taken."""
        self._is_in_head = False
        if self._places.is_full and not self._is_answering() and not self.url.startswith(_UNBOUNDED):
            self._is_refused = True
            self._places.note_refusal()
            self._unset_keepalive_if_required()
            # The answer to a HEAD has no body: what follows it would be taken for the next answer.
            stays = self.parser.should_keep_alive() and not self.expect_100_continue
            stays = stays and self.parser.get_method() != b"HEAD"
            self.transport.write(_REFUSAL if stays else _LAST_REFUSAL)
            if not stays:
                self.transport.close()
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Takes a part of a body; that of a refused request is dropped."""
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Ends a request."""
        if self._is_refused:
            self._is_refused = False
            self._stop_waiting()
            return
        super().on_message_complete()

    def _is_answering(self) -> bool:
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _wait(self) -> None:
        self._waits = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        self._head_bytes = 0
        if self._waits is not None:
            self._waits.cancel()
            self._waits = None

    def _give_up(self) -> None:
        self._waits = None
        if not self._is_answering() and not self.transport.is_closing():
            self.transport.close()


def _refusal(*further: tuple[bytes, bytes]) -> bytes:
    response = problem_response(OverloadedError.status, OverloadedError.code, FULL[0], remedy=FULL[1])
    headers = b"".join(name + b": " + value + b"\r\n" for name, value in (*response.raw_headers, *further))
    return b"HTTP/1.1 503 Service Unavailable\r\n" + headers + b"\r\n" + bytes(response.body)


_UNBOUNDED = tuple(path.encode() for path in UNBOUNDED)
_REFUSAL, _LAST_REFUSAL = _refusal(), _refusal((b"connection", b"close"))
