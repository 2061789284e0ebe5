"""A stored portrait that holds what was known only later is found, and the cause is named; an honest one is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.feeds.landed.reading import Feeds
from features.kit.home import Home
from features.portraits.reading import Portraits
from tests.training.planted_history import DAY, PLANTED, found_in, plant_value, small_home
from training.leakage.provenance import dates_to_replay, unfounded_columns
from training.leakage.stamps import young_fields


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Returns the honest home."""
    return small_home(tmp_path_factory.mktemp("provenance"))


def test_a_portrait_as_built_is_what_was_known(home: Home):
    """Late calls, corrections, closings and new tiers after the date leave no trace in it."""
    assert found_in(home) == {}


@pytest.mark.parametrize("kind", sorted(PLANTED))
def test_a_value_from_later_is_found_by_its_kind(kind: str, home: Home):
    """The feature is named with the cause that reproduces it, and nothing else is named."""
    name, value = PLANTED[kind]
    before = plant_value(home, name, value)
    try:
        assert found_in(home) == {name: kind}
        leak = unfounded_columns(Feeds.open(home), Portraits.open(home), [DAY], seed=7)[0]
        assert "on 2026-03-01, 20 of 40 customers" in leak.evidence
        assert "for 20 of them it is the value that was known later" in leak.evidence
    finally:
        Portraits.open(home).path(DAY).write_bytes(before)


def test_a_value_that_no_row_explains_is_found_too(home: Home):
    """Whatever made it, it was not what was known: the finding says that no landed row explains it."""
    before = plant_value(home, "manual_calls_count_30d", 77.0)
    try:
        leaks = unfounded_columns(Feeds.open(home), Portraits.open(home), [DAY], seed=7)
        assert [(one.name, one.kind) for one in leaks] == [("manual_calls_count_30d", "known_later")]
        assert "no landed row explains it" in leaks[0].evidence
    finally:
        Portraits.open(home).path(DAY).write_bytes(before)


def test_closing_fields_stamped_with_the_opening_are_traced_to_the_features(home: Home, tmp_path: Path):
    """A mapping that stamps a closed ticket with its opening: every feature that reads the closing is named."""
    assert young_fields(Feeds.open(home), DAY) == ()
    leaks = young_fields(Feeds.open(small_home(tmp_path, stamped_early=True)), DAY)
    assert {one.kind for one in leaks} == {"closing_fields"}
    assert {"open_complaints_count", "unsatisfied_tickets_count_90d"} <= {one.name for one in leaks}
    assert "40 of 40 rows of tickets are stamped as known before their own closed_at" in leaks[0].evidence


def test_portraits_of_another_version_are_not_computed_again(home: Home):
    """A partition that says it was built from something else differs for an honest reason; only `insight build` helps."""
    feeds, portraits = Feeds.open(home), Portraits.open(home)
    assert dates_to_replay(feeds, portraits, [DAY]) == [DAY]
    report = portraits.path(DAY).with_name("class_report.json")
    before = report.read_bytes()
    report.write_bytes(before.replace(b'"specification": "', b'"specification": "0'))
    try:
        assert dates_to_replay(feeds, portraits, [DAY]) == []
        assert unfounded_columns(feeds, portraits, [DAY], seed=7) == ()
    finally:
        report.write_bytes(before)
