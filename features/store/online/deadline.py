"""The deadline of a request: whatever it asks of the online store, in however many round trips, shares one budget."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf
from typing import Any

_spent: ContextVar[list[float] | None] = ContextVar("spent", default=None)
_ends: ContextVar[float] = ContextVar("ends", default=inf)


@contextmanager
def one_deadline() -> Iterator[None]:
    """Lets every read inside share the store's deadline; without it each read has the whole of it."""
    token = _spent.set([0.0])
    try:
        yield
    finally:
        _spent.reset(token)


@contextmanager
def within(seconds: float) -> Iterator[float]:
    """Yields the instant (`time.monotonic`) by which a read must end, the earlier reads of a request counted."""
    spent, begun = _spent.get(), time.monotonic()
    ends = begun + seconds - (spent[0] if spent else 0.0)
    token = _ends.set(ends)
    try:
        yield ends
    finally:
        _ends.reset(token)
        if spent is not None:
            spent[0] += time.monotonic() - begun


def seconds_left() -> float:
    """Returns the seconds that the read under way still has. Raises TimeoutError where there are none."""
    left = _ends.get() - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class TimedSocket:
    """A socket whose exchanges end with the read under way: a server that sends a byte now and then gains nothing."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._timeout: float | None = inner.gettimeout()

    def __getattr__(self, name: str) -> Any:
        """Returns what the socket itself has."""
        return getattr(self._inner, name)

    def settimeout(self, seconds: float | None) -> None:
        """Sets how long one exchange may take at most."""
        self._timeout = seconds
        self._inner.settimeout(seconds)

    def recv(self, *arguments: Any) -> Any:
        """Returns what has come."""
        self._set()
        return self._inner.recv(*arguments)

    def recv_into(self, *arguments: Any) -> Any:
        """Returns how many bytes have come."""
        self._set()
        return self._inner.recv_into(*arguments)

    def sendall(self, *arguments: Any) -> None:
        """Sends everything."""
        self._set()
        self._inner.sendall(*arguments)

    def _set(self) -> None:
        if self._timeout != 0:  # 0 asks what is there already
            left = seconds_left()
            self._inner.settimeout(left if self._timeout is None else min(left, self._timeout))
