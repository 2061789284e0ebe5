"""The landed feeds as every other room sees them: views over immutable files, and what was known on a date.

`known_before` is the one as-known rule of the system: of every event the version that was known strictly before an
instant (an as-of date's first) and not yet replaced or removed then. No other reader writes the condition.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime

import duckdb

from features.feeds.contracts import FEEDS, LINKS
from features.feeds.landed.manifest import Manifest, Operator, read_manifest, version_of
from features.feeds.landed.shape import Shape, event_id_sql
from features.feeds.mapping.sources import attributes_contract
from features.feeds.schema import Feed
from features.kit.clock import instant_of
from features.kit.errors import NotFoundError, NotReadyError
from features.kit.home import Home
from features.kit.sql import parquet, quoted, timestamp


def known_before(moment: datetime) -> str:
    """Returns the SQL condition for the versions that were known strictly before an instant, and no others.

    Example: on 2026-06-01 in Asia/Shanghai only rows with `known_at` before 2026-05-31 16:00 UTC count, and a version
    counts until its successor is known: a correction known on that very instant is not yet there.
    """
    instant = timestamp(moment)
    return f"known_at < {instant} AND (superseded_at IS NULL OR superseded_at >= {instant})"


def known_versions(rows: str, day: date, time_zone: str) -> str:
    """Returns SQL for the rows of a table or a scan that were known on a date, each event in the version of then."""
    return f"SELECT * FROM {rows} WHERE {known_before(instant_of(day, time_zone))}"


def newest_versions(rows: str) -> str:
    """Returns SQL for the rows of a table or a scan as they are known now, each event in its newest version."""
    return f"SELECT * FROM {rows} WHERE superseded_at IS NULL"


@dataclass(frozen=True)
class Feeds:
    """The feeds of one home, as of one manifest."""

    home: Home
    manifest: Manifest

    @classmethod
    def open(cls, home: Home) -> Feeds:
        """Opens the landed feeds. Raises NotReadyError if nothing has landed."""
        manifest = read_manifest(home)
        if manifest is None:
            raise NotReadyError(
                f"{home.root}: no feeds have landed", remedy="run `insight ingest --source FILE --data DIR` first"
            )
        return cls(home, manifest)

    @property
    def operator(self) -> Operator:
        """Returns who delivered, the time zone, the currency and the declared attributes."""
        return self.manifest.operator

    @property
    def version(self) -> str:
        """Returns the identity of everything landed."""
        return version_of(self.manifest)

    @property
    def names(self) -> frozenset[str]:
        """Returns the feeds with at least one row."""
        return frozenset(name for name, feed in self.manifest.feeds.items() if feed.rows)

    def has(self, feed: str) -> bool:
        """Tells whether a feed has any row."""
        return feed in self.names

    def paths(self, feed: str) -> list[str]:
        """Returns a feed's Parquet files, oldest month first."""
        landed = self.manifest.feeds.get(feed)
        return [str(self.home.root / part.path) for part in landed.parts] if landed else []

    def latest_as_of(self) -> date:
        """Returns the last date D such that the feeds are complete up to D 00:00, the operator's time."""
        return self.manifest.latest_as_of

    def first_day(self) -> date:
        """Returns the first civil day that the event feeds cover."""
        return self.manifest.first_day

    def contract(self, feed: str) -> Feed:
        """Returns a feed's contract, with the declared columns for `attributes`."""
        return attributes_contract(self.operator.attributes) if feed == "attributes" else FEEDS[feed]

    def connect(self, *, threads: int = 1, personal: bool = False) -> duckdb.DuckDBPyConnection:
        """Returns an in-memory DuckDB with one view per landed feed, every version of every row.

        `personal` adds the views `persons` and `numbers`; without it no personal file is touched.
        """
        connection = duckdb.connect()
        connection.execute(f"SET threads={threads}")
        connection.execute("SET TimeZone='UTC'")
        # In Jupyter without ipywidgets DuckDB can draw no bar, and refuses to be told so.
        with suppress(duckdb.InvalidInputException):
            connection.execute("SET enable_progress_bar=false")
        for name in sorted(self.names):
            feed = self.contract(name)
            if feed.personal and not personal:
                continue
            connection.execute(f"CREATE VIEW {quoted(name)} AS {self._view(feed)}")
        for link in LINKS.values():
            part = self.manifest.derived.get(link.name)
            if part is None:
                columns = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in link.types.items())
                connection.execute(f"CREATE VIEW {link.name} AS SELECT {columns} WHERE false")
            else:
                connection.execute(f"CREATE VIEW {link.name} AS FROM {parquet([self.home.root / part.path])}")
        return connection

    def _view(self, feed: Feed) -> str:
        shape = Shape(feed, self.operator.time_zone)
        scan = parquet(self.paths(feed.name), "union_by_name=true")
        if shape.stores_event_id:
            return f"SELECT {shape.columns} FROM {scan}"
        return f"SELECT {shape.columns}, {event_id_sql(feed)} AS event_id FROM {scan}"

    def as_known_sql(self, feed: str, as_of: date) -> str:
        """Returns SQL for the rows of a feed that were known on a date (see `known_before`).

        Raises:
            NotFoundError: If the feed has not landed.
        """
        if not self.has(feed) and feed not in LINKS:
            raise NotFoundError(f"the feed '{feed}' has not landed")
        return known_versions(quoted(feed), as_of, self.operator.time_zone)
