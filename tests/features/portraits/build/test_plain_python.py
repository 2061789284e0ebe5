"""Every feature against a slow computation by its sentence, row by row, over random histories with late and corrected rows."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from features.feeds.contracts import FEEDS
from features.feeds.schema import Grain
from tests.features.portraits.build.random_world import AS_OF, random_world
from tests.features.portraits.by_sentence.history import Customer, Everybody, newest_days
from tests.features.portraits.by_sentence.portrait import portrait_of, same


CUSTOMERS = [f"C{number:02d}" for number in range(12)]


def test_features_equal_a_slow_recomputation(world, build):
    """Every figure of customers with random histories equals the one found row by row by the catalogue's sentences."""
    assert differences(random_world(world, 1, CUSTOMERS), build, CUSTOMERS) == {}


def differences(world, build, customers):
    """Returns (customer, feature) -> (by the sentence, built) of what is not the same."""
    portrait = build(world)
    whole = {
        feed: [dict.fromkeys(column.name for column in world.columns(feed)) | row for row in rows]
        for feed, rows in world.rows.items()
    }
    everybody = Everybody(AS_OF, ZoneInfo(world.zone)).learn(whole)
    for feed, rows in whole.items():
        known = everybody.known(feed, rows)
        if feed in FEEDS and FEEDS[feed].grain is Grain.DAY:
            everybody.newest[feed] = newest_days(known)
    wrong, built = {}, portrait.rows
    for name in customers:
        own = {feed: [row for row in rows if row["customer_id"] == name] for feed, rows in whole.items()}
        expected = portrait_of(Customer(everybody, name, own))
        found = built[name]
        wrong |= {(name, one): (value, found[one]) for one, value in expected.items() if not same(value, found[one])}
    return wrong
