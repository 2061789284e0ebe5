"""Who may ask for what: every route declares its decision, and a route without one fails a test.

    needs("scores:read")   a key with that scope, or with one of several
    open_to_all("why")     no key; the reason is written at the route

Row scope (a key of one province or city) is decided in one place, `may_see`: a customer outside it is answered
exactly like one that does not exist. Every path under `/v1/` needs a key, and no other does (`traffic.py`).
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool
from starlette.types import Scope

from features.kit.errors import NotPermittedError
from serving.api.errors import UnauthenticatedError
from serving.database.keys import SCOPES, ApiKey, find_key

KEY_SECONDS = 1.0
"""How long a process trusts a key that it has just checked: a revoked key works at most this much longer."""

_MOST_KEYS = 1000
_bearer = HTTPBearer(auto_error=False, description="An API key: `insight keys create NAME --scope scores:read`.")


class KeyRing:
    """The API keys as one process knows them: looked up in the database, trusted for a second. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._known: dict[bytes, tuple[float, ApiKey]] = {}

    def trusted(self, presented: str) -> ApiKey | None:
        """Returns the key if it was checked a moment ago; asks no database."""
        known = self._known.get(_digest(presented))
        return known[1] if known is not None and time.monotonic() < known[0] else None

    def find(self, presented: str) -> ApiKey | None:
        """Returns the key whose full text was presented, or None; asks the database."""
        key = find_key(self._engine, presented)
        with self._lock:
            if key is None:
                self._known.pop(_digest(presented), None)
            else:
                if len(self._known) >= _MOST_KEYS:
                    self._known.clear()
                self._known[_digest(presented)] = (time.monotonic() + KEY_SECONDS, key)
        return key


def _digest(presented: str) -> bytes:
    return hashlib.sha256(presented.encode()).digest()


async def authenticate(scope: Scope) -> ApiKey:
    """Returns the key of a request by its headers alone. Raises UnauthenticatedError (401)."""
    header = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
    scheme, _, presented = header.partition(" ")
    if scheme.lower() != "bearer" or not presented:
        raise UnauthenticatedError("no API key", remedy="send `Authorization: Bearer ik_...`")
    ring: KeyRing = scope["app"].state.context.keys
    key = ring.trusted(presented) or await run_in_threadpool(ring.find, presented)
    if key is None:
        raise UnauthenticatedError("this API key does not work", remedy="ask for a new one")
    return key


class Needs:
    """A route's decision: a working key with one of the scopes. As a dependency it gives the key."""

    def __init__(self, *scopes: str) -> None:
        unknown = set(scopes) - SCOPES.keys()
        if unknown or not scopes:
            raise ValueError(f"a route needs known scopes, not {sorted(unknown)}")
        self.scopes = scopes

    async def __call__(
        self, request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> ApiKey:
        """Returns the caller's key, which was checked before the body was read. Raises NotPermittedError (403)."""
        key: ApiKey = request.scope["insight.key"]
        if not key.scopes.intersection(self.scopes):
            raise NotPermittedError(f"the key '{key.key_id}' lacks the scope {' or '.join(self.scopes)}")
        return key


class OpenToAll:
    """A route's decision: anybody may ask."""

    def __init__(self, why: str) -> None:
        self.why = why

    async def __call__(self) -> None:
        """Lets everybody in."""


def needs(*scopes: str) -> Any:
    """Returns the dependency of a route that needs a key with one of these scopes."""
    return Depends(Needs(*scopes))


def open_to_all(why: str) -> Any:
    """Returns the dependency of a route that anybody may ask."""
    return Depends(OpenToAll(why))


def may_see(key: ApiKey, place: Mapping[str, Any]) -> bool:
    """Returns whether a key may see a row with this `province` and `city`; an unknown place is foreign."""
    return (key.province is None or place.get("province") == key.province) and (
        key.city is None or place.get("city") == key.city
    )


def is_row_scoped(key: ApiKey) -> bool:
    """Returns whether a key sees only some rows."""
    return key.province is not None or key.city is not None
