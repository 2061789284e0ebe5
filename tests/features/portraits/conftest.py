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


# fmt: off
def _plans(world):
    world.add("plans", None, "2024-01-01", plan_id="small", monthly_fee=38000, generation="4G", voice_minutes=100, data_kb=10 * 1024 * 1024, valid_from="2024-01-01")
    world.add("plans", None, "2024-01-01", plan_id="big", monthly_fee=98000, generation="5G", voice_minutes=500, data_kb=40 * 1024 * 1024, throttle_after_kb=20 * 1024 * 1024, valid_from="2024-01-01")


def _profile(world):
    world.customer("profile", activated_on="2025-06-08", vip_tier="gold", province="Hebei", birth_year=1988, device_generation="4G", device_since="2026-01-01")
    world.customer("profile", at="2026-05-29 10:00", activated_on="2025-06-08", vip_tier="gold", province="Hebei", birth_year=1988, device_generation="5G", device_since="2026-05-29")
    for customer, role, until in (("profile", "main", None), ("sister", "secondary", None), ("tv", "tv", "2026-05-01"), ("gone", "secondary", None)):
        world.add("person_links", customer, "2025-06-08", person_id="p", account_id="a", role=role, valid_from="2025-06-08", valid_until=until)
    world.add("terminations", "gone", "2026-06-01 12:00", reason="cancel")
    world.add("number_flags", "profile", "2025-06-08", valid_from="2025-06-08 00:00", ported_in_on="2025-06-08", is_verified=True)


def _calls(world):
    world.customer("calls")
    for at, topic, resolved, wait in (("2026-06-07 09:00", "network", False, 60), ("2026-06-02 09:00", "network", True, 30), ("2026-05-15 20:00", "billing", False, 0), ("2026-05-10 20:00", "porting", True, 0), ("2026-03-20 08:00", "data_plan", None, 90), ("2026-01-01 08:00", "other", True, 600)):
        world.add("hotline_calls", "calls", at, call_id=at, topic=topic, agent=True, resolved=resolved, wait_seconds=wait, talk_seconds=60, transferred=False)
    world.add("hotline_calls", "calls", "2026-06-06 09:00", call_id="ivr", topic="billing", agent=False, talk_seconds=0)


def _bills(world):
    world.customer("bills")
    for month, total, overage, paid, item in (("2026-04-01", 100000, 12000, None, "ringtone"), ("2026-03-01", 60000, 0, "2026-04-25", None), ("2026-02-01", 50000, 5000, "2026-03-15", None), ("2026-01-01", 40000, 0, "2026-02-20", None), ("2025-12-01", 40000, 0, "2026-01-10", None)):
        due = {"2026-04-01": "2026-05-20", "2026-03-01": "2026-04-20", "2026-02-01": "2026-03-20", "2026-01-01": "2026-02-20", "2025-12-01": "2026-01-20"}[month]
        world.add("bills", "bills", month, known=due, total=total, overage_fee=overage, value_added_fee=8000 if item else 0, value_added_item=item, due_at=due, paid_at=paid)


def _use(world):
    world.customer("use")
    for day, kb, voice in (("2026-06-07", 10 * 1024, 120), ("2026-06-01", 20 * 1024, 0), ("2026-05-20", 30 * 1024, 240), ("2026-04-01", 60 * 1024, 600), ("2026-01-01", 1024, 60), ("2025-11-01", 999 * 1024, 0)):
        world.add("usage_daily", "use", day, known=f"{day} 23:59", voice_seconds=voice, offnet_seconds=voice // 2, data_kb=kb, night_data_kb=kb // 4, sms_count=2)
    world.add("usage_daily", "use", "2026-06-06", known="2026-06-07", voice_seconds=0, offnet_seconds=0, data_kb=0, night_data_kb=0, sms_count=0)
    world.add("subscriptions", "use", "2024-01-01", plan_id="small", ordered_at="2024-01-01", effective_on="2024-01-01")


def _contract(world):
    world.customer("contract", device_generation="5G", device_since="2026-01-01")
    world.add("subscriptions", "contract", "2025-06-20", plan_id="small", ordered_at="2025-06-20", effective_on="2025-07-01", contract_type="handset", contract_start="2025-07-01", contract_end="2026-06-30", discount_end="2026-05-31", discount_amount=9000)
    world.add("subscriptions", "contract", "2026-06-05", plan_id="big", ordered_at="2026-06-05", effective_on="2026-07-01", contract_type="none")
    world.add("port_requests", "contract", "2026-05-09", step="enquiry")


def _renewed(world):
    world.customer("renewed")
    world.add("subscriptions", "renewed", "2024-06-20", plan_id="small", ordered_at="2024-06-20", effective_on="2024-07-01", contract_type="handset", contract_start="2024-06-20", contract_end="2026-06-20", discount_end="2026-06-20", discount_amount=9000)
    world.add("subscriptions", "renewed", "2026-06-05", plan_id="small", ordered_at="2026-06-05", effective_on="2026-07-01", contract_type="discount", contract_start="2026-06-21", contract_end="2027-06-20", discount_end="2027-06-20", discount_amount=5000)


def _packs(world):
    world.customer("packs")
    world.add("subscriptions", "packs", "2024-01-01", plan_id="small", ordered_at="2024-01-01", effective_on="2024-01-01")
    world.add("subscriptions", "packs", "2026-04-20", plan_id="big", ordered_at="2026-04-20", effective_on="2026-05-01")
    world.add("packs", None, "2024-01-01", pack_id="abroad", scope="roaming", data_kb=1, price=1, valid_from="2024-01-01")
    for at, pack in (("2026-06-01 12:00", "k1"), ("2026-04-01 12:00", "k1"), ("2026-02-01 12:00", "k1"), ("2026-06-02 12:00", "abroad")):
        world.add("pack_orders", "packs", at, pack_id=pack, price=10000, data_kb=1024 * 1024)
    gb = 1024 * 1024
    for month, used, minutes in (("2026-04-01", 12 * gb, 50), ("2026-03-01", 2 * gb, 150), ("2026-02-01", 1 * gb, 100), ("2026-01-01", 99 * gb, 0)):
        world.add("usage_monthly", "packs", month, known="2026-05-06", data_kb=used, billed_minutes=minutes)
    world.add("usage_monthly", "packs", "2026-05-01", known="2026-06-06", data_kb=30 * gb, billed_minutes=100)
    world.add("usage_daily", "packs", "2026-06-03", known="2026-06-04", data_kb=5 * gb)
    world.add("usage_daily", "packs", "2026-05-31", known="2026-06-04", data_kb=7 * gb)


def _channels(world):
    world.customer("channels")
    for at, channel, succeeded in (("2026-06-06 10:00", "app", False), ("2026-06-05 10:00", "app", True), ("2026-05-20 19:00", "web", False), ("2026-04-01 19:00", "hall", True), ("2026-01-15 19:00", "message", True), ("2025-11-01 19:00", "app", True)):
        world.add("channel_contacts", "channels", at, channel=channel, purpose="bill", succeeded=succeeded)
    world.add("hotline_calls", "channels", "2026-05-01 09:00", call_id="c", agent=True, topic="roaming")
    world.add("hotline_calls", "channels", "2026-05-30 09:00", call_id="d", agent=False, topic="roaming")


def _roaming(world):
    world.customer("roaming")
    for at, fee, pack, abroad in (("2026-06-01 12:00", 60000, False, True), ("2026-06-01 18:00", 5000, True, True), ("2026-03-01 12:00", 7000, False, True), ("2026-05-30 12:00", 900, False, False), ("2025-06-20 12:00", 1, False, True)):
        world.add("roaming_sessions", "roaming", at, area="HK", international=abroad, fee=fee, with_pack=pack, seconds=60, data_kb=100)


def _network(world):
    world.customer("network", grid="G1")
    for day, drops, stalls in (("2026-06-07", 0, 3), ("2026-06-01", 2, 0), ("2026-05-20", 1, 2), ("2026-04-01", 0, 9)):
        world.add("network_experience", "network", day, known=f"{day} 23:59", drops=drops, stalls=stalls, weak_signal_minutes=10)
    world.add("network_faults", None, "2026-06-01 08:00", fault_id="F1", grid="G1", expected_repair_on="2026-06-10")
    world.add("network_faults", None, "2026-05-01 08:00", fault_id="F2", grid="G1", expected_repair_on="2026-05-02")
    world.add("network_faults", None, "2026-05-02 08:00", fault_id="F2", grid="G1", expected_repair_on="2026-05-02", repaired_at="2026-05-02 07:00")
    for at, faults, measured in (("2026-03-01", 5, 90000), ("2026-05-01", 1, 90000), ("2026-06-01", 2, 50000)):
        world.add("fixed_services", "network", at, service="broadband", status="active", faults=faults, contracted_kbps=100000, measured_kbps=measured)
    world.add("fixed_services", "network", "2026-05-01", service="tv", status="active", last_active_on="2026-04-29")


def _service(world):
    world.customer("service")
    world.add("tickets", "service", "2026-05-20 10:00", ticket_id="T1", kind="complaint", topic="network", status="open", opened_at="2026-05-20 10:00", due_at="2026-05-22 10:00")
    world.add("tickets", "service", "2026-05-21 10:00", ticket_id="T1", kind="complaint", topic="network", status="closed", opened_at="2026-05-20 10:00", closed_at="2026-05-21 10:00", satisfaction=3)
    world.add("tickets", "service", "2026-02-01 10:00", ticket_id="T2", kind="complaint", topic="billing", status="open", opened_at="2026-02-01 10:00", due_at="2026-02-03 10:00")
    world.add("tickets", "service", "2026-02-05 10:00", ticket_id="T2", kind="complaint", topic="billing", status="reopened", opened_at="2026-02-01 10:00", due_at="2026-06-05 10:00")
    world.add("tickets", "service", "2026-06-01 10:00", ticket_id="T3", kind="enquiry", topic="billing", status="open", opened_at="2026-06-01 10:00", due_at="2026-06-09 10:00")
    world.add("surveys", "service", "2026-06-01 10:00", survey="nps", score=4)
    world.add("surveys", "service", "2026-05-01 10:00", survey="nps", score=9)
    world.add("contacts", "service", "2026-05-09 10:00", contact_id="k", action="service_review", arm="treated")
    world.add("contacts", "service", "2026-06-01 10:00", contact_id="l", action="service_review", arm="control")
# fmt: on


def write_example(world: World) -> World:
    """Writes one customer per dimension, every feed in use, and one who did nothing at all."""
    for write in (
        _plans,
        _profile,
        _calls,
        _bills,
        _use,
        _contract,
        _renewed,
        _packs,
        _channels,
        _roaming,
        _network,
        _service,
    ):
        write(world)
    world.customer("quiet")
    world.add("attributes", "quiet", "2026-01-01", family="couple", income=12.5)
    return world


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
