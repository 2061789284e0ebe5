"""The landed feeds as they lay here at an earlier moment: a portrait of then, computed again.

What was known on an as-of date never changes by itself, but a late delivery may tell of knowledge times that lie
before it: a portrait built afterwards differs from the one that was scored. Every landed row keeps `arrived_at`, and a
built portrait says until when rows had arrived (`arrived_until`), so the earlier feeds can be had back: later rows are
left out, and a version that one of them superseded counts again. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import duckdb

from features.feeds.contracts import FEEDS
from features.feeds.landed.arrival import newest_arrival
from features.feeds.landed.reading import Feeds
from features.feeds.landed.shape import Shape
from features.feeds.landing.identity import link_sql
from features.kit.sql import literal, parquet, quoted, row_count, timestamp
from features.portraits.build.plans import plan_of
from features.portraits.settings import PortraitSettings, load_settings
from features.portraits.sources.engines import FILE_OPTIONS, DuckDBEngine
from features.portraits.sources.staging import Moment

_LINKED = {feed.link.name: feed for feed in FEEDS.values() if feed.link}


def portrait_again(
    feeds: Feeds,
    day: date,
    path: Path,
    *,
    until: datetime | None,
    threads: int = 1,
    settings: PortraitSettings | None = None,
) -> int:
    """Computes the portraits of a date again, from what had arrived by a moment, and returns their number.

    Rows that arrived after `until` are left out; None leaves out none. `path` gets rows and columns as
    `build_portraits` writes them.
    """
    from features.portraits.build.build import features_of, keep_story, request_of, rows_sql

    moment = Moment(day, feeds.operator.time_zone)
    request = request_of(feeds, settings or load_settings())
    with feeds.connect(threads=threads) as connection:
        engine = ArrivedEngine(connection, feeds, until)
        plan = plan_of(engine, request)
        keep_story(engine, request, moment, features_of(engine, feeds, plan, moment))
        connection.execute(f"COPY ({rows_sql(request, moment)}) TO {literal(path)} (FORMAT parquet)")
        return row_count(connection, "portrait_features")


class ArrivedEngine(DuckDBEngine):
    """DuckDB over the feeds as they lay here at a moment."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, feeds: Feeds, until: datetime | None) -> None:
        super().__init__(connection)
        self._feeds = feeds
        self._until = until

    def landed(self, name: str, paths: Sequence[str], types: dict[str, str]) -> None:
        """Makes a view of a feed's files without what arrived later; a feed without late rows is read as ever."""
        linked = _LINKED.get(name)
        feed = linked.name if linked else name
        if not paths or self._until is None or not self._is_late(feed):
            super().landed(name, paths, types)
            return
        rows = as_arrived_sql(self._feeds, feed, self._until)
        self.view(name, link_sql(linked.link, f"({rows})") if linked and linked.link else rows)

    def _is_late(self, feed: str) -> bool:
        newest = newest_arrival(self._feeds.paths(feed))
        return newest is not None and self._until is not None and newest > self._until.replace(tzinfo=None)


def as_arrived_sql(feeds: Feeds, feed: str, until: datetime) -> str:
    """Returns SQL for every version of a feed that had arrived by a moment, superseded only by what had arrived too.

    All months are read, because the version that superseded a row may lie in another month. A removal by a
    re-delivered period is no row: it is undone only in so far as its time lies after the as-of date, as it does
    wherever periods are removed on arrival.
    """
    shape = Shape(feeds.contract(feed), feeds.operator.time_zone)
    moment = timestamp(until)
    key = ", ".join(quoted(name) for name in shape.identity)
    same = " AND ".join(f"late.{quoted(name)} = kept.{quoted(name)}" for name in shape.identity)
    return (
        f"WITH landed AS (SELECT * FROM {parquet(feeds.paths(feed), *FILE_OPTIONS)}), "
        f"late AS (SELECT DISTINCT {key}, known_at FROM landed WHERE arrived_at > {moment}), "
        f"kept AS (SELECT *, lead(known_at) OVER (PARTITION BY {key} ORDER BY known_at, superseded_at NULLS LAST) "
        f"AS _next FROM landed WHERE arrived_at <= {moment}) "
        f"SELECT kept.* EXCLUDE (_next) REPLACE (CASE WHEN late.known_at IS NULL THEN kept.superseded_at "
        f"ELSE kept._next END AS superseded_at) "
        f"FROM kept LEFT JOIN late ON {same} AND late.known_at = kept.superseded_at"
    )
