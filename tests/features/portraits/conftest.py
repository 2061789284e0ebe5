"""A small operator written by hand: rows in civil time, landed in the layout of `features.feeds`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.feeds.contracts import FEEDS, LINKS
from features.feeds.landed.manifest import LandedFeed, Manifest, Operator, Part, switch_manifest
from features.feeds.landed.reading import Feeds
from features.feeds.mapping.sources import Attribute, attributes_contract
from features.feeds.schema import Grain, Kind
from features.kit.home import Home
from features.portraits.build.build import build_portraits
from features.portraits.catalogue import examples

AS_OF = date(2026, 6, 8)
ARROW = {
    Kind.TEXT: pa.string(),
    Kind.CATEGORY: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.MONEY: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.FLAG: pa.bool_(),
    Kind.INSTANT: pa.timestamp("us"),
    Kind.DATE: pa.date32(),
}


def _mark(rows: list[dict[str, Any]]) -> str:
    """Returns hex digits of the content, as landed files carry in their names."""
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:12]


@dataclass
class World:
    """Rows by feed; `land` writes them as landed feeds of a home."""

    root: Path
    zone: str = "Asia/Shanghai"
    attributes: tuple[Attribute, ...] = ()
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(
        self,
        feed: str,
        customer: str | None,
        at: str,
        *,
        known: str | None = None,
        until: str | None = None,
        **columns: Any,
    ) -> dict[str, Any]:
        """Adds a row that happened at a civil time; it is known an hour later unless said otherwise."""
        event = self.instant(at)
        row = {
            "customer_id": customer,
            "event_id": columns.pop("event_id", f"{feed}-{len(self.rows.get(feed, []))}"),
            "event_at": event,
            "known_at": self.instant(known) if known else event + timedelta(hours=1),
            "superseded_at": self.instant(until) if until else None,
        }
        kinds = {column.name: column.kind for column in self.columns(feed)}
        row |= {name: self.value(kinds[name], value) for name, value in columns.items()}
        contract = FEEDS.get(feed)
        if contract is not None and contract.period:
            row.setdefault(contract.period, date.fromisoformat(at[:10]))
        self.rows.setdefault(feed, []).append(row)
        return row

    def customer(self, customer: str, *, at: str = "2024-01-01", **columns: Any) -> None:
        """Adds a customer's record."""
        self.add(
            "customers",
            customer,
            at,
            **{"activated_on": "2024-01-01", "kind": "consumer", "status": "active"} | columns,
        )

    def columns(self, feed: str) -> Any:
        """Returns a feed's contract columns."""
        if feed in LINKS:
            return LINKS[feed].columns
        return attributes_contract(self.attributes).columns if feed == "attributes" else FEEDS[feed].columns

    def instant(self, civil: str) -> datetime:
        """Returns naive UTC of a civil time such as `2026-06-07 07:59`."""
        local = datetime.fromisoformat(civil).replace(tzinfo=ZoneInfo(self.zone))
        return local.astimezone(ZoneInfo("UTC")).replace(tzinfo=None)

    def value(self, kind: Kind, value: Any) -> Any:
        """Returns a column's value from its readable form."""
        if not isinstance(value, str):
            return value
        if kind is Kind.DATE:
            return date.fromisoformat(value)
        return self.instant(value) if kind is Kind.INSTANT else value

    def land(self, home: Home | None = None) -> Home:
        """Writes every feed and the manifest; returns the home."""
        home = home or Home(self.root)
        landed = {}
        derived = {}
        for feed, rows in self.rows.items():
            if feed in LINKS:
                derived[feed] = self._write(home, f"personal/{feed}/all-{_mark(rows)}.parquet", feed, rows)
                landed["persons" if feed == "person_links" else "numbers"] = LandedFeed(
                    parts=(derived[feed],), columns=()
                )
                continue
            months: dict[str, list[dict[str, Any]]] = {}
            for row in rows:
                civil = row["event_at"].replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo(self.zone))
                by_month = not FEEDS[feed].reference and feed != "customers"
                months.setdefault(f"{civil:%Y-%m}" if by_month else "all", []).append(row)
            parts = tuple(
                self._write(home, f"feeds/{feed}/{month}-{_mark(months[month])}.parquet", feed, months[month])
                for month in sorted(months)
            )
            landed[feed] = LandedFeed(parts=parts, columns=tuple(one.name for one in self.columns(feed)))
        operator = Operator(name="tiny", time_zone=self.zone, currency="CNY", money_scale=3, attributes=self.attributes)
        manifest = Manifest(
            operator=operator, first_day=date(2025, 6, 1), latest_as_of=date(2026, 7, 1), feeds=landed, derived=derived
        )
        switch_manifest(home, manifest)
        return home

    def _write(self, home: Home, path: str, feed: str, rows: list[dict[str, Any]]) -> Part:
        fields = [] if feed in FEEDS and FEEDS[feed].reference else [pa.field("customer_id", pa.string())]
        if feed in LINKS:
            fields += [pa.field(name, pa.timestamp("us")) for name in ("known_at", "superseded_at")]
        else:
            if FEEDS[feed].grain is Grain.INSTANT:
                fields.append(pa.field("event_id", pa.string()))
            fields += [
                pa.field(name, pa.timestamp("us")) for name in ("event_at", "known_at", "superseded_at", "arrived_at")
            ]
        fields += [pa.field(one.name, ARROW[one.kind]) for one in self.columns(feed)]
        (home.root / path).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(fields)), home.root / path)
        return Part(path=path, month=Path(path).name.rsplit("-", 1)[0], rows=len(rows))


@dataclass
class Built:
    """The rows of one built portrait by customer."""

    table: pa.Table

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """Returns the rows by customer."""
        return {row["customer_id"]: row for row in self.table.to_pylist()}

    def of(self, customer: str, *names: str) -> dict[str, Any]:
        """Returns some values of a customer."""
        row = self.rows[customer]
        return {name: row[name] for name in names}

    @property
    def cells(self) -> pa.Table:
        """Returns everything but the time of the build."""
        return self.table.drop(["built_at"])


def build_world(world: World, out: Path, as_of: date = AS_OF, *, threads: int = 1, on_spark: bool = False) -> Built:
    """Lands a world and returns its portrait on a date."""
    home = world.land(Home(out))
    report = build_portraits(home, Feeds.open(home), [as_of], threads=threads, on_spark=on_spark)
    return Built(
        pq.read_table(home.portraits / report.identity / f"as_of={as_of}" / "portrait.parquet", partitioning=None)
    )


def write_example(world: World) -> World:
    """Writes the customers of the catalogue's examples, every feed in use, and one who did nothing at all."""
    for customer, example in examples().items():
        if example.values and "customers" not in example.rows:
            world.customer(customer)
        for feed, rows in example.rows.items():
            for row in rows:
                _write_row(
                    world, feed, customer, {name: str(v) if isinstance(v, date) else v for name, v in row.items()}
                )
    world.customer("quiet")
    world.add("attributes", "quiet", "2026-01-01", family="couple", income=12.5)
    return world


def _write_row(world: World, feed: str, customer: str, row: dict[str, Any]) -> None:
    customer, at = row.pop("customer", customer), row.pop("at")
    day, last = (date.fromisoformat(text[:10]) for text in (at, row.pop("through", at)))
    if feed == "customers":
        world.customer(customer, at=at, **row)
        return
    contract = FEEDS.get(feed)
    for ago in range((last - day).days + 1):
        here = f"{day + timedelta(days=ago)}{at[10:]}"
        daily = contract is not None and contract.grain is Grain.DAY
        next_morning = {"known": f"{day + timedelta(days=ago + 1)} 06:00"} if daily else {}
        owner = None if contract is not None and contract.reference else customer
        world.add(feed, owner, here, **next_morning | row)


EXAMPLE_ATTRIBUTES = (
    Attribute(name="family", kind="category", description="Kind of household."),
    Attribute(name="income", kind="number", description="Income in thousand yuan a month."),
)


@pytest.fixture
def example_world(tmp_path):
    """The operator of `write_example`, ready to be changed."""
    return write_example(World(tmp_path / "landed", attributes=EXAMPLE_ATTRIBUTES))


@pytest.fixture(scope="session")
def example(tmp_path_factory):
    """The portrait of the operator of `write_example`."""
    folder = tmp_path_factory.mktemp("example")
    return build_world(write_example(World(folder, attributes=EXAMPLE_ATTRIBUTES)), folder / "home")


@pytest.fixture
def world(tmp_path):
    """An empty operator."""
    return World(tmp_path / "landed")


@pytest.fixture
def build(tmp_path):
    """Builds a world's portrait in a folder of its own."""
    number = iter(range(100))

    def run(world: World, as_of: date = AS_OF, **options: Any) -> Built:
        return build_world(world, tmp_path / f"home{next(number)}", as_of, **options)

    return run


@pytest.fixture(scope="session")
def new_world():
    """Makes empty operators."""
    return World
