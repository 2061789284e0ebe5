"""What a person's word changes about an online store: a fall passes once, rows of another home become this one's."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from features.kit.errors import HomeError
from features.kit.home import Home
from features.kit.homes.identity import STORE, remembered
from features.store.online.online import OnlinePortraits
from features.store.publish import publish
from features.store.settings import RedisOnline, StoreSettings
from serving.home.decisions import adopt, move

DAY, NEXT = date(2026, 3, 8), date(2026, 3, 9)


def town(place: Path, portraits: Any, day: date, count: int) -> Home:
    """Returns a home with so many customers on a day."""
    home = Home(place)
    portraits.write(home, {day: portraits.rows(day, [f"c{k:05d}" for k in range(count)])})
    return home


def rows(home: Home) -> int:
    """Returns the portraits that a home remembers."""
    known = remembered(home, STORE)
    assert known is not None
    return known.counts["portraits"]


def test_a_fall_passes_once_it_is_adopted(tmp_path: Path, portraits: Any) -> None:
    """After `adopt`, and not after `move --new-id`, 60 portraits replace 400; the next fall is refused again."""
    home = town(tmp_path, portraits, DAY, 400)
    town(tmp_path, portraits, NEXT, 60)
    publish(home, DAY)
    move(home, "a copy for a trial", new_id=True)
    with pytest.raises(HomeError, match="has 60 portraits; it had 400"):
        publish(home, NEXT)
    adopt(home, "the province was sold")
    assert (publish(home, NEXT).rows, rows(home)) == (60, 60)
    assert publish(home, DAY, back=True).rows == 400
    with pytest.raises(HomeError, match="has 60 portraits; it had 400"):
        publish(home, NEXT)


def test_going_back_is_a_word_of_its_own(tmp_path: Path, portraits: Any) -> None:
    """`--back` to a day of fewer customers is no fall that needs another word."""
    home = town(tmp_path, portraits, DAY, 60)
    town(tmp_path, portraits, NEXT, 400)
    publish(home, NEXT)
    assert publish(home, DAY, back=True).rows == 60


def test_a_foreign_store_becomes_this_homes_when_adopted(
    tmp_path: Path, portraits: Any, redis_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark of a lost home on a Redis is replaced by a person's word; the lost home is refused from then on."""
    online = RedisOnline(kind="redis", port=redis_port, deadline_ms=5_000)
    settings = StoreSettings(project=f"test_{time.monotonic_ns()}", online=online)
    monkeypatch.setattr(StoreSettings, "load", lambda: settings)
    lost, home = town(tmp_path / "lost", portraits, DAY, 400), town(tmp_path / "home", portraits, DAY, 60)
    publish(lost, DAY)
    with pytest.raises(HomeError, match="belongs to home"):
        publish(home, DAY)
    adopt(home, "the other home is lost")
    assert publish(home, DAY).rows == 60
    with pytest.raises(HomeError, match="belongs to home"):
        OnlinePortraits.open(lost)
