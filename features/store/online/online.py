"""The only door to the latest portraits: one pointer read a request, rows of the pointer's as-of date and no others.

Feast is never imported here; the service starts without it. Event time, freshness and missing marks are judged by
value and time stamp, never by a store's status.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple, Self, cast

import numpy as np

from features.kit.errors import InsightError, NotReadyError, StateError
from features.kit.home import Home
from features.store.online.belonging import check_belongs
from features.store.online.feast_layout import decode_text, decode_vectors, encode_text
from features.store.online.pointer import Pointer
from features.store.online.published import Published
from features.store.online.rows import OnlineStore, StoredRow
from features.store.online.sqlite_online import SqliteStore
from features.store.settings import RedisOnline, StoreSettings

if TYPE_CHECKING:
    from features.portraits.feature_list import FeatureList


class OnlinePortrait(NamedTuple):
    """The latest portrait of one customer.

    Attributes:
        values: float32 in the order of the feature list, read-only; NaN is missing.
        facts: Canonical JSON: class, `also`, missing dimensions, every slot that a reason may say, the card.
    """

    customer_id: str
    values: np.ndarray
    facts: str
    as_of: date

    @property
    def missing(self) -> int:
        """Returns how many features are missing."""
        return int(np.isnan(self.values).sum())


@dataclass(frozen=True)
class OnlineBatch:
    """What one request read: every portrait is of the pointer's as-of date."""

    pointer: Pointer
    portraits: list[OnlinePortrait | None]  # in the order asked; None is an unknown customer, or a lost one
    lost: frozenset[str] = frozenset()  # whom the publish held and the store does not give back whole

    def age_hours(self, now: datetime) -> float:
        """Returns how old the portraits are at `now` (UTC), in hours since their as-of instant."""
        return (now - self.pointer.event_at).total_seconds() / 3600


class OnlinePortraits:
    """Reads the live portraits; one instance may serve many threads."""

    def __init__(self, home: Home, store: OnlineStore) -> None:
        self._home = home
        self._store = store
        self._list: tuple[Pointer, FeatureList] | None = None
        self._published = Published(home)

    @classmethod
    def open(cls, home: Home, settings: StoreSettings | None = None) -> Self:
        """Returns the door to a home's online store; nothing is read yet.

        Raises:
            ConfigurationError, HomeError, NotReadyError: As `open_store`.
        """
        return cls(home, open_store(home, settings or StoreSettings.load()))

    def pointer(self) -> Pointer:
        """Returns what is live. Raises NotReadyError before the first publish or past the deadline."""
        return _published(self._store.pointer())

    def read(self, ids: Sequence[str]) -> list[OnlinePortrait | None]:
        """Returns the live portraits in the order of `ids`; None is an unknown customer.

        Raises:
            NotReadyError: Before the first publish, or if the store does not answer within its deadline.
        """
        return self.read_batch(ids).portraits

    def read_batch(self, ids: Sequence[str]) -> OnlineBatch:
        """Returns the live portraits with the pointer they were read under (see `read`)."""
        pointer, found = self._found(ids)
        absent = [one for one, portrait in zip(ids, found, strict=True) if portrait is None]
        return OnlineBatch(pointer, found, self._published.among(pointer, absent) if absent else frozenset())

    def read_at_once(self, ids: Sequence[str]) -> OnlineBatch | None:
        """Returns the live portraits as `read_batch`, or None where it would wait for a network or a larger file."""
        if not self._store.is_local:
            return None
        pointer, found = self._found(ids)
        return None if None in found else OnlineBatch(pointer, found)

    def _found(self, ids: Sequence[str]) -> tuple[Pointer, list[OnlinePortrait | None]]:
        pointer, rows = self._store.read(ids)
        pointer = _published(pointer)
        return pointer, _accepted(ids, rows, pointer)

    def check_sample(self) -> None:
        """Reads some of the customers that are live. Raises StateError if the store has lost one of them."""
        pointer = self.pointer()
        lost = self.read_batch(self._published.sample(pointer)).lost
        if lost:
            raise StateError(f"the online store has lost portraits of {pointer.as_of}", remedy="run `insight publish`")

    def facts_of(self, pointer: Pointer, ids: Sequence[str]) -> dict[str, str]:
        """Returns the facts of published customers from the home's own portraits, for those that the store has lost."""
        return self._published.facts_of(pointer, ids)

    @property
    def feature_list(self) -> FeatureList:
        """Returns the feature list of the live vectors. Raises NotReadyError if it is not in this home."""
        return self.feature_list_of(self.pointer())

    def feature_list_of(self, pointer: Pointer) -> FeatureList:
        """Returns the feature list of a batch's vectors. Raises NotReadyError if it is not in this home."""
        from features.portraits.feature_list import FeatureList

        held = self._list  # another thread may exchange it at any time
        if held is None or held[0] != pointer:
            held = self._list = (pointer, FeatureList.load_identity(self._home, pointer.identity))
        return held[1]

    def close(self) -> None:
        """Gives the store's connections back."""
        self._store.close()


def open_store(home: Home, settings: StoreSettings) -> OnlineStore:
    """Returns the configured online store, if it is this home's.

    Raises:
        ConfigurationError: If the configuration is wrong or names another store than this home's, or Redis evicts keys.
        HomeError: If the store is not this home's.
        NotReadyError: If the store cannot be reached.
    """
    store = connect(home, settings)
    try:
        check_belongs(home, store, settings)
    except InsightError:
        store.close()
        raise
    return store


def connect(home: Home, settings: StoreSettings) -> OnlineStore:
    """Returns the configured online store, whoever it belongs to. Raises ConfigurationError and NotReadyError."""
    online = settings.online
    if isinstance(online, RedisOnline):
        from features.store.online.redis_online import RedisStore

        return RedisStore(online, settings.project)
    return SqliteStore(home.store / "online.db", settings.project, deadline_ms=online.deadline_ms)


def _published(pointer: Pointer | None) -> Pointer:
    if pointer is None:
        raise NotReadyError("the online store holds no published portraits", remedy="run `insight publish`")
    return pointer


def _accepted(ids: Sequence[str], rows: Sequence[StoredRow | None], pointer: Pointer) -> list[OnlinePortrait | None]:
    """Returns each row as a portrait if it is whole, of the pointer's event time and of its identity, else None."""
    identity, event_epoch, as_of = encode_text(pointer.identity), pointer.event_epoch, pointer.as_of
    is_whole = [
        row is not None
        and row.event_epoch == event_epoch
        and row.feature_list == identity
        and row.values is not None
        and row.facts is not None
        for row in rows
    ]
    whole = cast("list[StoredRow]", [row for row, holds in zip(rows, is_whole, strict=True) if holds])
    vectors = iter(decode_vectors([cast("bytes", row.values) for row in whole]))
    found: list[OnlinePortrait | None] = []
    for one, row, holds in zip(ids, rows, is_whole, strict=True):
        vector = next(vectors) if holds else None
        if vector is None or row is None or row.facts is None:
            found.append(None)
            continue
        try:
            found.append(OnlinePortrait(one, vector, decode_text(row.facts), as_of))
        except ValueError:
            found.append(None)
    return found
