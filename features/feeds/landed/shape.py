"""The SQL shape of a landed feed: its key, its event id, its columns."""

from __future__ import annotations

from dataclasses import dataclass

from features.feeds.schema import Feed, Grain
from features.feeds.times import to_local
from features.kit.sql import literal, quoted


@dataclass(frozen=True)
class Shape:
    """How one feed's rows look in Parquet."""

    feed: Feed
    zone: str  # the operator's time zone; months are civil months there
    replaces_period: bool = False  # whether a delivery of a period removes what it no longer holds

    @property
    def owner(self) -> list[str]:
        """Returns the customer column, if the feed has one."""
        return [] if self.feed.reference else ["customer_id"]

    @property
    def stores_event_id(self) -> bool:
        """Tells whether the id is a column; a day's or a month's id is computed from its key when asked for."""
        return self.feed.grain is Grain.INSTANT

    @property
    def identity(self) -> list[str]:
        """Returns the columns that identify an event."""
        return ["event_id"] if self.stores_event_id else list(self.feed.key)

    @property
    def content(self) -> list[str]:
        """Returns the columns whose change makes a new version."""
        return [*self.owner, "event_at", *(column.name for column in self.feed.columns)]

    @property
    def stored(self) -> list[str]:
        """Returns the columns of the Parquet files, in order."""
        ids = ["event_id"] if self.stores_event_id else []
        times = ["event_at", "known_at", "superseded_at", "arrived_at"]
        return [*self.owner, *ids, *times, *(column.name for column in self.feed.columns)]

    @property
    def columns(self) -> str:
        """Returns the stored columns as SQL."""
        return ", ".join(quoted(name) for name in self.stored)

    @property
    def by_month(self) -> bool:
        """Tells whether the feed has one file a month."""
        return not (self.feed.reference or self.feed.is_timeless)

    @property
    def order(self) -> str:
        """Returns the total order of rows within a file."""
        names = [*self.owner, "event_at", *self.identity, "known_at", "superseded_at", *self.content]
        return ", ".join(quoted(name) for name in dict.fromkeys(names))

    def month_of(self, instant: str) -> str:
        """Returns SQL for the civil month, "2026-05", of an instant, or "all"."""
        return f"strftime({to_local(instant, self.zone)}, '%Y-%m')" if self.by_month else "'all'"

    def period_of(self, instant: str) -> str:
        """Returns SQL for the period that a re-delivery replaces."""
        if self.feed.grain is Grain.DAY:
            return instant
        return f"strftime({to_local(instant, self.zone)}, '%Y-%m')"


def event_id_sql(feed: Feed) -> str:
    """Returns SQL for an event's id from its natural key: 24 hex digits, equal on every machine."""
    parts = ", ".join(f"CAST({quoted(name)} AS VARCHAR)" for name in feed.key)
    return f"left(md5(concat_ws('|', {literal(feed.name)}, {parts})), 24)"
