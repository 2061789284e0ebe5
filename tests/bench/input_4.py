"""input-4: every cell of a demo's portraits against a slow computation by the catalogue's own sentences, row by row.

Of a home whose feeds have landed (INSIGHT_HOME); else of a demo made here with INSIGHT_BENCH_CUSTOMERS customers (20,000).
The slow computation reads the landed rows, every version of them; what turns files into rows has tests of its own.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.feeds.contracts import FEEDS, LINKS
from features.feeds.landed.reading import Feeds
from features.feeds.landing.landing import land
from features.feeds.mapping.sources import load_source
from features.feeds.schema import Grain
from features.kit.config import config_path
from features.kit.home import Home
from features.kit.terminal.progress import SILENT
from features.portraits.build.build import build_portraits
from features.portraits.reading import Portraits
from features.simulator.step import simulate_to
from tests.features.portraits.by_sentence.history import REACH, Customer, Everybody, Row
from tests.features.portraits.by_sentence.portrait import portrait_of, same
from tests.results import figure

DAYS_BETWEEN = 102
"""The two dates: the newest that the feeds cover, and one that lies inside a month and before many corrections."""
CHUNK = 1000
OF_EVERYBODY = ("plans", "packs", "network_faults", "terminations", *LINKS)
EXAMPLES = 3


def run(home: Home) -> Iterator[dict[str, Any]]:
    """Yields how many cells differ, with the features in which they do."""
    with ExitStack() as stack:
        if not (home.feeds / "manifest.json").exists():
            home = demo(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        feeds = Feeds.open(home)
        dates = [feeds.latest_as_of() - timedelta(days=DAYS_BETWEEN), feeds.latest_as_of()]
        build_portraits(home, feeds, dates, threads=2)
        compared, customers, differ = 0, 0, Counter[str]()
        examples: dict[str, list[Any]] = {}
        for day in dates:
            built = Portraits.open(home).read(day)
            names = [name for name in Portraits.open(home).feature_list.names if name not in feeds.operator.attributes]
            customers += built.num_rows
            for name, customer, expected, found in differences(feeds, day, built, names):
                differ[name] += 1
                examples.setdefault(name, []).append((str(day), customer, expected, found))
            compared += built.num_rows * len(names)
    yield figure(
        "input-4", "cells of a demo unlike the catalogue's own sentences", differ.total(), goal=0, met=not differ,
        compared_with=f"{compared:,} cells: {customers:,} portraits on {' and '.join(map(str, dates))}, each by plain Python",
        rounds=[
            {"feature": name, "different": number, "customer, by the sentence, built": examples[name][:EXAMPLES]}
            for name, number in differ.most_common()
        ],
    )  # fmt: skip


def demo(folder: Path) -> Home:
    """Returns the home of a synthetic operator whose files have landed."""
    customers = int(os.environ.get("INSIGHT_BENCH_CUSTOMERS", "20000"))
    simulate_to(folder / "world", customers=customers, months=18, seed=7)
    land(load_source(config_path("sources/simulator.yaml")), folder / "world/files", Home(folder / "home"), SILENT)
    return Home(folder / "home")


def differences(feeds: Feeds, day: date, built: pa.Table, names: list[str]) -> Iterator[tuple[str, str, Any, Any]]:
    """Yields `(feature, customer, by the sentence, built)` of each cell that is not the same float32 or word.

    A customer who should have a portrait and has none, or the other way round, differs in `customer_id`.
    """
    found = {row.pop("customer_id"): row for row in built.select(["customer_id", *names]).to_pylist()}
    wanted: set[str] = set()
    for one in slow_customers(feeds, day):
        wanted.add(one.name)
        if one.name not in found:
            continue
        expected, row = portrait_of(one), found[one.name]
        for name in names:
            if not same(expected[name], row[name]):
                yield name, one.name, expected[name], row[name]
    yield from (("customer_id", name, name in wanted, name in found) for name in sorted(wanted ^ set(found)))


def slow_customers(feeds: Feeds, day: date) -> Iterator[Customer]:
    """Yields the customers of a date with their rows as known then: all that are known and have not ended."""
    everybody = Everybody(day, ZoneInfo(feeds.operator.time_zone))
    everybody.learn({feed: table_of(feeds, feed, everybody).to_pylist() for feed in OF_EVERYBODY if there(feeds, feed)})
    tables = {
        feed: table_of(feeds, feed, everybody).sort_by("customer_id")
        for feed, contract in FEEDS.items()
        if feed not in OF_EVERYBODY and not contract.personal and feeds.has(feed)
    }
    names = {feed: table["customer_id"].to_numpy(zero_copy_only=False) for feed, table in tables.items()}
    for feed, table in tables.items():
        if FEEDS[feed].grain is Grain.DAY and table.num_rows:
            everybody.newest[feed] = everybody.ago(pc.max(table["event_at"]).as_py())
        if table.num_rows:
            everybody.present.add(feed)
    everyone = sorted(set(names["customers"]) - set(everybody.ended))
    for start in range(0, len(everyone), CHUNK):
        some = everyone[start : start + CHUNK]
        rows: dict[str, dict[str, list[Row]]] = {one: {} for one in some}
        for feed, table in tables.items():
            first, last = np.searchsorted(names[feed], some[0]), np.searchsorted(names[feed], some[-1], side="right")
            for row in table.slice(first, last - first).to_pylist():
                if row["customer_id"] in rows:
                    rows[row["customer_id"]].setdefault(feed, []).append(row)
        for one in (Customer(everybody, name, rows[name]) for name in some):
            if one.rows("customers") and one.state("customers")["status"] != "closed":
                yield one


def there(feeds: Feeds, feed: str) -> bool:
    """Tells whether a feed or a link has landed."""
    return feed in feeds.manifest.derived or feeds.has(feed)


def table_of(feeds: Feeds, feed: str, everybody: Everybody) -> pa.Table:
    """Returns the rows of a feed that the date may know of, all their versions; Python decides which of them it knew."""
    part = feeds.manifest.derived.get(feed)
    paths = [str(feeds.home.root / part.path)] if part else feeds.paths(feed)
    table = pa.concat_tables([pq.read_table(path, partitioning=None) for path in paths], promote_options="default")
    kept = pc.less(table["known_at"], everybody.instant)
    if feed in REACH:
        kept = pc.and_(
            kept, pc.greater(table["event_at"], everybody.instant - timedelta(days=REACH[feed] + 1))
        )
    left_out = [name for name in ("arrived_at", "text", "comment") if name in table.column_names]
    return table.filter(kept).drop_columns(left_out)
