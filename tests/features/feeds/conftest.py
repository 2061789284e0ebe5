"""A small operator whose files a test writes by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from features.feeds.landed.reading import Feeds
from features.feeds.landing.landing import land
from features.feeds.landing.reports import LandingReport
from features.feeds.mapping.sources import Source
from features.kit.config import parse_config
from features.kit.home import Home

CUSTOMERS = "customer_id,event_at\n1,2025-01-01\n2,2025-01-01\n3,2025-01-01\n"


def utc(text: str) -> datetime:
    """Returns a UTC instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass
class SmallOperator:
    """Files, a mapping and a home in one temporary folder; the operator is in Asia/Shanghai unless told."""

    root: Path
    feeds: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    top: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.data.mkdir()
        self.write("customers.csv", CUSTOMERS)
        self.map("customers", "SELECT * FROM customers", known_after="PT0S")

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def home(self) -> Home:
        return Home(self.root / "home")

    def write(self, name: str, text: str, encoding: str = "utf-8") -> None:
        path = self.data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode(encoding))

    def map(self, feed: str, select: str, *, file: dict[str, Any] | None = None, **mapping: Any) -> None:
        """Maps a feed over the view of the same name, which reads `<feed>*.csv`."""
        self.files[feed] = {"path": f"{feed}*.csv"} | (file or {})
        self.feeds[feed] = {"select": select} | mapping

    def source(self) -> Source:
        content = {"operator": {"name": "small"}, "files": self.files, "feeds": self.feeds} | self.top
        return parse_config(Source, content, source="small.yaml")

    def land(self, arrived_at: str = "2026-06-01T00:00:00") -> LandingReport:
        return land(self.source(), self.data, self.home, arrived_at=utc(arrived_at))

    def open(self) -> Feeds:
        return Feeds.open(self.home)

    def rows(self, sql: str, *, personal: bool = False) -> list[tuple[Any, ...]]:
        """Returns the rows of a query over the landed views."""
        return self.open().connect(personal=personal).execute(sql).fetchall()

    def known(self, feed: str, as_of: str, columns: str) -> list[tuple[Any, ...]]:
        """Returns columns of a feed as known on a date, sorted."""
        feeds = self.open()
        rows = f"({feeds.as_known_sql(feed, date.fromisoformat(as_of))})"
        return feeds.connect().execute(f"SELECT {columns} FROM {rows} ORDER BY ALL").fetchall()

    def refused(self, feed: str) -> list[tuple[Any, ...]]:
        """Returns reason, file, row and key of a feed's quarantined rows."""
        import duckdb

        path = self.home.quarantine / f"{feed}.parquet"
        return duckdb.execute(f"SELECT reason, file, row_number, key FROM '{path}' ORDER BY ALL").fetchall()

    def content(self) -> dict[str, bytes]:
        """Returns every active file of the home with its bytes."""
        feeds = self.open()
        names = ["feeds/manifest.json", *sorted(feeds.manifest.active_paths())]
        return {name: (self.home.root / name).read_bytes() for name in names}


@pytest.fixture
def operator(tmp_path: Path) -> SmallOperator:
    """Returns a fresh small operator."""
    return SmallOperator(tmp_path)


@pytest.fixture(scope="session")
def small_operator() -> type[SmallOperator]:
    """Returns the class, for operators that several tests share."""
    return SmallOperator
