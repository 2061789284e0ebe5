"""Proves where a portrait's values come from: what is stored is held against what was known on its date.

A sample of customers is computed once more from the rows that were known before the as-of date. A stored value that
differs was not made of these rows alone. Which rows were added is found by revealing them, one group at a time, and
seeing which revelation reproduces the stored values:

- `later_correction`: events known before the date, in the version of today;
- `closing_fields`: tickets known before the date, with the fields of their last state;
- `overwritten_snapshot`: customers, plans, lines and attributes known before the date, with the content of today;
- `known_later`: everything that has become known since; also named when nothing reproduces the values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from features.feeds.contracts import FEEDS
from features.feeds.landed.reading import Feeds, newest_versions
from features.feeds.landed.shape import Shape
from features.feeds.schema import Feed
from features.kit.clock import instant_of
from features.kit.home import Home
from features.kit.sql import newest, parquet, quoted, timestamp
from features.portraits.build.build import is_current
from features.portraits.reading import Portraits
from features.portraits.sources.engines import FILE_OPTIONS
from training.leakage.findings import Leak, leak
from training.leakage.replay import Alter, aligned, differing, replayed

SAMPLE = 300


def unfounded_columns(
    feeds: Feeds, portraits: Portraits, dates: Sequence[date], *, seed: int, threads: int = 1
) -> tuple[Leak, ...]:
    """Returns the columns whose stored values were not made of what was known on their date, by name.

    Of `dates` those of `dates_to_replay` are computed once more.
    """
    found: dict[str, Leak] = {}
    for as_of in dates_to_replay(feeds, portraits, dates):
        path = portraits.path(as_of)
        written = path.stat()
        key = (feeds.home.root, feeds.version, str(path), written.st_mtime_ns, written.st_size)
        for finding in _unfounded_on(as_of, key, seed, threads):
            found.setdefault(finding.name, finding)
    return tuple(found[name] for name in sorted(found))


def dates_to_replay(feeds: Feeds, portraits: Portraits, dates: Sequence[date]) -> list[date]:
    """Returns the oldest and the newest of the dates whose portraits are up to date.

    Portraits built by another version of the code, or before later deliveries of their own days, differ from a new
    computation without any leak; `insight build` brings them up to date.
    """
    ordered = sorted(set(dates))
    oldest = next((day for day in ordered if is_current(feeds, portraits.root, day)), None)
    newest = next((day for day in reversed(ordered) if is_current(feeds, portraits.root, day)), None)
    return sorted({day for day in (oldest, newest) if day is not None})


@lru_cache(maxsize=64)
def _unfounded_on(as_of: date, key: tuple[Path, str, str, int, int], seed: int, threads: int) -> tuple[Leak, ...]:
    """Returns the findings of one date; remembered, because several targets are trained on the same portraits.

    `key` names the home and exactly what was read: landed feeds and the file of portraits.
    """
    home = Home(key[0])
    feeds, portraits = Feeds.open(home), Portraits.open(home)
    names = [feature.name for feature in portraits.feature_list.features]
    stored = portraits.read(as_of, ["customer_id", *names])
    if not stored.num_rows:
        return ()
    sample = stored.take(np.sort(np.random.default_rng(seed).permutation(stored.num_rows)[:SAMPLE]))
    customers = sample["customer_id"].to_pylist()
    wrong = differing(sample, aligned(replayed(feeds, as_of, customers, threads=threads), customers), names)
    if not wrong:
        return ()
    reveals = {
        kind: aligned(replayed(feeds, as_of, customers, alter=alter, threads=threads), customers)
        for kind, alter in revelations(feeds, as_of).items()
    }
    return tuple(_explained(name, rows, sample, reveals, as_of) for name, rows in wrong.items())


def _explained(name: str, rows: np.ndarray, stored: pa.Table, reveals: Mapping[str, pa.Table], as_of: date) -> Leak:
    """Returns the finding on one column, named after the revelation that reproduces most of its wrong values."""
    explained: dict[str, int] = {}
    for kind, table in reveals.items():
        apart = differing(stored, table, [name]).get(name, np.zeros(len(rows), dtype=bool))
        explained[kind] = int((rows & ~apart).sum())
    count = int(rows.sum())
    kind = (
        max(explained, key=lambda name: (explained[name], -list(explained).index(name))) if explained else "known_later"
    )
    first = f"on {as_of}, {count} of {len(rows)} customers have a value that was not known then"
    if not explained.get(kind):
        return leak(name, "known_later", f"{first}; no landed row explains it")
    return leak(name, kind, f"{first}; for {explained[kind]} of them it is the value that was known later")


def revelations(feeds: Feeds, as_of: date) -> dict[str, dict[str, Alter]]:
    """Returns by kind what may have been added: feed -> what it would say, in the order in which they are tried."""
    moment = timestamp(instant_of(as_of, feeds.operator.time_zone))
    names = sorted(name for name in feeds.names if not feeds.contract(name).personal)
    shapes = {name: Shape(feeds.contract(name), feeds.operator.time_zone) for name in names}
    result: dict[str, dict[str, Alter]] = {}
    if "tickets" in names:
        result["closing_fields"] = {"tickets": _with_last_state(_all_of(feeds, "tickets"))}
    result["overwritten_snapshot"] = {
        name: _with_newest_content(feeds.contract(name), _all_of(feeds, name)) for name in names if FEEDS[name].is_state
    }
    result["later_correction"] = {name: _in_newest_version(name, shapes[name], moment) for name in names}
    result["known_later"] = {name: _whenever_known(name) for name in names}
    return result


def _in_newest_version(feed: str, shape: Shape, moment: str) -> Alter:
    key = ", ".join(quoted(name) for name in shape.identity)
    rows = f"(SELECT *, min(known_at) OVER (PARTITION BY {key}) AS _first_known FROM {quoted(feed)})"
    return lambda _: f"SELECT * EXCLUDE (_first_known) FROM ({newest_versions(rows)}) WHERE _first_known < {moment}"


def _whenever_known(feed: str) -> Alter:
    return lambda _: newest_versions(quoted(feed))


def _all_of(feeds: Feeds, feed: str) -> str:
    """Returns SQL for every landed row of a feed; a portrait's own views reach no month after its date."""
    return parquet(feeds.paths(feed), *FILE_OPTIONS)


def _with_last_state(tickets: str) -> Alter:
    return lambda known: (
        "SELECT k.* REPLACE (l.status AS status, l.closed_at AS closed_at, l.satisfaction AS satisfaction) "
        f"FROM ({known}) k JOIN (SELECT ticket_id, arg_max(status, event_at) AS status, max(closed_at) AS closed_at, "
        f"max(satisfaction) AS satisfaction FROM ({newest_versions(tickets)}) GROUP BY ticket_id) l "
        "USING (ticket_id)"
    )


def _with_newest_content(feed: Feed, rows: str) -> Alter:
    content = ", ".join(f"n.{quoted(column.name)} AS {quoted(column.name)}" for column in feed.columns)
    owner = ", ".join(quoted(name) for name in feed.key if name in ("customer_id", "service"))
    last = f"{newest_versions(rows)} {newest(owner)}"
    return lambda known: f"SELECT k.* REPLACE ({content}) FROM ({known}) k JOIN ({last}) n USING ({owner})"
