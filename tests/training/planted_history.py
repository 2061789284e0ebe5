"""A small operator whose feeds go on after an as-of date, to plant in its portraits what was known only later."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from features.feeds.landed.reading import Feeds
from features.feeds.landing.landing import land
from features.feeds.mapping.sources import load_source
from features.kit.home import Home
from features.kit.terminal.progress import SILENT
from features.portraits.build.build import build_portraits
from features.portraits.reading import Portraits
from training.leakage.provenance import unfounded_columns

MAPPING = """
operator: {name: small, time_zone: Asia/Shanghai, currency: {code: CNY, scale: 3}}
files:
  customers: {path: customers.csv}
  hotline_calls: {path: hotline_calls.csv}
  bills: {path: bills.csv}
  tickets: {path: tickets.csv}
feeds:
  customers: {select: SELECT * FROM customers}
  hotline_calls: {select: SELECT * FROM hotline_calls}
  bills: {select: SELECT * FROM bills}
  tickets: {select: SELECT * FROM tickets}
"""
DAY = date(2026, 3, 1)
CUSTOMERS = 40
HALF = range(0, CUSTOMERS, 2)


def small_home(folder: Path, *, stamped_early: bool = False) -> Home:
    """Returns a home whose feeds go on after the date: late calls, a corrected bill, closed tickets, a new tier.

    With `stamped_early` a ticket's one row carries its closing fields and is stamped with its opening.
    """
    feeds: dict[str, list[dict[str, Any]]] = {"customers": [], "hotline_calls": [], "bills": [], "tickets": []}
    for number in range(CUSTOMERS):
        own = {"customer_id": f"c{number:03d}"}
        tiers = [("2025-01-01 00:00:00", "none"), *([("2026-03-20 00:00:00", "gold")] if number in HALF else [])]
        feeds["customers"] += [
            own | {"event_at": at, "known_at": at, "kind": "consumer", "status": "active", "vip_tier": tier}
            for at, tier in tiers
        ]
        for place, (at, known) in enumerate(
            [("2026-02-10 09:00:00", "2026-02-10 10:00:00"), ("2026-02-25 09:00:00", "2026-03-06 10:00:00")]
        ):
            call = {"call_id": f"k{number}-{place}", "event_at": at, "known_at": known, "topic": "billing", "agent": 1}
            feeds["hotline_calls"].append(own | call)
        for known, total in [("2026-02-05 00:00:00", "50.00"), ("2026-03-10 00:00:00", "80.00")]:
            feeds["bills"].append(own | {"period": "2026-01-01", "known_at": known, "total": total})
        opened, closed = "2026-02-15 09:00:00", "2026-03-12 09:00:00"
        ticket = own | {"ticket_id": f"t{number}", "kind": "complaint", "opened_at": opened}
        if stamped_early:
            row = {"event_at": opened, "known_at": opened, "status": "closed", "closed_at": closed, "satisfaction": 2}
            feeds["tickets"].append(ticket | row)
        else:
            row = {"event_at": opened, "known_at": opened, "status": "open", "closed_at": "", "satisfaction": ""}
            feeds["tickets"].append(ticket | row)
            row = {"event_at": closed, "known_at": closed, "status": "closed", "closed_at": closed, "satisfaction": 2}
            feeds["tickets"].append(ticket | row)
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in feeds.items():
        lines = [",".join(rows[0]), *(",".join(str(value) for value in row.values()) for row in rows)]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    (folder / "small.yaml").write_text(MAPPING)
    home = Home(folder / "home")
    land(load_source(folder / "small.yaml"), folder, home, SILENT)
    build_portraits(home, Feeds.open(home), [DAY])
    return home


PLANTED = {
    "known_later": ("manual_calls_count_30d", 2.0),
    "later_correction": ("bill_last_amount", 80_000.0),
    "closing_fields": ("open_complaints_count", 0.0),
    "overwritten_snapshot": ("vip_tier", "gold"),
}
"""Kind -> feature and the value that every second customer would have, had it been known."""


def found_in(home: Home) -> dict[str, str]:
    """Returns kind by name of what the stored portraits of the date do not have from what was known."""
    portraits = Portraits.open(home)
    return {one.name: one.kind for one in unfounded_columns(Feeds.open(home), portraits, [DAY], seed=7)}


def plant_value(home: Home, name: str, value: Any) -> bytes:
    """Overwrites one feature of every second customer in the stored portrait; returns the file as it was."""
    path = Portraits.open(home).path(DAY)
    before = path.read_bytes()
    table = pq.read_table(path, partitioning=None)
    values = table[name].to_pylist()
    assert values[0] != value
    planted = [value if row in HALF else old for row, old in enumerate(values)]
    table = table.set_column(table.column_names.index(name), name, pa.array(planted, table.schema.field(name).type))
    pq.write_table(table, path)
    return before
