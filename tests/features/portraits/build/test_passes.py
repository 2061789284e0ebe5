"""What is added up for many dates at once against the same reduced row by row, each date from scratch."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest

from features.feeds.landed.reading import Feeds
from features.portraits.build import passes
from features.portraits.build.build import request_of, stage
from features.portraits.build.compute import Plan
from features.portraits.build.passes import Passes, added_up
from features.portraits.build.plans import plan_of
from features.portraits.build.sums import sum_columns, sums_of
from features.portraits.dimensions.spec import Definition, Feature
from features.portraits.settings import load_settings
from features.portraits.sources.engines import DuckDBEngine
from features.portraits.sources.sources import Summed
from features.portraits.sources.staging import Moment
from tests.features.portraits.build.random_world import random_world
from tests.features.portraits.conftest import World

DAYS = [date(2026, 3, 29), date(2026, 6, 8), date(2026, 5, 1)]
"""The clock of Berlin jumps on the first; the second lies within a month."""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Feeds, Plan, dict[tuple[date, str], set[Any]]]:
    """Random histories with late, corrected and removed rows, and their features reduced row by row."""
    folder: Path = tmp_path_factory.mktemp("passes")
    world = random_world(World(folder, zone="Europe/Berlin"), 5, [f"C{number:02d}" for number in range(12)])
    feeds = Feeds.open(world.land())
    plan = plan_of(DuckDBEngine, request_of(feeds, load_settings()))
    slow = {}
    with feeds.connect() as connection:
        engine = DuckDBEngine(connection)
        for day in DAYS:
            stage(engine, feeds, plan, Moment(day, feeds.operator.time_zone))
            for name in plan.sums:
                slow[day, name] = set(connection.execute(plan.features[name]).fetchall())
    return feeds, plan, slow


def _fast(feeds: Feeds, plan: Plan) -> dict[tuple[date, str], set[Any]]:
    found = {}
    with feeds.connect() as connection:
        engine = DuckDBEngine(connection)
        for day, tables in added_up(feeds, plan, DAYS).items():
            for name, table in tables.items():
                engine.adopt(f"sums_{name}", table, sum_columns(plan.sums[name]))
                found[day, name] = set(connection.execute(plan.sums[name]["features"]).fetchall())
    return found


@pytest.mark.parametrize("rows_at_once", [10_000, 150])
def test_many_dates_in_one_pass_are_what_each_is_from_its_rows(
    many: Any, rows_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every cell of both large feeds is equal on each date, with all customers at once and in ranges of them."""
    monkeypatch.setattr(passes, "ROWS_AT_ONCE", rows_at_once)
    feeds, plan, slow = many
    assert set(plan.sums) == {"usage_daily", "network_experience"}
    assert min(len(rows) for rows in slow.values()) >= 3
    assert _fast(feeds, plan) == slow


def test_a_row_that_was_not_known_then_would_be_seen(many: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison turns red when rows count whatever was known of them."""
    monkeypatch.setattr(passes, "known_before", lambda _: "true")
    feeds, plan, slow = many
    assert {key for key, rows in _fast(feeds, plan).items() if rows != slow[key]} == set(slow)


def test_numbers_that_could_leave_64_bits_are_left_to_the_rows(many: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source with such a number is not added up, and the others are."""
    monkeypatch.setattr(passes, "_NONE", 10**9)
    feeds, plan, slow = many
    assert set(_fast(feeds, plan)) == {key for key in slow if key[1] == "network_experience"}


def test_a_row_beyond_the_widest_window_is_nobody_elses() -> None:
    """With sums of 7 days alone a row of the 9th day is in none of them: neither the next customer's nor past the end."""
    ago = pa.array([3, 9, 1, 9], pa.int32())
    columns = {"days_ago": ago, "c0": pa.array([1] * 4, pa.int8()), "marks": pa.array([1] * 4, pa.int64())}
    asked: Any = {"outputs": [["add_c0_7", "add", "c0", 7]], "usual": []}
    block = passes._Block(pa.table({"customer_id": ["A", "A", "B", "B"], **columns}), asked, 10)
    added = block.added(1, 0, None, "x")
    assert added.select(["customer_id", "add_c0_7"]).to_pydict() == {"customer_id": ["A", "B"], "add_c0_7": [1, 1]}


def test_dates_share_passes_as_far_as_memory_allows(many: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for two dates three dates take two passes, in whatever order they are asked for."""
    taken: list[list[date]] = []

    def noted(_: Feeds, __: Plan, days: list[date], **___: Any) -> dict[date, Any]:
        taken.append(days)
        return {day: {} for day in days}

    monkeypatch.setattr(passes, "CELLS_AT_ONCE", 24)
    monkeypatch.setattr(passes, "added_up", noted)
    feeds, plan, _ = many
    shared = Passes(feeds, plan, DAYS, customers=12, threads=1)
    assert [shared.of(day) for day in (DAYS[1], DAYS[0], DAYS[2])] == [{}, {}, {}]
    assert taken == [[DAYS[1], DAYS[0]], [DAYS[2]]]


@pytest.mark.parametrize(
    "value",
    [
        lambda t: t.days_ago.nunique(),
        lambda t: t.share.sum(),
        lambda t: t.drops.max(),
        lambda t: t.days_ago.min(where=t.days_ago <= 7),
        lambda t: t.count(where=t.is_this_month),
        lambda t: t.drops.sum(where=t.days_ago >= 30),
        lambda t: t.drops.sum(where=t.drops > t.newest_day),
    ],
    ids=["nunique", "float", "max", "window of a least", "this month", "from a day on", "newest day"],
)
def test_what_does_not_follow_from_sums_of_rows_is_refused(value: Any) -> None:
    """Such a source is reduced row by row, whatever else is asked of it."""
    kinds = {"customer_id": "string", "event_at": "timestamp", "known_at": "timestamp", "superseded_at": "timestamp"}
    kinds |= {"days_ago": "int64", "drops": "int64", "share": "float64", "is_this_month": "boolean"}
    own = [Definition(Feature(name, "x"), "x", each) for name, each in (("a", lambda t: t.count()), ("b", value))]
    plain = Summed(lambda staged, _: staged, "", {}, lambda _: {})
    assert sums_of("x", ibis.table(kinds, name="t"), plain, own[:1], DuckDBEngine.compile) is not None
    assert sums_of("x", ibis.table(kinds, name="t"), plain, own, DuckDBEngine.compile) is None
