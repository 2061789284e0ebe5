"""The landed feeds as every other room sees them: views over immutable files, and what was known on a date.

`as_known_sql` is the one as-known rule of the system: of every event the version that was known strictly before the
as-of date's first instant and not yet replaced or removed then.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import date

import duckdb

from features.feeds.contracts import FEEDS, Feed
from features.feeds.conversion import literal, quoted
from features.feeds.landed.manifest import Manifest, Operator, read_manifest, version_of
from features.feeds.landed.shape import Shape, event_id_sql
from features.feeds.mapping.sources import attributes_contract
from features.kit.clock import instant_of
from features.kit.errors import NotFoundError, NotReadyError
from features.kit.home import Home

DERIVED = {
    "person_links": (
        "customer_id VARCHAR, person_id VARCHAR, account_id VARCHAR, role VARCHAR, valid_from DATE, valid_until DATE, "
        "is_deceased BOOLEAN, known_at TIMESTAMP, superseded_at TIMESTAMP"
    ),
    "number_flags": (
        "customer_id VARCHAR, valid_from TIMESTAMP, valid_until TIMESTAMP, ported_in_on DATE, ported_out_on DATE, "
        "is_verified BOOLEAN, is_reissued BOOLEAN, known_at TIMESTAMP, superseded_at TIMESTAMP"
    ),
}
"""Views that are always there, empty without their feed: persons without names, numbers without digits."""


@dataclass(frozen=True)
class Feeds:
    """The feeds of one home, as of one manifest.

    Attributes:
        home: The folder of the state.
        manifest: What is active.
    """

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

        Args:
            threads: DuckDB threads.
            personal: Also the views `persons` and `numbers`; without it no personal file is touched.
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
        for name, columns in DERIVED.items():
            part = self.manifest.derived.get(name)
            if part is None:
                fields = ", ".join(f"CAST(NULL AS {c.split(' ')[1]}) AS {c.split(' ')[0]}" for c in columns.split(", "))
                connection.execute(f"CREATE VIEW {name} AS SELECT {fields} WHERE false")
            else:
                path = literal(str(self.home.root / part.path))
                connection.execute(f"CREATE VIEW {name} AS FROM read_parquet({path})")
        return connection

    def _view(self, feed: Feed) -> str:
        shape = Shape(feed, self.operator.time_zone)
        paths = ", ".join(literal(path) for path in self.paths(feed.name))
        columns = ", ".join(quoted(name) for name in shape.stored)
        scan = f"read_parquet([{paths}], union_by_name=true)"
        if shape.stores_event_id:
            return f"SELECT {columns} FROM {scan}"
        return f"SELECT {columns}, {event_id_sql(feed)} AS event_id FROM {scan}"

    def as_known_sql(self, feed: str, as_of: date) -> str:
        """Returns SQL for the rows of a feed that were known on a date, each event in the version of that moment.

        Example: on 2026-06-01 in Asia/Shanghai only rows with `known_at` before 2026-05-31 16:00 UTC count, and a
        version counts until its successor is known: a correction known on that very instant is not yet there.

        Raises:
            NotFoundError: If the feed has not landed.
        """
        if not self.has(feed) and feed not in DERIVED:
            raise NotFoundError(f"the feed '{feed}' has not landed")
        moment = f"TIMESTAMP '{instant_of(as_of, self.operator.time_zone):%Y-%m-%d %H:%M:%S}'"
        known = f"known_at < {moment} AND (superseded_at IS NULL OR superseded_at >= {moment})"
        return f"SELECT * FROM {quoted(feed)} WHERE {known}"
