"""Dates side by side: handed over in order, and all of them over when one fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from typing import Any

import pytest

from features.feeds.landed.reading import Feeds
from features.kit.home import Home
from features.portraits.build import ahead, build
from features.portraits.build.ahead import each_date
from features.portraits.build.build import build_portraits
from features.portraits.reading import Portraits

DAYS = [date(2026, 5, day) for day in range(1, 7)]


@pytest.fixture
def feeds(world: Any) -> Iterator[Feeds]:
    """The feeds of an operator with one customer; no thread of a build may be left behind."""
    world.customer("A")
    before = threading.active_count()
    yield Feeds.open(world.land())
    assert threading.active_count() == before


def test_a_slow_date_is_handed_over_before_the_later_ones(feeds: Feeds) -> None:
    """The 1st waits until the 2nd is done, which needs a second thread, and still comes first."""
    second_done = threading.Event()

    def fill(_: Any, day: date) -> date:
        if day == DAYS[0]:
            assert second_done.wait(60)
        if day == DAYS[1]:
            second_done.set()
        return day

    assert list(each_date(feeds, DAYS, 2, fill)) == DAYS


def test_an_engine_is_left_alone_until_its_date_is_taken(feeds: Feeds) -> None:
    """With two engines the third date begins only when the reader asks for the second."""
    begun: list[date] = []

    def fill(_: Any, day: date) -> date:
        begun.append(day)
        return day

    with closing(each_date(feeds, DAYS, 2, fill)) as done:
        assert next(done) == DAYS[0]
        time.sleep(0.05)
        assert set(begun) <= set(DAYS[:2])
        next(done)
    assert DAYS[5] not in begun


def test_a_date_that_fails_ends_the_build(feeds: Feeds) -> None:
    """The error of the 2nd comes after the 1st was handed over, and no date begins after it."""

    def fill(_: Any, day: date) -> date:
        if day == DAYS[1]:
            raise ValueError("of the second")
        return day

    taken: list[date] = []
    with pytest.raises(ValueError, match="of the second"):
        taken.extend(each_date(feeds, DAYS, 2, fill))
    assert taken == DAYS[:1]


def test_a_large_base_takes_one_date_after_the_other(feeds: Feeds, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit one engine takes every date, so that memory does not double."""
    monkeypatch.setattr(ahead, "SIDE_BY_SIDE", 0)
    engines = set(each_date(feeds, DAYS, 2, lambda engine, _: engine))
    assert len(engines) == 1


def test_side_by_side_the_same_partitions_are_written(
    example_world: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads with use added up for both dates write the cells, codes and class reports of one that does neither."""
    days = [date(2026, 5, 8), date(2026, 6, 8)]
    found = []
    for threads in (1, 2):
        monkeypatch.setattr(build, "LEAST_ROWS", 0 if threads == 2 else 10**9)
        home = example_world.land(Home(tmp_path / str(threads)))
        build_portraits(home, Feeds.open(home), days, threads=threads)
        built = Portraits.open(home)
        found.append((built.feature_list, *(built.class_report(day)["classes"] for day in days)))
        found[-1] += tuple(built.read(day).drop(["built_at"]) for day in days)
    assert found[0] == found[1]
