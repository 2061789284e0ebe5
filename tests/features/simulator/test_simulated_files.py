"""The files of the synthetic operator: the same for any chunks, mapped without change, re-rateable, the oracle apart."""

from __future__ import annotations

import csv
from pathlib import Path

import duckdb
import pytest

from features.feeds.contracts import FEEDS
from features.feeds.sources import COMMON_COLUMNS, load_source
from features.kit.config import config_path
from features.simulator.step import simulate_to

CUSTOMERS, MONTHS = 704, 8


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """One small operator, written in one chunk."""
    out = tmp_path_factory.mktemp("operator")
    simulate_to(out, customers=CUSTOMERS, months=MONTHS, seed=3)
    return out


def rows(path: Path) -> list[dict[str, str]]:
    """Returns the rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_chunks_leave_no_trace(world, tmp_path):
    """CSV files are byte-equal and Parquet rows equal, in order, for one chunk and for eleven."""
    simulate_to(tmp_path, customers=CUSTOMERS, months=MONTHS, seed=3, chunk=64)
    for path in sorted((world / "files").glob("*.csv")):
        assert (tmp_path / "files" / path.name).read_bytes() == path.read_bytes(), path.name
    for path in sorted((world / "files").glob("*/*.parquet")):
        other = tmp_path / "files" / path.relative_to(world / "files")
        assert duckdb.read_parquet(str(other)).fetchall() == duckdb.read_parquet(str(path)).fetchall(), path.name


def test_another_seed_is_another_operator(world, tmp_path):
    """The seed decides: another one gives other bills."""
    simulate_to(tmp_path, customers=CUSTOMERS, months=MONTHS, seed=4)
    assert (tmp_path / "files" / "bills.csv").read_bytes() != (world / "files" / "bills.csv").read_bytes()


def test_every_feed_is_delivered_under_the_contract_names(world):
    """The mapping needs no renaming: each file has the contract's columns and nothing else; only attributes is absent."""
    source = load_source(config_path("sources/simulator.yaml"))
    assert set(source.feeds) == set(FEEDS) - {"attributes"}
    for name in source.feeds:
        path = world / "files" / f"{name}.csv"
        columns = (
            set(path.read_text(encoding="utf-8").split("\n", 1)[0].replace('"', "").split(","))
            if path.exists()
            else set(duckdb.read_parquet(str(world / "files" / name / "*.parquet")).columns)
        )
        assert columns - set(COMMON_COLUMNS) == set(FEEDS[name].by_name), name


def test_the_oracle_lies_outside_the_files(world):
    """No file that a mapping could read holds a probability, a cause or an effect."""
    assert sorted(p.name for p in world.iterdir()) == ["files", "oracle", "simulation.json"]
    names = {p.stem for p in (world / "files").rglob("*") if p.is_file()}
    assert not {name for name in names if "cause" in name or "shock" in name or "oracle" in name}
    for path in (world / "files").glob("*.csv"):
        header = path.read_text(encoding="utf-8").split("\n", 1)[0]
        assert "effect_" not in header
        assert "probability" not in header


def test_nothing_is_delivered_from_the_future(world):
    """No row is known before it happened, and none happened at or after the data end (2026-06-01, local time)."""
    for path in (world / "files").glob("*.csv"):
        for row in rows(path):
            assert row["event_at"] <= row["known_at"], path.name
            assert row["event_at"] < "2026-06-01", path.name


def test_bills_can_be_rated_again(world):
    """At least 97 of 100 bills come out to the li from use, packs, roaming, plan and roll-over, by the published rules."""
    files = world / "files"
    plans = {r["plan_id"]: r for r in rows(files / "plans.csv")}
    bills: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows(files / "bills.csv"):
        key = (row["customer_id"], row["period"])
        if key not in bills or row["known_at"] > bills[key]["known_at"]:
            bills[key] = row
    use = {(r["customer_id"], r["period"]): r for r in rows(files / "usage_monthly.csv")}
    extra: dict[tuple[str, str], list[float]] = {}
    for row in rows(files / "pack_orders.csv"):
        sums = extra.setdefault((row["customer_id"], row["event_at"][:7] + "-01"), [0, 0.0, 0.0])
        sums[0] += int(row["data_kb"]) if row["pack_id"].startswith("D") else 0
        sums[1] += float(row["price"])
    for row in rows(files / "roaming_sessions.csv"):
        sums = extra.setdefault((row["customer_id"], row["event_at"][:7] + "-01"), [0, 0.0, 0.0])
        sums[2] += float(row["fee"])
    orders: dict[str, list[dict[str, str]]] = {}
    for row in rows(files / "subscriptions.csv"):
        orders.setdefault(row["customer_id"], []).append(row)

    def plan_of(customer: str, period: str) -> dict[str, str]:
        valid = [o for o in orders[customer] if o["effective_on"] <= period]
        return max(valid, key=lambda o: (o["effective_on"], o["ordered_at"])) if valid else {}

    def unused(customer: str, period: str) -> int:
        year, month = int(period[:4]), int(period[5:7])
        before = f"{year - (month == 1)}-{12 if month == 1 else month - 1:02d}-01"
        last, order = use.get((customer, before)), plan_of(customer, before)
        if last is None or not order or plans[order["plan_id"]]["rollover_months"] == "0":
            return 0
        return max(0, int(plans[order["plan_id"]]["data_kb"]) - int(last["data_kb"]))

    def total(customer: str, period: str, bill: dict[str, str]) -> float:
        order, used = plan_of(customer, period), use[customer, period]
        plan = plans[order["plan_id"]]
        pack_kb, pack_fee, roaming = extra.get((customer, period), [0, 0.0, 0.0])
        fee = max(0, int(used["billed_minutes"]) - int(plan["voice_minutes"])) * float(plan["voice_overage_price"])
        fee += max(0, int(used["sms_count"]) - int(plan["sms_count"])) * float(plan["sms_overage_price"])
        if not plan["throttle_after_kb"]:
            over = max(0, int(used["data_kb"]) - int(plan["data_kb"]) - unused(customer, period) - int(pack_kb))
            data = -(-over // int(plan["data_block_kb"])) * float(plan["data_overage_price"])
            fee += min(data, float(plan["overage_cap"])) if plan["overage_cap"] else data
        discount = 0.0
        if order["discount_end"] and period < order["discount_end"]:
            discount = min(float(order["discount_amount"]), float(plan["monthly_fee"]))
        rated = max(float(plan["minimum_spend"]), float(plan["monthly_fee"]) - discount + fee)
        return rated + pack_fee + roaming + float(bill["value_added_fee"])

    equal = [abs(float(bill["total"]) - total(*key, bill)) < 0.0005 for key, bill in bills.items()]
    assert sum(equal) / len(equal) >= 0.97


def test_numbers_go_to_someone_else_only_90_days_after_a_recorded_departure(world):
    """Every number with two owners was free for 90 days in between."""
    owners: dict[str, dict[str, dict[str, str]]] = {}
    for row in rows(world / "files" / "numbers.csv"):
        owners.setdefault(row["number"], {})[row["customer_id"]] = row
    shared = [sorted(held.values(), key=lambda r: r["valid_from"]) for held in owners.values() if len(held) > 1]
    assert shared
    for first, second in (pair[:2] for pair in shared):
        free = duckdb.execute(
            "SELECT date_diff('day', ?::TIMESTAMP, ?::TIMESTAMP)", [first["valid_until"], second["valid_from"]]
        )
        assert free.fetchone()[0] >= 90
