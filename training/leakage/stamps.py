"""Finds rows that claim to have been known before their own content could be: a wrong `known_at` of the mapping.

A ticket known at noon with a closing time of next week was written next week. Such rows reach portraits of days on
which nobody knew them. Each rule names the field that is too young; the features that read it are found by computing a
sample of customers with and without those fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from features.feeds.contracts import FEEDS
from features.feeds.landed.reading import Feeds
from features.feeds.schema import Kind
from features.feeds.times import to_utc
from training.leakage.findings import Leak, leak
from training.leakage.replay import Alter, aligned, differing, replayed

SAMPLE = 200
MIN_ROWS = 5


@dataclass(frozen=True)
class Stamp:
    """A field that must not be younger than its row's knowledge time."""

    feed: str
    column: str  # the field, an instant or a date
    kind: str  # the kind of leak if it is
    with_it: tuple[str, ...] = ()  # further fields that were written at the same moment


STAMPS = (
    Stamp("tickets", "closed_at", "closing_fields", ("satisfaction", "status")),
    Stamp("tickets", "opened_at", "known_later"),
    Stamp("bills", "paid_at", "known_later"),
    Stamp("terminations", "last_used_on", "known_later"),
    Stamp("customers", "activated_on", "overwritten_snapshot"),
    Stamp("customers", "device_since", "overwritten_snapshot"),
    Stamp("fixed_services", "last_active_on", "overwritten_snapshot"),
    Stamp("subscriptions", "ordered_at", "overwritten_snapshot"),
)


def young_fields(feeds: Feeds, as_of: date, *, threads: int = 1) -> tuple[Leak, ...]:
    """Returns the features that read fields younger than their rows' knowledge time, by name.

    The features are compared on `as_of`.
    """
    found: dict[str, Leak] = {}
    with feeds.connect(threads=threads) as connection:
        for stamp in STAMPS:
            if not feeds.has(stamp.feed):
                continue
            bad = _too_young(stamp, feeds.operator.time_zone)
            total, count = connection.execute(f"SELECT count(*), count(*) FILTER ({bad}) FROM {stamp.feed}").fetchone()
            if count < MIN_ROWS:
                continue
            evidence = (
                f"{count:,} of {total:,} rows of {stamp.feed} are stamped as known before their own {stamp.column}"
            )
            known = feeds.as_known_sql(stamp.feed, as_of)
            customers = connection.execute(
                f"SELECT DISTINCT customer_id FROM ({known}) WHERE {bad} ORDER BY customer_id LIMIT {SAMPLE}"
            ).fetchall()
            names = _reached(feeds, as_of, [str(row[0]) for row in customers], stamp, bad, threads=threads)
            for name in names:
                found.setdefault(name, leak(name, stamp.kind, evidence))
            if not names:
                name = f"{stamp.feed}.{stamp.column}"
                found[name] = leak(name, stamp.kind, f"{evidence}; no feature reads it", effect="reported")
    return tuple(found[name] for name in sorted(found))


def _reached(
    feeds: Feeds, as_of: date, customers: Sequence[str], stamp: Stamp, bad: str, *, threads: int
) -> Sequence[str]:
    """Returns the features that change if the young fields are blanked."""
    if not customers:
        return ()
    tables = [
        aligned(replayed(feeds, as_of, customers, alter=alter, threads=threads), customers)
        for alter in ({}, {stamp.feed: _without_young(stamp, bad)})
    ]
    names = [name for name in tables[0].column_names if name != "customer_id"]
    return list(differing(tables[0], tables[1], names))


def _without_young(stamp: Stamp, bad: str) -> Alter:
    def blank(column: str) -> str:
        instead = "'open'" if column == "status" else "NULL"
        return f"CASE WHEN {bad} THEN {instead} ELSE {column} END AS {column}"

    fields = ", ".join(blank(column) for column in (stamp.column, *stamp.with_it))
    return lambda known: f"SELECT * REPLACE ({fields}) FROM ({known})"


def _too_young(stamp: Stamp, zone: str) -> str:
    column = FEEDS[stamp.feed].by_name[stamp.column]
    instant = column.name if column.kind is Kind.INSTANT else to_utc(f"CAST({column.name} AS TIMESTAMP)", zone)
    return f"coalesce({instant} > known_at, false)"
