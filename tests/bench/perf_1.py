"""perf-1 and perf-13: portraits against a scan of the columns that they read, and a new day against that day's rows.

Both build dates of the home's feeds in a folder that is thrown away; DuckDB has one thread on both sides.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from features.feeds.landed.reading import Feeds
from features.kit.home import Home
from features.kit.sql import literal, parquet, quoted, timestamp
from features.portraits.build.build import _paths_in_reach, build_portraits, request_of
from features.portraits.build.passes import added_up
from features.portraits.build.plans import plan_of
from features.portraits.reading import Portraits
from features.portraits.settings import load_settings
from features.portraits.sources.engines import FILE_OPTIONS, DuckDBEngine
from features.portraits.sources.staging import STAGED, Moment, landed_types
from tests.bench.rounds import peak_megabytes, ratio, speed
from tests.results import figure

DATES, MEGABYTES = 4, 2048


def run(home: Home) -> Iterator[dict[str, Any]]:
    """Yields the ratios and the peak of this process's memory."""
    built = Portraits.open(home)
    days, feeds = built.as_of_dates()[-DATES:], Feeds.open(home)
    plan = plan_of(DuckDBEngine, request_of(feeds, load_settings()))
    with tempfile.TemporaryDirectory() as temporary, feeds.connect() as connection:
        scratch = Home(Path(temporary) / "home")
        scratch.root.mkdir()
        for folder in ("feeds", "personal"):
            if (home.root / folder).exists():
                (scratch.root / folder).symlink_to((home.root / folder).resolve())
        copy = Feeds(scratch, feeds.manifest)

        def build(those: Sequence[date]) -> None:
            shutil.rmtree(scratch.portraits, ignore_errors=True)
            build_portraits(scratch, copy, those)

        def scan() -> None:
            for day in days:
                for sql in _scans(feeds, day):
                    connection.execute(sql).fetchall()

        began = time.perf_counter()
        added_up(feeds, plan, days)
        spent = time.perf_counter() - began
        began = time.perf_counter()
        scan()
        share = spent / (time.perf_counter() - began)
        told = f"a scan of all columns of {len(days)} dates; use and network alone, added up in one pass: {share:.1f}"
        yield speed(
            "perf-1", "portraits, times a scan of their columns", ratio(lambda: build(days), scan), told, goal=4
        )

        def new_day() -> None:
            before = Moment(days[-1] - timedelta(days=1), feeds.operator.time_zone)
            for sql in _scans(feeds, days[-1]):
                connection.execute(f"{sql} WHERE event_at >= {timestamp(before.instant)}").fetchall()
            target = literal(Path(temporary) / "again.parquet")
            connection.execute(
                f"COPY (FROM {parquet([built.path(days[-1])])}) TO {target} (FORMAT parquet, COMPRESSION zstd)"
            )

        rounds = ratio(lambda: build(days[-1:]), new_day)
        yield speed(
            "perf-13", "portraits of a new day", rounds, "that day's rows read, the partition written", goal=1.5
        )
    peak = peak_megabytes()
    yield figure("perf-1", "MB of memory at the peak", peak, goal=MEGABYTES, met=peak <= MEGABYTES)


def _scans(feeds: Feeds, day: date) -> Iterator[str]:
    """Yields, for each feed, a query that reads every column of the files within a date's reach."""
    for staged in {staged.feed: staged for staged in STAGED.values()}.values():
        paths = _paths_in_reach(feeds, staged.feed, day)
        if paths and feeds.has(staged.feed):
            names = ", ".join(f"max({quoted(name)})" for name in landed_types(staged.feed))
            yield f"SELECT {names} FROM {parquet(paths, *FILE_OPTIONS)}"
