"""The files of the synthetic operator: the same for any chunks, mapped without change, re-rateable, the oracle apart."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from features.feeds.contracts import FEEDS
from features.feeds.landing.landing import check
from features.feeds.mapping.sources import COMMON_COLUMNS, load_source
from features.kit.config import config_path
from features.kit.errors import DataError
from features.kit.home import Home
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


def file_of(world: Path, feed: str) -> Path:
    """Returns the file, or the glob of the files, that holds a feed."""
    path = world / "files" / f"{feed}.csv"
    return path if path.exists() else world / "files" / feed / "*.parquet"


def columns_of(world: Path, feed: str) -> set[str]:
    """Returns the columns of a feed's files; none, if the operator does not deliver it."""
    path = file_of(world, feed)
    return set(duckdb.sql(f"FROM '{path}' LIMIT 0").columns) if any(path.parent.glob(path.name)) else set()


def li(text: str) -> int:
    """Returns yuan with decimals as whole li."""
    return int(Decimal(text) * 1000)


def test_chunks_leave_no_trace(world, tmp_path):
    """CSV files are byte-equal and Parquet rows equal, in order, for one chunk and for eleven."""
    simulate_to(tmp_path, customers=CUSTOMERS, months=MONTHS, seed=3, chunk=64)
    tables, months = sorted((world / "files").glob("*.csv")), sorted((world / "files").glob("*/*.parquet"))
    assert (len(tables) > 10, len(months) >= MONTHS) == (True, True)
    for path in tables:
        assert (tmp_path / "files" / path.name).read_bytes() == path.read_bytes(), path.name
    for path in months:
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
        assert columns_of(world, name) - set(COMMON_COLUMNS) == set(FEEDS[name].by_name), name


def test_the_oracle_lies_outside_the_files(world):
    """No file that a mapping could read holds a probability, a cause or an effect."""
    assert sorted(p.name for p in world.iterdir()) == ["files", "oracle", "simulation.json"]
    names = {p.stem for p in (world / "files").rglob("*") if p.is_file()}
    assert not {name for name in names if "cause" in name or "shock" in name or "oracle" in name}
    columns = [
        name for feed in load_source(config_path("sources/simulator.yaml")).feeds for name in columns_of(world, feed)
    ]
    assert {"period", "data_kb"} <= set(columns)
    assert [name for name in columns if "effect_" in name or "probability" in name] == []


def test_nothing_is_delivered_from_the_future(world):
    """No row is known before it happened, and none happened at or after the data end (2026-06-01, local time)."""
    kept = "event_at <= known_at AND event_at < TIMESTAMP '2026-06-01'"
    known = [name for name in FEEDS if {"event_at", "known_at"} <= columns_of(world, name)]
    assert {"bills", "tickets", "contacts"} <= set(known)
    for name in known:
        found = f"SELECT CAST(COLUMNS(['event_at', 'known_at']) AS TIMESTAMP) FROM '{file_of(world, name)}'"
        count, good = duckdb.sql(f"SELECT count(*), count(*) FILTER ({kept}) FROM ({found})").fetchall()[0]
        assert (name, good) == (name, count)
        assert count > 0, name


class Rater:
    """The published rating rules once more, bill by bill in plain Python, independent of the simulator's arrays."""

    def __init__(self, files: Path) -> None:
        self.plans = {r["plan_id"]: r for r in rows(files / "plans.csv")}
        self.use = {(r["customer_id"], r["period"]): r for r in rows(files / "usage_monthly.csv")}
        self.orders: dict[str, list[dict[str, str]]] = {}
        for row in rows(files / "subscriptions.csv"):
            self.orders.setdefault(row["customer_id"], []).append(row)
        self.pack_kb: Counter[tuple[str, str]] = Counter()
        self.fees: Counter[tuple[str, str]] = Counter()
        for row in rows(files / "pack_orders.csv"):
            key = (row["customer_id"], row["event_at"][:7] + "-01")
            self.pack_kb[key] += int(row["data_kb"]) * row["pack_id"].startswith("D")
            self.fees[key] += li(row["price"])
        for row in rows(files / "roaming_sessions.csv"):
            self.fees[row["customer_id"], row["event_at"][:7] + "-01"] += li(row["fee"])

    def order(self, customer: str, period: str) -> dict[str, str]:
        """Returns the order in force in a month."""
        valid = [o for o in self.orders[customer] if o["effective_on"] <= period]
        return max(valid, key=lambda o: (o["effective_on"], o["ordered_at"])) if valid else {}

    def rolled(self, customer: str, period: str) -> int:
        """Returns what last month left of that month's plan, if that plan rolls over."""
        year, month = int(period[:4]), int(period[5:7])
        before = f"{year - (month == 1)}-{12 if month == 1 else month - 1:02d}-01"
        last, order = self.use.get((customer, before)), self.order(customer, before)
        if last is None or not order or self.plans[order["plan_id"]]["rollover_months"] == "0":
            return 0
        return max(0, int(self.plans[order["plan_id"]]["data_kb"]) - int(last["data_kb"]))

    def data_fee(self, plan: dict[str, str], used: int, beside: int) -> int:
        """Returns the over-use fee of data in li."""
        if plan["throttle_after_kb"]:
            return 0
        over = max(0, used - int(plan["data_kb"]) - beside)
        fee = -(-over // int(plan["data_block_kb"])) * li(plan["data_overage_price"])
        return min(fee, li(plan["overage_cap"])) if plan["overage_cap"] else fee

    def total(self, bill: dict[str, str]) -> int:
        """Returns the month's total in li."""
        key = (bill["customer_id"], bill["period"])
        order, used = self.order(*key), self.use[key]
        plan = self.plans[order["plan_id"]]
        fee = max(0, int(used["billed_minutes"]) - int(plan["voice_minutes"])) * li(plan["voice_overage_price"])
        fee += max(0, int(used["sms_count"]) - int(plan["sms_count"])) * li(plan["sms_overage_price"])
        fee += self.data_fee(plan, int(used["data_kb"]), self.rolled(*key) + self.pack_kb[key])
        monthly = li(plan["monthly_fee"])
        if order["discount_end"] and key[1] < order["discount_end"]:
            monthly -= min(li(order["discount_amount"]), monthly)
        return max(li(plan["minimum_spend"]), monthly + fee) + self.fees[key] + li(bill["value_added_fee"])


@pytest.mark.parametrize(
    ("name", "column", "factor"), [("bills", "total", 100), ("usage_monthly", "data_kb", 1 / 1024)]
)
def test_another_unit_is_named(world, tmp_path, name, column, factor):
    """Fen read as yuan and MB read as KB stop the landing with the file and the column, whatever the rows look like."""
    shutil.copytree(world / "files", tmp_path / "files")
    path = tmp_path / "files" / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        head, *lines = csv.reader(file)
    place = head.index(column)
    for line in lines:
        line[place] = str(int(float(line[place] or 0) * factor))
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *lines])
    source = load_source(config_path("sources/simulator.yaml"))
    with pytest.raises(DataError, match=rf"{name}\.csv.*median of '{column}'"):
        check(source, tmp_path / "files", Home(tmp_path / "scratch"))


def test_an_ended_contract_is_still_on_record(world):
    """What moves the hazard of leaving is delivered: contracts that ended before the first month keep their end."""
    first = min(row["event_at"] for row in rows(world / "files" / "hotline_calls.csv"))
    ends = [row["contract_end"] for row in rows(world / "files" / "subscriptions.csv")]
    assert 0.05 < sum("" < end < first for end in ends) / CUSTOMERS < 0.4
    assert sum(end > first for end in ends) > 0.2 * CUSTOMERS


def test_bills_can_be_rated_again(world):
    """At least 97 of 100 bills come out to the li from use, packs, roaming, plan and roll-over, by the published rules."""
    rater = Rater(world / "files")
    bills: dict[tuple[str, str], dict[str, str]] = {}
    for row in sorted(rows(world / "files" / "bills.csv"), key=lambda row: row["known_at"]):
        bills[row["customer_id"], row["period"]] = row
    equal = [li(bill["total"]) == rater.total(bill) for bill in bills.values()]
    assert 0.97 <= sum(equal) / len(equal) < 1


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
