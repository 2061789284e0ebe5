"""Portraits computed once more for a sample of customers, from rows that are restricted or altered on purpose.

`Altered` feeds answer the question "what was known on D" in another way than the landed feeds do; the portrait's own
expressions then run on them unchanged. So it shows which features a group of rows reaches, and what a feature would be
if something later had been known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.feeds.landed.reading import Feeds
from features.kit.arrays import Vectors
from features.kit.sql import literals
from features.portraits.build.build import features_of, request_of
from features.portraits.build.plans import plan_of
from features.portraits.settings import load_settings
from features.portraits.sources.engines import DuckDBEngine
from features.portraits.sources.staging import Moment

Alter = Callable[[str], str]
"""From the query for what was known to the query for what shall count as known."""

PER_CUSTOMER = frozenset(
    {
        "usage_daily", "usage_monthly", "network_experience", "hotline_calls", "channel_contacts", "bills", "tickets",
        "roaming_sessions", "pack_orders", "contacts", "outcomes", "surveys",
    }
)  # fmt: skip
"""Feeds of which only the sample's own rows matter; a portrait reads the others across an account, too."""


@dataclass(frozen=True)
class Altered(Feeds):
    """Landed feeds in which something else was known."""

    customers: tuple[str, ...] = ()
    alter: Mapping[str, Alter] = field(default_factory=dict)  # feed -> its other answer

    def as_known_sql(self, feed: str, as_of: date) -> str:
        """Returns the query for what shall count as known on a date, for the sample's customers."""
        known = super().as_known_sql(feed, as_of)
        if feed in self.alter:
            known = self.alter[feed](known)
        if feed not in PER_CUSTOMER:
            return known
        return f"SELECT * FROM ({known}) WHERE customer_id IN ({literals(self.customers)})"


def replayed(
    feeds: Feeds, as_of: date, customers: Sequence[str], *, alter: Mapping[str, Alter] | None = None, threads: int = 1
) -> pa.Table:
    """Returns the portraits of a date computed once more: `customer_id` and every feature, sorted, sample only.

    `alter` says by feed what shall count as known instead.
    """
    zone, request = feeds.operator.time_zone, request_of(feeds, load_settings())
    altered = Altered(feeds.home, feeds.manifest, tuple(customers), dict(alter or {}))
    with feeds.connect(threads=threads) as connection:
        engine = DuckDBEngine(connection)
        plan = plan_of(engine, request)
        features_of(engine, altered, plan, Moment(as_of, zone))
        table = engine.arrow("SELECT * FROM portrait_features ORDER BY customer_id")
    keep = pa.compute.is_in(table["customer_id"].cast(pa.string()), value_set=pa.array(list(customers), pa.string()))
    return table.filter(keep)


def aligned(table: pa.Table, customers: Sequence[str]) -> pa.Table:
    """Returns the rows of a table in the order of some customers; one that is absent gives blanks."""
    return table.take(
        pc.index_in(pa.array(list(customers), pa.string()), value_set=table["customer_id"].cast(pa.string()))
    )


def differing(first: pa.Table, second: pa.Table, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns the columns in which two tables of the same customers differ, with the rows that do, bool [n]."""
    found = {}
    for name in names:
        ours, theirs = first[name].combine_chunks(), second[name].combine_chunks()
        apart = _apart(ours, theirs)
        if apart.any():
            found[name] = apart
    return found


def _apart(ours: pa.Array, theirs: pa.Array) -> np.ndarray:
    if pa.types.is_floating(ours.type) or pa.types.is_integer(ours.type):
        first, second = _numbers(ours), _numbers(theirs)
        apart: np.ndarray = ~((first == second) | (np.isnan(first) & np.isnan(second)))
        return apart
    texts = zip(ours.to_pylist(), theirs.to_pylist(), strict=True)
    return np.fromiter((text != other for text, other in texts), dtype=bool, count=len(ours))


def _numbers(column: pa.Array) -> Vectors:
    numbers: Vectors = pc.fill_null(column.cast(pa.float32()), np.float32("nan")).to_numpy(zero_copy_only=False)
    return numbers
