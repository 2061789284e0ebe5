"""A correction that comes months late, through landing and build: only later dates and only its customer move."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from features.feeds.landed.reading import Feeds
from features.kit.home import Home
from features.portraits.build.build import build_portraits
from features.portraits.reading import Portraits
from tests.features.feeds.conftest import SmallOperator

BEFORE = (date(2026, 3, 1), date(2026, 5, 1))
AFTER = date(2026, 6, 1)


def cells(home: Home) -> dict[date, dict[str, dict[str, Any]]]:
    """Returns date -> customer -> cells, without the time of the build."""
    portraits = Portraits.open(home)
    return {
        day: {
            row["customer_id"]: {name: repr(value) for name, value in row.items() if name != "built_at"}
            for row in portraits.read(day).to_pylist()
        }
        for day in (*BEFORE, AFTER)
    }


def test_a_correction_months_late_moves_later_portraits_of_its_customer_only(tmp_path: Path) -> None:
    """The January bill is corrected on 15 May: 1 March and 1 May stay bit for bit, 1 June moves for customer 1."""
    operator = SmallOperator(tmp_path)
    months = [f"2026-0{month}" for month in range(1, 5)] + ["2025-12"]
    bills = "".join(f"{one},{month}-01,50,{month}-03\n" for one in (1, 2) for month in months)
    operator.write("bills.csv", "customer_id,period,total,known_at\n" + bills.replace("-03\n", "-28 10:00:00\n"))
    operator.map("bills", "SELECT * FROM bills", units={"total": "major"})
    operator.land("2026-05-02T00:00:00")
    days = [*BEFORE, AFTER]
    build_portraits(operator.home, Feeds.open(operator.home), days)
    first = cells(operator.home)
    operator.write("bills_late.csv", "customer_id,period,total,known_at\n1,2026-01-01,950,2026-05-15 10:00:00\n")
    operator.land("2026-05-16T00:00:00")
    report = build_portraits(operator.home, Feeds.open(operator.home), days)
    second = cells(operator.home)
    assert set(report.built) == set(days)  # all were built again from the corrected feed
    for day in BEFORE:
        assert second[day] == first[day]
    assert second[AFTER]["2"] == first[AFTER]["2"]
    moved = {name for name, value in second[AFTER]["1"].items() if value != first[AFTER]["1"][name]}
    assert any(name.startswith(("bill_amount", "mean_bill", "bill_")) for name in moved), moved
