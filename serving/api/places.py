"""The places of the requests that are answered at a time: how many in all, of one key, and in each lane.

What finds no place is refused at once; what has one may wait for its lane, without a thread. More threads finish
nothing sooner, and keep the loop from refusing.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter as Tally
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from features.kit.log import get_logger
from serving.api.errors import OverloadedError

MOST_AT_ONCE = 64
OF_ONE_KEY = 0.75
"""The share of the places that one key may take."""
AT_WORK = {"ledger": 12, "base": 2, "customers": 2}
"""Requests worked on at a time: those that may wait for the ledger, those that read all customers, the others. The
first must not keep the last from working, and are more than `session.MOST_WAITING`."""
_OF_LEDGER = ("/v1/contacts", "/v1/outcomes", "/v1/outreach", "/v1/lookups")
FULL = "too many requests at once", "try again after `Retry-After` seconds"
_LOG_SECONDS = 1.0


class BusyKeyError(OverloadedError, status=HTTPStatus.TOO_MANY_REQUESTS, code="too_many_requests"):
    """One key has more requests under way than its share."""


class Places:
    """Who is being answered by this process. Used by its event loop alone."""

    def __init__(self, most: int = MOST_AT_ONCE) -> None:
        self._most = most
        self._most_of_key = max(1, int(OF_ONE_KEY * most))
        self._now = 0
        self._now_of: Tally[str] = Tally()
        self._lanes = {lane: asyncio.Semaphore(at_a_time) for lane, at_a_time in AT_WORK.items()}
        self._refused = 0
        self._logged_at = 0.0
        self.full_since: float | None = None

    @property
    def is_full(self) -> bool:
        """Whether every place is taken."""
        return self._now >= self._most

    def check(self, key_id: str = "") -> None:
        """Raises OverloadedError if no place is free, or BusyKeyError if the key has its share already."""
        if self.is_full:
            raise OverloadedError(FULL[0], remedy=FULL[1])
        if key_id and self._now_of[key_id] >= self._most_of_key:
            raise BusyKeyError(f"this key has {self._most_of_key} requests under way; send fewer at once")

    @asynccontextmanager
    async def hold(self, key_id: str, path: str) -> AsyncIterator[None]:
        """Takes a place and waits for its lane. Raises as `check`."""
        self.check(key_id)
        self._now += 1
        self._now_of[key_id] += 1
        if self.is_full and self.full_since is None:
            self.full_since = time.monotonic()
        try:
            async with self._lanes[_lane_of(path)]:
                yield
        finally:
            self._now -= 1
            self.full_since = None
            self._now_of[key_id] -= 1
            if not self._now_of[key_id]:
                del self._now_of[key_id]

    def note_refusal(self) -> None:
        """Counts a request that was refused unread; one line a second says how many."""
        self._refused += 1
        if time.monotonic() - self._logged_at > _LOG_SECONDS:
            get_logger().warning("overloaded", count=self._refused)
            self._refused, self._logged_at = 0, time.monotonic()


def _lane_of(path: str) -> str:
    if path.startswith(_OF_LEDGER):
        return "ledger"
    return "base" if path.startswith("/v1/audiences") else "customers"
