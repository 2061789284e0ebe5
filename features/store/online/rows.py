"""What both online stores exchange with the wrapper: rows read, and blocks of customers to write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from features.kit.errors import DataError
from features.store.online.feast_layout import encode_text, vector_header
from features.store.online.pointer import Pointer


class StoredRow(NamedTuple):
    """The serialised fields of one customer in one view; None is a field that is not there."""

    event_epoch: int  # their common event time in epoch seconds; -1 if they carry two
    facts: bytes | None
    feature_list: bytes | None
    values: bytes | None


class Owner(NamedTuple):
    """The home that a store belongs to.

    Attributes:
        home_id: Its id.
        lives_at: Its folder, for a store on a server; empty for one that moves with it.
    """

    home_id: str
    lives_at: str


@dataclass(frozen=True)
class Block:
    """Some customers of one as-of date, ready to be written.

    Attributes:
        matrix: float32 [customers, features]; NaN is missing.
        facts: Canonical JSON per customer.
        identity: The feature-list identity of the vectors.
        event_epoch: The as-of instant in epoch seconds.
    """

    ids: Sequence[str]
    matrix: np.ndarray
    facts: Sequence[str]
    identity: str
    event_epoch: int

    def __post_init__(self) -> None:
        lengths = len(self.ids), len(self.matrix), len(self.facts)
        if len(set(lengths)) != 1:
            raise DataError(f"portraits: a block of {lengths[0]} customers, {lengths[1]} vectors, {lengths[2]} facts")

    def vector_values(self) -> bytes:
        """Returns the customers' vectors as serialised `Value`s, all of one length, one after the other."""
        width = self.matrix.shape[1]
        header = np.frombuffer(vector_header(width), dtype=np.uint8)
        content = np.empty((len(self.matrix), len(header) + 4 * width), dtype=np.uint8)
        content[:, : len(header)] = header
        content[:, len(header) :] = np.ascontiguousarray(self.matrix, dtype="<f4").view(np.uint8).reshape(-1, 4 * width)
        return content.tobytes()

    def identity_value(self) -> bytes:
        """Returns the feature-list identity as a serialised `Value`."""
        return encode_text(self.identity)


class OnlineStore(Protocol):
    """What an online store must do for the wrapper and for publishing. One suite tests every store.

    Attributes:
        is_local: Whether it is a file of this machine; reading a few rows then waits for nobody.
    """

    is_local: bool

    def pointer(self) -> Pointer | None:
        """Returns what is live."""

    def read(self, ids: Sequence[str]) -> tuple[Pointer | None, list[StoredRow | None]]:
        """Returns the pointer and the live rows in the order of `ids`, all of one publish."""

    def read_view(self, view: str, ids: Sequence[str]) -> list[StoredRow | None]:
        """Returns a view's rows in the order of `ids`."""

    def clear(self, view: str) -> None:
        """Empties the idle view."""

    def fill(self, view: str, block: Block) -> None:
        """Adds a block of customers to the idle view."""

    def count(self, view: str, event_epoch: int) -> tuple[int, int]:
        """Returns how many customers of a view are whole and of that event time, and how many it holds at all."""

    def switch(self, pointer: Pointer) -> None:
        """Makes a view live."""

    def owner(self) -> Owner | None:
        """Returns the home that the store belongs to, or None before its first publish."""

    def take(self, owner: Owner, *, over: bool) -> None:
        """Gives the store to a home; one that has an owner keeps it unless `over`."""

    def forget(self, ids: Sequence[str]) -> int:
        """Removes customers from both views, for good; returns how many were live."""

    def rewrite(self) -> bool:
        """Writes what the store keeps on disk anew, without anything removed; returns False where it may not."""

    def close(self) -> None:
        """Gives its connections back."""
