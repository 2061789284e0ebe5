"""Partitions: columns and types, what is kept, what is missing, and a kill at every point."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, datetime

import pyarrow as pa
import pytest

from features.feeds.landed.reading import Feeds
from features.journey.journey import Journey
from features.kit.errors import DataError, NotReadyError
from features.kit.home import Home
from features.kit.terminal.progress import SILENT
from features.portraits import step
from features.portraits.build.build import build_portraits
from features.portraits.feature_list import FeatureList
from features.portraits.reading import Portraits

DAYS = [date(2026, 5, 22), date(2026, 6, 8)]


def test_a_partition_has_the_promised_columns_and_types(example):
    """Keys and times first, then every feature as float32 or text, then class and facts; sorted by customer."""
    schema = example.table.schema
    features = FeatureList.declared().features
    head = ["customer_id", "as_of_date", "event_timestamp", "created_timestamp", "built_at"]
    assert schema.names[:5] == head
    assert schema.names[-3:] == ["primary_class", "also_classes", "facts"]
    assert schema.names[5 : 5 + len(features)] == [feature.name for feature in features]
    assert {str(schema.field(f.name).type) for f in features if f.kind == "number"} == {"float"}
    assert {str(schema.field(f.name).type) for f in features if f.kind == "category"} == {"string"}
    assert example.table.column("customer_id").to_pylist() == sorted(example.rows)
    row = example.rows["quiet"]
    assert row["event_timestamp"] == row["created_timestamp"] == datetime(2026, 6, 7, 16)  # noqa: DTZ001 - naive UTC
    assert (row["family"], row["income"]) == ("couple", 12.5)


def test_one_thread_and_two_give_the_same_bits(example_world, example, build):
    """Every cell is equal whatever the number of threads."""
    for customer in ("use", "packs", "network"):
        for day in range(1, 29):
            example_world.add(
                "usage_daily",
                customer,
                f"2026-02-{day:02}",
                voice_seconds=day * 7,
                data_kb=day * 999_983,
                offnet_seconds=day,
            )
    one, two = build(example_world, threads=1), build(example_world, threads=2)
    assert one.cells.equals(two.cells)


def test_missing_feeds_give_null_and_are_named(world, build, tmp_path):
    """With calls alone every other dimension is NULL, named missing, and the rest is said to be not evaluable."""
    world.customer("A")
    world.add("hotline_calls", "A", "2026-06-01", call_id="1", agent=True, topic="network")
    portrait = build(world)
    row = portrait.rows["A"]
    assert row["manual_calls_count_30d"] == 1
    others = [
        f.name
        for f in FeatureList.declared().features
        if f.dimension in ("consumption", "contract", "data_packs", "network")
    ]
    assert {row[name] for name in others} == {None}
    report = Portraits.open(Home(tmp_path / "home0")).class_report(date(2026, 6, 8))
    assert report["missing"] == [
        "profile.numbers", "profile.persons", "consumption", "contract", "data_packs", "channel_preference.channel_contacts",
        "roaming.roaming_sessions", "network", "service_history",
    ]  # fmt: skip
    assert report["not_evaluable"] == [
        "complaint_sensitive", "arrears_prone", "frequent_traveller", "contract_ending", "data_hungry", "high_value", "over_provisioned", "bundled",
    ]  # fmt: skip


def test_a_feed_that_only_begins_later_is_missing_and_moves_nothing(world, build):
    """Surveys first known after the day leave their features NULL, not 0, as before they existed."""
    world.customer("A")
    world.add("tickets", "A", "2026-06-08 12:00", ticket_id="1", kind="complaint", status="open")
    assert build(world).of("A", "complaints_count_30d") == {"complaints_count_30d": None}


def test_an_up_to_date_partition_is_kept(example_world):
    """A second build of the same feeds writes nothing; news of June rebuilds the dates of June, not that of May."""
    home = example_world.land()
    first = build_portraits(home, Feeds.open(home), DAYS)
    again = build_portraits(home, Feeds.open(home), DAYS)
    assert (list(first.built), list(again.built), again.kept) == (DAYS, [], tuple(DAYS))
    example_world.add("hotline_calls", "calls", "2026-06-06", call_id="new", agent=True)
    newer = build_portraits(example_world.land(), Feeds.open(home), DAYS)
    assert (list(newer.built), newer.kept) == (DAYS[1:], (DAYS[0],))


def test_codes_of_categories_never_move(world):
    """A province that appears later gets the next code, even if it sorts before the others."""
    world.customer("A", province="Hebei")
    home = world.land()
    build_portraits(home, Feeds.open(home), DAYS[:1])
    world.customer("B", province="Anhui")
    build_portraits(world.land(), Feeds.open(home), DAYS)
    features = Portraits.open(home).feature_list
    assert dict(zip(features.names, features.features, strict=True))["province"].categories == ("Hebei", "Anhui")


def test_an_attribute_may_not_take_a_features_name(world):
    """The error names the attribute."""
    from features.feeds.mapping.sources import Attribute

    world.attributes = (Attribute(name="tenure_days", kind="number", description="Ours."),)
    world.customer("A")
    home = world.land()
    with pytest.raises(DataError, match="'tenure_days' is already a feature"):
        build_portraits(home, Feeds.open(home), DAYS)


def test_the_step_builds_the_grid_and_the_journeys_date(example_world):
    """The journey gets as-of dates every 17 days back to 150 days after the first day."""
    home = example_world.land()
    journey = Journey(home=home, source=home.root, data=home.root, as_of=date(2025, 12, 5), threads=1)
    assert step.build(journey, SILENT)["dates"] == 3
    assert Portraits.open(home).as_of_dates() == [date(2025, 11, 1), date(2025, 11, 18), date(2025, 12, 5)]


def test_a_date_beyond_the_feeds_is_refused(example_world):
    """The remedy names the last possible date."""
    home = example_world.land()
    with pytest.raises(NotReadyError, match="complete only up to 2026-07-01"):
        step.newest_of(Feeds.open(home), date(2026, 7, 2))
    with pytest.raises(NotReadyError, match="no portrait has been built"):
        Portraits.open(home)


@pytest.mark.parametrize("point", ["build.before_partition", "build.after_partition", "build.before_pointer"])
def test_a_killed_build_is_completed_by_the_next(example_world, example, point):
    """After kill -9 no half-written partition is seen, and the next build gives the same rows."""
    home = example_world.land()
    code = (
        "import sys; from datetime import date; from pathlib import Path; from features.kit.home import Home;"
        "from features.feeds.landed.reading import Feeds; from features.portraits.build.build import build_portraits;"
        "home = Home(Path(sys.argv[1])); build_portraits(home, Feeds.open(home), [date(2026, 6, 8)])"
    )
    log = home.root / "hits"
    environment = {**os.environ, "INSIGHT_FAILPOINT": f"{point}:1:kill", "INSIGHT_FAILPOINT_LOG": str(log)}
    killed = subprocess.run([sys.executable, "-c", code, str(home.root)], env=environment, check=False)
    assert killed.returncode == -9
    assert f"fired:{point}" in log.read_text()
    assert not (home.portraits / "current.json").exists()
    report = build_portraits(home, Feeds.open(home), [date(2026, 6, 8)])
    assert list(report.built) == ([] if point == "build.before_pointer" else [date(2026, 6, 8)])
    table: pa.Table = Portraits.open(home).read(date(2026, 6, 8))
    assert table.drop(["built_at"]).equals(example.cells)


def test_a_damaged_portrait_is_named_and_built_again(world, tmp_path):
    """Half a file: whoever reads it is told which and what to run, and that command mends it."""
    world.customer("A")
    home = world.land(Home(tmp_path / "home"))
    build_portraits(home, Feeds.open(home), DAYS)
    portraits = Portraits.open(home)
    path = portraits.path(DAYS[0])
    whole = portraits.read(DAYS[0]).drop(["built_at"])
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match="not a whole Parquet file") as damaged:
        portraits.read(DAYS[0])
    assert str(path) in damaged.value.message
    assert damaged.value.remedy == f"run `insight build --as-of {DAYS[0]}`"
    assert tuple(build_portraits(home, Feeds.open(home), DAYS).built) == (DAYS[0],)
    assert portraits.read(DAYS[0]).drop(["built_at"]).equals(whole)


@pytest.mark.parametrize(
    ("name", "told"), [("current.json", "names no identity"), ("*/feature_list.json", "not a feature list")]
)
def test_a_damaged_pointer_or_list_is_one_line_that_names_the_file(world, tmp_path, name, told):
    """`{}` in either is an error with its remedy, for readers and for the next build."""
    world.customer("A")
    home = world.land(Home(tmp_path / "home"))
    build_portraits(home, Feeds.open(home), DAYS[:1])
    (path,) = home.portraits.glob(name)
    path.write_text("{}")
    for attempt in (lambda: Portraits.open(home), lambda: build_portraits(home, Feeds.open(home), DAYS)):
        with pytest.raises(DataError, match=told) as damaged:
            attempt()
        assert str(path) in damaged.value.message
        assert "remove" in damaged.value.remedy
