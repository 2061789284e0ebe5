"""The one pointer that says which online view is live. It is the truth; everything else follows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any

import orjson

from features.kit.errors import StateError
from features.store.online.feast_layout import VIEWS


@dataclass(frozen=True)
class Pointer:
    """What is live in the online store."""

    view: str  # the live view, `portrait_a` or `portrait_b`
    as_of: date  # the as-of date of every portrait in it
    identity: str  # the feature-list identity of its vectors
    published_at: datetime  # when it was switched live, UTC
    rows: int  # customers in it, as counted before the switch
    event_at: datetime  # the as-of instant, UTC; only rows of this event time are accepted
    sequence: int  # number of the publish, one more each time; no two publishes look alike

    @property
    def idle_view(self) -> str:
        """Returns the view that no reader uses."""
        return VIEWS[1] if self.view == VIEWS[0] else VIEWS[0]

    @cached_property
    def event_epoch(self) -> int:
        """Returns the as-of instant in epoch seconds, as both stores keep it."""
        return int(self.event_at.timestamp())

    def to_json(self) -> bytes:
        """Returns canonical JSON."""
        return orjson.dumps(self, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def from_json(cls, content: bytes) -> Pointer:
        """Returns the pointer written by `to_json`. Raises StateError for anything else."""
        try:
            fields: Any = orjson.loads(content)
        except orjson.JSONDecodeError:
            fields = None
        return cls.of(fields)

    @classmethod
    def of(cls, fields: Any) -> Pointer:
        """Returns the pointer of its stored fields. Raises StateError if they are not one."""
        try:
            instants = {name: datetime.fromisoformat(fields[name]) for name in ("published_at", "event_at")}
            found = cls(**fields | {name: at.astimezone(UTC) for name, at in instants.items()}
                        | {"as_of": date.fromisoformat(fields["as_of"])})  # fmt: skip
            whole = found.view in VIEWS and type(found.rows) is type(found.sequence) is int
        except (TypeError, ValueError, KeyError, OverflowError):
            whole = False
        if not whole:
            raise StateError("the pointer of the online store is garbled", remedy="run `insight publish`")
        return found
