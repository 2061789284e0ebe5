"""What was known of a customer on a date, in plain Python: one dictionary a row, nothing of the product's expressions.

`Everybody` holds what a sentence asks of others than the customer: the catalogue, the accounts, the faults, who has left.
`Customer` holds the customer's own rows, each with `ago`, the civil days between it and the as-of date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from features.portraits.settings import Limits, load_settings

UTC = ZoneInfo("UTC")
WHOLE = 1_000_000
REACH = {
    "network_experience": 90, "channel_contacts": 180, "contacts": 180, "hotline_calls": 180, "outcomes": 180,
    "pack_orders": 180, "surveys": 180, "usage_daily": 180, "usage_monthly": 240, "bills": 400, "port_requests": 400,
    "roaming_sessions": 400, "tickets": 400,
}  # fmt: skip
"""How many days back the rows are read, as the head of the catalogue says; everything else whole."""

Row = dict[str, Any]
Where = Callable[[Row], Any]


def share(part: float | None, whole: float | None) -> float | None:
    """Returns part / whole; empty if there is nothing to divide by, or either is unknown."""
    return None if part is None or not whole else part / whole


@dataclass
class Everybody:
    """What was known on a date.

    Attributes:
        as_of: The date.
        zone: The operator's time zone.
        present: The feeds of which a row was known.
        newest: For feeds by day, the days since the newest day known of anybody.
    """

    as_of: date
    zone: ZoneInfo
    present: set[str] = field(default_factory=set)
    newest: dict[str, int] = field(default_factory=dict)
    catalogue: dict[str, list[Row]] = field(default_factory=dict)
    faults: dict[str, list[Row]] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    accounts: dict[str, list[Row]] = field(default_factory=dict)
    links: dict[str, list[Row]] = field(default_factory=dict)
    flags: dict[str, list[Row]] = field(default_factory=dict)
    limits: Limits = field(default_factory=lambda: load_settings().limits)

    def __post_init__(self) -> None:
        self.instant = datetime.combine(self.as_of, time(), self.zone).astimezone(UTC).replace(tzinfo=None)

    def day_of(self, instant: datetime) -> date:
        """Returns the civil day of a naive UTC instant."""
        return instant.replace(tzinfo=UTC).astimezone(self.zone).date()

    def ago(self, instant: datetime) -> int:
        """Returns the civil days between an instant and the as-of date."""
        return (self.as_of - self.day_of(instant)).days

    def known(self, feed: str, rows: Iterable[Row]) -> list[Row]:
        """Returns the rows that happened and were known before the date in their version of then, the oldest first."""
        reach, found = REACH.get(feed, WHOLE), []
        for row in rows:
            if row["known_at"] >= self.instant:
                continue
            if row["superseded_at"] is not None and row["superseded_at"] < self.instant:
                continue
            at = row.get("event_at")
            if at is None:
                found.append(row)
            elif at < self.instant and (ago := self.ago(at)) <= reach:
                found.append({**row, "ago": ago})
        if found:
            self.present.add(feed)
        return sorted(found, key=lambda r: (r.get("event_at") or r["known_at"], r["known_at"], r.get("event_id") or ""))

    def learn(self, feeds: Mapping[str, Iterable[Row]]) -> Everybody:
        """Takes in the feeds that tell of others than one customer; returns itself."""
        for feed in ("plans", "packs"):
            for row in self.known(feed, feeds.get(feed, ())):
                self.catalogue.setdefault(row[f"{feed[:-1]}_id"], []).append(row)
        for row in self.known("network_faults", feeds.get("network_faults", ())):
            self.faults.setdefault(row["fault_id"], []).append(row)
        for row in self.known("terminations", feeds.get("terminations", ())):
            self.ended[row["customer_id"]] = max(row["ago"], self.ended.get(row["customer_id"], 0))
        for row in self.known("person_links", feeds.get("person_links", ())):
            self.accounts.setdefault(row["account_id"], []).append(row)
            self.links.setdefault(row["customer_id"], []).append(row)
        for row in self.known("number_flags", feeds.get("number_flags", ())):
            self.flags.setdefault(row["customer_id"], []).append(row)
        return self

    def terms(self, plan: str | None) -> Row:
        """Returns the terms of a plan by its newest version that has begun; an empty row if there are none."""
        begun = [row for row in self.catalogue.get(plan or "", ()) if row["valid_from"] <= self.as_of]
        return max(begun, key=lambda row: row["valid_from"], default={})


class Customer:
    """One customer's rows as known on a date."""

    def __init__(self, everybody: Everybody, name: str, rows: Mapping[str, Iterable[Row]]):
        self.everybody, self.name = everybody, name
        self.as_of, self.limits = everybody.as_of, everybody.limits
        self._rows = {feed: everybody.known(feed, some) for feed, some in rows.items()}

    def rows(self, feed: str, days: int = WHOLE, where: Where = bool) -> list[Row]:
        """Returns the rows of a feed in `days` before the date, the oldest first."""
        return [row for row in self._rows.get(feed, ()) if row["ago"] <= days and where(row)]

    def count(self, feed: str, days: int, where: Where = bool) -> int:
        """Returns how many rows lie in a window."""
        return len(self.rows(feed, days, where))

    def total(self, feed: str, column: str, days: int, where: Where = bool, of: Where = bool) -> int | None:
        """Returns the sum of a column in a window: 0 without rows, empty where no row `of` these has the value."""
        rows = self.rows(feed, where=of)
        if rows and all(row[column] is None for row in rows):
            return None
        return sum(row[column] or 0 for row in rows if row["ago"] <= days and where(row))

    def newest(self, feed: str, where: Where = bool) -> int | None:
        """Returns the days since the newest row."""
        return min((row["ago"] for row in self.rows(feed, where=where)), default=None)

    def state(self, feed: str, where: Where = bool) -> Row:
        """Returns the newest row; an empty one if there is none."""
        rows = self.rows(feed, where=where)
        return rows[-1] if rows else {}

    def since(self, day: date | None) -> int | None:
        """Returns the days since a day."""
        return (self.as_of - day).days if day else None

    def trend(self, feed: str, column: str, short: int, long: int) -> float | None:
        """Returns a known day's mean of the short window over that of the long one."""
        rows = self.rows(feed)
        first = max((row["ago"] for row in rows), default=0)
        newest = self.everybody.newest.get(feed, WHOLE)
        days = [max(min(window, first) - newest + 1, 0) for window in (short, long)]
        totals = [self.total(feed, column, window) for window in (short, long)]
        if first <= short or None in totals:
            return None
        return share(totals[0] * days[1], days[0] * totals[1])


def newest_days(rows: Iterable[Row]) -> int:
    """Returns the days since the newest of anybody's rows that carry `ago`."""
    return min((row["ago"] for row in rows), default=WHOLE)


def month_after(day: date) -> date:
    """Returns the first day of the next month."""
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1)
