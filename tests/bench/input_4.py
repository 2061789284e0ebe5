"""input-4: every cell of a demo's portraits against a slow computation by the catalogue's own sentences, row by row.

Of the demo in the home (INSIGHT_HOME); else of one made here with INSIGHT_BENCH_CUSTOMERS customers (20,000). The slow
computation reads the simulator's files themselves, so what lands is judged with it. A home without them, an operator's,
is read as it landed.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from features.feeds.contracts import FEEDS, LINKS
from features.feeds.landed.reading import Feeds
from features.feeds.landing.landing import land
from features.feeds.mapping.sources import load_source
from features.feeds.schema import Grain, Kind
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
LINKED = {"person_links": "persons", "number_flags": "numbers"}
UNREAD = ("arrived_at", "text", "comment")
EXAMPLES = 3
ARROW = {Kind.INTEGER: pa.int64(), Kind.MONEY: pa.float64(), Kind.NUMBER: pa.float64(), Kind.FLAG: pa.bool_(),
         Kind.INSTANT: pa.timestamp("us"), Kind.DATE: pa.date32()}  # fmt: skip

Read = Callable[[str], pa.Table | None]
"""Gives the rows of a feed or link, all versions, in naive UTC and minor units; None where there is no such feed."""


def run(home: Home) -> Iterator[dict[str, Any]]:
    """Yields how many cells differ, with the features in which they do."""
    with ExitStack() as stack:
        if not (home.feeds / "manifest.json").exists():
            home = demo(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        feeds, files = Feeds.open(home), home.simulation / "files"
        is_simulated = files.exists()
        read = partial(of_files, files) if is_simulated else partial(as_landed, feeds)
        dates = [feeds.latest_as_of() - timedelta(days=DAYS_BETWEEN), feeds.latest_as_of()]
        build_portraits(home, feeds, dates, threads=2)
        compared, customers, differ = 0, 0, Counter[str]()
        examples: dict[str, list[Any]] = {}
        for day in dates:
            built = Portraits.open(home).read(day)
            attributes = {attribute.name for attribute in feeds.operator.attributes}
            names = [name for name in Portraits.open(home).feature_list.names if name not in attributes]
            everybody = Everybody(day, ZoneInfo(feeds.operator.time_zone))
            customers += built.num_rows
            for name, customer, expected, found in differences(read, everybody, built, names):
                differ[name] += 1
                examples.setdefault(name, []).append((str(day), customer, expected, found))
            compared += built.num_rows * len(names)
    yield figure(
        "input-4", "cells of a demo unlike the catalogue's own sentences", differ.total(), goal=0, met=not differ,
        compared_with=f"{compared:,} cells: {customers:,} portraits on {' and '.join(map(str, dates))}, row by row from "
        + ("the simulator's files" if is_simulated else "what has landed"),
        rounds=[
            {"feature": name, "different": number, "customer, by the sentence, built": examples[name][:EXAMPLES]}
            for name, number in differ.most_common()
        ],
    )  # fmt: skip


def demo(folder: Path) -> Home:
    """Returns the home of a synthetic operator whose files have landed."""
    home = Home(folder)
    simulate_to(home.simulation, customers=int(os.environ.get("INSIGHT_BENCH_CUSTOMERS", "20000")), months=18, seed=7)
    land(load_source(config_path("sources/simulator.yaml")), home.simulation / "files", home, SILENT)
    return home


def differences(
    read: Read, everybody: Everybody, built: pa.Table, names: list[str]
) -> Iterator[tuple[str, str, Any, Any]]:
    """Yields `(feature, customer, by the sentence, built)` of each cell that is not the same float32 or word.

    A customer who should have a portrait and has none, or the other way round, differs in `customer_id`.
    """
    found = {row.pop("customer_id"): row for row in built.select(["customer_id", *names]).to_pylist()}
    wanted: set[str] = set()
    for one in slow_customers(read, everybody):
        wanted.add(one.name)
        if one.name not in found:
            continue
        expected, row = portrait_of(one), found[one.name]
        for name in names:
            if not same(expected[name], row[name]):
                yield name, one.name, expected[name], row[name]
    yield from (("customer_id", name, name in wanted, name in found) for name in sorted(wanted ^ set(found)))


def slow_customers(read: Read, everybody: Everybody) -> Iterator[Customer]:
    """Yields the customers of a date with their rows as known then: all that are known and have not ended."""
    tables = own_tables(read, everybody)
    names = {feed: table["customer_id"].to_numpy(zero_copy_only=False) for feed, table in tables.items()}
    everyone = sorted(set(names["customers"]) - set(everybody.ended))
    for start in range(0, len(everyone), CHUNK):
        some = everyone[start : start + CHUNK]
        rows: dict[str, dict[str, list[Row]]] = {one: {} for one in some}
        for feed, table in tables.items():
            first, last = np.searchsorted(names[feed], some[0]), np.searchsorted(names[feed], some[-1], side="right")
            for row in in_versions(feed, table.slice(first, last - first).to_pylist()):
                if row["customer_id"] in rows:
                    rows[row["customer_id"]].setdefault(feed, []).append(row)
        for one in (Customer(everybody, name, rows[name]) for name in some):
            if one.rows("customers") and one.state("customers")["status"] != "closed":
                yield one


def own_tables(read: Read, everybody: Everybody) -> dict[str, pa.Table]:
    """Returns the feeds of customers, each sorted by customer; what tells of everybody is learnt."""
    names = [name for name, feed in FEEDS.items() if not feed.personal and name != "attributes"]
    tables = {
        name: within_reach(table, name, everybody) for name in (*names, *LINKS) if (table := read(name)) is not None
    }
    everybody.learn({name: in_versions(name, tables.pop(name).to_pylist()) for name in OF_EVERYBODY if name in tables})
    for name, table in tables.items():
        if table.num_rows:
            everybody.present.add(name)
            if FEEDS[name].grain is Grain.DAY:
                everybody.newest[name] = everybody.ago(pc.max(table["event_at"]).as_py())
    return {name: table.sort_by("customer_id") for name, table in tables.items()}


def within_reach(table: pa.Table, feed: str, everybody: Everybody) -> pa.Table:
    """Returns the rows that the date may know of; which of them it knew, in which version, is decided row by row."""
    kept = pc.less(table["known_at"], everybody.instant)
    if feed in REACH:
        begin, at = everybody.instant - timedelta(days=REACH[feed] + 1), table["event_at"]
        kept = pc.and_(kept, pc.and_(pc.greater(at, begin), pc.less(at, everybody.instant)))
    return table.filter(kept)


def in_versions(feed: str, rows: list[Row]) -> list[Row]:
    """Returns rows with `superseded_at`: as landed, else when the next row of the same key was known.

    Of a file, equal rows count once, and rows of one key that are known at one instant and say different things not at
    all: the guide calls them `conflicting_duplicate`, and they are refused.
    """
    if not rows or "superseded_at" in rows[0]:
        return rows
    key = FEEDS[LINKED.get(feed, feed)].key
    versions: dict[tuple[Any, ...], dict[Any, list[Row]]] = {}
    for row in rows:
        at = versions.setdefault(tuple(row.get(name) for name in key), {}).setdefault(row["known_at"], [])
        if row not in at:
            at.append(row)
    kept = []
    for by_time in versions.values():
        certain = [by_time[at][0] for at in sorted(by_time) if len(by_time[at]) == 1]
        nexts = [row["known_at"] for row in certain[1:]]
        kept += [row | {"superseded_at": at} for row, at in zip(certain, [*nexts, None], strict=False)]
    return kept


def as_landed(feeds: Feeds, feed: str) -> pa.Table | None:
    """Reads what has landed of a feed or link."""
    part = feeds.manifest.derived.get(feed)
    paths = [str(feeds.home.root / part.path)] if part else feeds.paths(feed)
    if not paths:
        return None
    table = pa.concat_tables([pq.read_table(path, partitioning=None) for path in paths], promote_options="default")
    return table.drop_columns([name for name in UNREAD if name in table.column_names])


def of_files(folder: Path, feed: str) -> pa.Table | None:
    """Reads the simulator's own files of a feed or link: civil times become UTC, yuan become li."""
    name = LINKED.get(feed, feed)
    contract = FEEDS[name]
    kinds = {column.name: column.kind for column in contract.columns}
    kinds |= dict.fromkeys(("event_at", "known_at"), Kind.INSTANT)
    months = sorted((folder / name).glob("*.parquet"))
    if months:
        table = pa.concat_tables([pq.read_table(path, partitioning=None) for path in months])
        table = table.set_column(0, "customer_id", table["customer_id"].cast(pa.string()))
    elif (folder / f"{name}.csv").exists():
        types = {one: ARROW.get(kind, pa.string()) for one, kind in kinds.items()} | {"customer_id": pa.string()}
        options = pa.csv.ConvertOptions(column_types=types, strings_can_be_null=True)
        table = pa.csv.read_csv(folder / f"{name}.csv", convert_options=options)
    else:
        return None
    if contract.period and "event_at" not in table.column_names:
        table = table.append_column("event_at", table[contract.period].cast(pa.timestamp("us")))
    for place, one in enumerate(table.column_names):
        column = table[one]
        if kinds.get(one) is Kind.INSTANT:
            civil = pc.assume_timezone(column.cast(pa.timestamp("us")), "Asia/Shanghai")
            table = table.set_column(place, one, civil.cast(pa.timestamp("us")))
        elif kinds.get(one) is Kind.MONEY:
            table = table.set_column(place, one, pc.round(pc.multiply(column, 1000)).cast(pa.int64()))
    return table.drop_columns("event_at") if feed in LINKS else table
