"""Every feature against a slow computation by its sentence, row by row, over random histories with late and corrected rows."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from features.feeds.contracts import FEEDS
from features.feeds.schema import Grain
from tests.features.portraits.build.random_world import AS_OF, random_world
from tests.features.portraits.by_sentence.history import Customer, Everybody, newest_days
from tests.features.portraits.by_sentence.portrait import portrait_of, same
from tests.features.portraits.conftest import World, build_world

CUSTOMERS = [f"C{number:02d}" for number in range(12)]


@pytest.fixture(scope="module")
def histories(tmp_path_factory):
    """A world of random histories, and its portrait."""
    folder = tmp_path_factory.mktemp("histories")
    world = random_world(World(folder / "landed"), 1, CUSTOMERS)
    return world, build_world(world, folder / "home").rows


def test_features_equal_a_slow_recomputation(histories):
    """Every figure of customers with random histories equals the one found row by row by the catalogue's sentences."""
    assert differences(*histories) == {}


def test_the_recomputation_sees_one_row_too_many(histories):
    """The comparison turns red when a single call more was known: it would see a wrong count, share or recency."""
    world, built = histories
    seen = {feed: list(rows) for feed, rows in world.rows.items()}
    call = seen["hotline_calls"][0]
    at = world.instant("2026-06-07 12:00")
    seen["hotline_calls"].append(call | {"event_at": at, "known_at": at, "superseded_at": None, "agent": True})
    wrong = differences(replace(world, rows=seen), built)
    assert {name for name, _ in wrong} == {call["customer_id"]}
    assert {"manual_calls_count_7d", "assisted_share_180d"} <= {feature for _, feature in wrong}


def differences(world, built):
    """Returns (customer, feature) -> (by the sentence, built) of what is not the same."""
    whole = {
        feed: [dict.fromkeys(column.name for column in world.columns(feed)) | row for row in rows]
        for feed, rows in world.rows.items()
    }
    everybody = Everybody(AS_OF, ZoneInfo(world.zone)).learn(whole)
    for feed, rows in whole.items():
        known = everybody.known(feed, rows)
        if feed in FEEDS and FEEDS[feed].grain is Grain.DAY:
            everybody.newest[feed] = newest_days(known)
    wrong: dict = {}
    for name in sorted(built):
        own = {feed: [row for row in rows if row["customer_id"] == name] for feed, rows in whole.items()}
        expected, found = portrait_of(Customer(everybody, name, own)), built[name]
        wrong |= {(name, one): (value, found[one]) for one, value in expected.items() if not same(value, found[one])}
    return wrong
