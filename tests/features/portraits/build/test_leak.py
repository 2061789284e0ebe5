"""What was not known before the as-of date moves no cell of a portrait, in any feed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from features.feeds.contracts import FEEDS
from features.feeds.landed.reading import Feeds
from features.feeds.schema import Kind
from features.portraits.feature_list import dimensions


def _other(kind, allowed, value):
    """Returns a different value of the same kind."""
    if kind is Kind.FLAG:
        return not value
    if kind in (Kind.DATE, Kind.INSTANT):
        return value and value + timedelta(days=9)
    if kind in (Kind.INTEGER, Kind.MONEY, Kind.NUMBER):
        return 7 if value is None else value // 2 + 1
    return next((one for one in allowed if one != value), value and f"{value}x")


def _with_later_knowledge(world):
    """Adds to every feed what becomes known at the as-of instant: new rows, corrections, removals, later events."""
    instant = world.instant("2026-06-08 00:00")
    for feed, rows in world.rows.items():
        kinds = {one.name: one for one in world.columns(feed)}
        for place, row in enumerate(list(rows)):
            changed = {n: _other(kinds[n].kind, kinds[n].allowed, v) if n in kinds else v for n, v in row.items()}
            if feed in FEEDS and FEEDS[feed].period:
                changed[FEEDS[feed].period] = row[FEEDS[feed].period]
            late = {"known_at": instant, "superseded_at": None}
            row["superseded_at"] = instant
            if place % 3:
                rows.append({**changed, **late})
            if "event_id" in row:
                rows.append({**changed, **late, "event_id": f"late-{place}"})
                rows.append(
                    {
                        **row,
                        "superseded_at": None,
                        "event_id": f"next-{place}",
                        "event_at": instant,
                        "known_at": instant + timedelta(days=1),
                    }
                )
    world.customer("newcomer", at="2026-06-01", known="2026-06-08")
    world.add("terminations", "quiet", "2026-06-01", reason="cancel", known="2026-06-08")
    return world


def test_rows_known_at_the_as_of_instant_or_later_move_no_cell(example, example_world, build):
    """New rows, corrections, removals and later events in every feed leave the portrait of the day as it was."""
    assert set(example_world.rows) >= set(FEEDS) - {"persons", "numbers", "consents", "outcomes"}
    assert build(_with_later_knowledge(example_world)).cells.equals(example.cells)


def test_canary_without_the_as_known_rule_every_dimension_moves(example, example_world, build, monkeypatch):
    """With the rule turned off the same rows move cells of every dimension, so the test above has teeth."""
    monkeypatch.setattr(Feeds, "as_known_sql", lambda self, feed, as_of: f'SELECT * FROM "{feed}"')
    leaked = build(_with_later_knowledge(example_world))
    before, after = example.rows, leaked.rows
    assert "newcomer" in after
    assert "quiet" not in after
    moved = {
        dimension
        for dimension, name in _names(example)
        if any(before[customer][name] != after[customer][name] for customer in set(before) & set(after))
    }
    assert moved == set(dimensions()) - {"attributes"}  # its only customer is gone


def test_a_correction_known_after_the_day_leaves_the_day_unchanged(world, build):
    """A bill of 100 yuan corrected to 50 on 9 June is 100 on 9 June and 50 on 10 June."""
    from datetime import date

    world.customer("A")
    world.add("bills", "A", "2026-05-01", known="2026-06-05", until="2026-06-09 12:00", total=100000)
    world.add("bills", "A", "2026-05-01", known="2026-06-09 12:00", total=50000)
    found = {day: build(world, date(2026, 6, day)).of("A", "bill_last_amount")["bill_last_amount"] for day in (9, 10)}
    assert found == {9: 100000, 10: 50000}


@pytest.mark.parametrize(("zone", "calls"), [("Asia/Shanghai", 0), ("UTC", 1)])
def test_an_event_at_0759_local_time_is_after_the_as_of_date(zone, calls, new_world, build, tmp_path):
    """07:59 in Shanghai on D is the day before D in UTC; only an operator in UTC counts it."""
    shanghai = new_world(tmp_path / "s")
    instant = shanghai.instant("2026-06-08 07:59")
    world = new_world(tmp_path / "z", zone=zone)
    world.customer("A")
    world.add("hotline_calls", "A", "2026-06-01", call_id="1", agent=True)
    world.rows["hotline_calls"][0] |= {"event_at": instant, "known_at": instant}
    world.add("hotline_calls", "B", "2026-06-01", call_id="2", agent=True)
    assert build(world).of("A", "manual_calls_count_30d") == {"manual_calls_count_30d": calls}


def test_an_event_of_tomorrow_that_is_known_today_is_not_counted(world, build):
    """A call registered ahead of its time counts only once it has happened."""
    world.customer("A")
    world.add("hotline_calls", "A", "2026-06-08 07:59", known="2026-06-07 12:00", call_id="1", agent=True)
    world.add("hotline_calls", "A", "2026-06-07 07:59", known="2026-06-07 12:00", call_id="2", agent=True)
    assert build(world).of("A", "manual_calls_count_30d", "manual_call_recency_days") == {
        "manual_calls_count_30d": 1,
        "manual_call_recency_days": 1,
    }


def _names(built):
    from features.portraits.feature_list import FeatureList

    return [(one.dimension, one.name) for one in FeatureList.declared().features]
