"""Corrections, repeats, re-delivered periods: every version is kept, and each date sees the version of its time."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from itertools import permutations

import pytest

from features.feeds.landed.reading import Feeds

BILLS = "customer_id,period,total,known_at\n"


def test_a_correction_changes_what_is_known_from_its_own_knowledge_time_on(operator):
    """The bill of 10 is corrected to 12 on 20 June: 15 June still sees 10, and always will."""
    operator.write(
        "bills.csv",
        BILLS + "1,2026-05-01,10,2026-06-05 06:00\n1,2026-05-01,12,2026-06-20 06:00\n2,2026-05-01,7,2026-06-05 06:00\n",
    )
    operator.map("bills", "SELECT * FROM bills")
    operator.land("2026-07-01T00:00:00")
    assert operator.known("bills", "2026-06-05", "customer_id, total") == []
    assert operator.known("bills", "2026-06-15", "customer_id, total") == [("1", 10000), ("2", 7000)]
    assert operator.known("bills", "2026-06-21", "customer_id, total") == [("1", 12000), ("2", 7000)]


def test_canary_without_the_as_known_rule_the_future_would_be_seen(operator, monkeypatch):
    """If the rule let everything through, the test above would fail: it has teeth."""
    operator.write("bills.csv", BILLS + "1,2026-05-01,10,2026-06-05 06:00\n1,2026-05-01,12,2026-06-20 06:00\n")
    operator.map("bills", "SELECT * FROM bills")
    operator.land("2026-07-01T00:00:00")
    monkeypatch.setattr(Feeds, "as_known_sql", lambda _, feed, as_of: f"SELECT * FROM {feed}")
    assert operator.known("bills", "2026-06-15", "total") != [(10000,)]


def test_a_version_counts_until_the_very_instant_its_successor_is_known(operator):
    """A correction known exactly at D 00:00 is not yet there on D, and the version before still is."""
    operator.write("bills.csv", BILLS + "1,2026-05-01,10,2026-06-05 06:00\n1,2026-05-01,12,2026-06-20 00:00\n")
    operator.map("bills", "SELECT * FROM bills")
    operator.land("2026-07-01T00:00:00")
    assert operator.known("bills", "2026-06-20", "total") == [(10000,)]
    assert operator.known("bills", "2026-06-21", "total") == [(12000,)]


def test_landing_the_same_files_again_changes_nothing(operator):
    """Same files, later: the manifest and every file stay as they are, byte for byte."""
    operator.write("bills.csv", BILLS + "1,2026-05-01,10,2026-06-05 06:00\n1,2026-05-01,12,2026-06-20 06:00\n")
    operator.map("bills", "SELECT * FROM bills")
    operator.write("hotline_calls.csv", "customer_id,event_at,call_id\n1,2026-05-31 10:00,a\n")
    operator.map("hotline_calls", "SELECT * FROM hotline_calls", known_after="PT1H")
    operator.land("2026-07-01T00:00:00")
    before = operator.content()
    report = operator.land("2026-07-09T00:00:00")
    assert operator.content() == before
    assert all(feed.unchanged for feed in report.feeds.values())


def test_rows_that_are_known_already_change_nothing_under_another_file_name(operator):
    """A file that repeats landed rows leaves every Parquet file alone; only its name is remembered."""
    operator.write("bills.csv", "customer_id,period,total\n1,2026-05-01,10\n2,2026-05-01,7\n")
    operator.map("bills", "SELECT * FROM bills", known_after="P5D")
    operator.land("2026-07-01T00:00:00")
    before = {name: data for name, data in operator.content().items() if name.endswith(".parquet")}
    operator.write("bills_again.csv", "customer_id,period,total\n2,2026-05-01,7\n1,2026-05-01,10.00\n")
    report = operator.land("2026-07-09T00:00:00")
    assert report.feeds["bills"].repeated == 2
    assert {name: data for name, data in operator.content().items() if name.endswith(".parquet")} == before


def test_a_changed_row_of_a_later_load_is_known_from_its_arrival_on(operator):
    """Without a column known_at a correction cannot be older than its delivery."""
    operator.write("bills_1.csv", "customer_id,period,total\n1,2026-05-01,10\n")
    operator.map("bills", "SELECT * FROM bills", known_after="P5D")
    operator.land("2026-06-10T00:00:00")
    operator.write("bills_2.csv", "customer_id,period,total\n1,2026-05-01,12\n")
    operator.land("2026-06-20T00:00:00")
    assert operator.known("bills", "2026-06-19", "total") == [(10000,)]
    assert operator.known("bills", "2026-06-21", "total") == [(12000,)]


def test_a_silently_changed_history_is_known_from_its_arrival_on(operator):
    """The same knowledge time with other content: the past keeps what it knew, the change dates from its arrival."""
    operator.write("bills_1.csv", BILLS + "1,2026-05-01,10,2026-06-05 06:00\n")
    operator.map("bills", "SELECT * FROM bills")
    operator.land("2026-06-10T00:00:00")
    operator.write("bills_2.csv", BILLS + "1,2026-05-01,99,2026-06-05 06:00\n")
    operator.land("2026-06-20T00:00:00")
    assert operator.known("bills", "2026-06-19", "total") == [(10000,)]
    assert operator.known("bills", "2026-06-21", "total") == [(99000,)]


def test_a_redelivered_period_replaces_the_earlier_delivery_removed_rows_included(operator):
    """May comes again without customer 2 and with a corrected customer 1; April is not touched."""
    operator.write(
        "bills_1.csv", "customer_id,period,total\n1,2026-04-01,5\n2,2026-04-01,6\n1,2026-05-01,10\n2,2026-05-01,7\n"
    )
    operator.map("bills", "SELECT * FROM bills", known_after="P5D", replace="period")
    operator.land("2026-06-10T00:00:00")
    operator.write("bills_2.csv", "customer_id,period,total\n1,2026-05-01,11\n3,2026-05-01,8\n")
    operator.land("2026-06-20T00:00:00")
    columns = "customer_id, CAST(period AS VARCHAR), total"
    april = [("1", "2026-04-01", 5000), ("2", "2026-04-01", 6000)]
    assert operator.known("bills", "2026-06-19", columns) == sorted(
        [*april, ("1", "2026-05-01", 10000), ("2", "2026-05-01", 7000)]
    )
    assert operator.known("bills", "2026-06-21", columns) == sorted(
        [*april, ("1", "2026-05-01", 11000), ("3", "2026-05-01", 8000)]
    )
    assert operator.rows("SELECT count(*) FROM bills") == [(6,)]


def test_a_refused_row_does_not_keep_a_redelivered_period_from_replacing(operator):
    """March comes again with one row: the others go, though a row of the first delivery was refused."""
    head = "customer_id,event_at,pack_id\n"
    operator.map(
        "pack_orders", "SELECT * FROM pack_orders", known_after="PT1H", replace="period", max_quarantine_share=0.5
    )
    operator.write("pack_orders_1.csv", head + "1,2026-03-05,a\n2,2026-03-06,b\n3,2026-02-07,c\n77,2026-03-08,d\n")
    report = operator.land("2026-04-05T00:00:00")
    assert report.feeds["pack_orders"].reasons == {"unknown_customer:customer_id": 1}
    operator.write("pack_orders_2.csv", head + "1,2026-03-05,a\n")
    operator.land("2026-04-10T00:00:00")
    assert operator.known("pack_orders", "2026-04-09", "pack_id") == [("a",), ("b",), ("c",)]
    assert operator.known("pack_orders", "2026-04-11", "pack_id") == [("a",), ("c",)]
    operator.write("customers_2.csv", "customer_id,event_at\n77,2026-03-01\n")
    operator.land("2026-04-15T00:00:00")
    assert operator.known("pack_orders", "2026-04-16", "pack_id") == [("a",), ("c",)]
    operator.write("pack_orders_3.csv", head + "1,2026-03-05,a\n77,2026-03-08,d\n")
    operator.land("2026-04-20T00:00:00")
    assert operator.known("pack_orders", "2026-04-21", "pack_id") == [("a",), ("c",), ("d",)]


def test_a_removed_row_may_come_back(operator):
    """Removed by one delivery and delivered again by the next: unknown only in between."""
    operator.map("bills", "SELECT * FROM bills", known_after="P5D", replace="period")
    both, one = "1,2026-05-01,10\n2,2026-05-01,7\n", "1,2026-05-01,10\n"
    for name, arrival, rows in (("a", "2026-06-10", both), ("b", "2026-06-20", one), ("c", "2026-06-25", both)):
        operator.write(
            f"bills_{name}.csv", "customer_id,period,total,note\n" + "".join(f"{r},{name}\n" for r in rows.split())
        )
        operator.feeds["bills"]["select"] = "SELECT _file, _row, customer_id, period, total FROM bills"
        operator.land(f"{arrival}T00:00:00")
    seen = {day: operator.known("bills", f"2026-06-{day}", "customer_id") for day in ("15", "22", "28")}
    assert seen == {"15": [("1",), ("2",)], "22": [("1",)], "28": [("1",), ("2",)]}


def test_several_deliveries_of_one_load_are_ordered_by_delivered_at(operator):
    """A first load that holds both deliveries of a month dates the second one at its delivery."""
    operator.write(
        "bills.csv",
        "customer_id,period,total,delivered_at\n1,2026-05-01,10,2026-06-06\n2,2026-05-01,7,2026-06-06\n1,2026-05-01,11,2026-06-12\n",
    )
    operator.map("bills", "SELECT * FROM bills", known_after="P5D", replace="period")
    operator.land("2026-07-01T00:00:00")
    assert operator.known("bills", "2026-06-10", "customer_id, total") == [("1", 10000), ("2", 7000)]
    assert operator.known("bills", "2026-06-13", "customer_id, total") == [("1", 11000)]
    before = operator.rows("SELECT customer_id, total, known_at, superseded_at FROM bills ORDER BY ALL")
    operator.write(
        "bills_2.csv", "customer_id,period,total,delivered_at\n1,2026-05-01,10,2026-06-06\n2,2026-05-01,7,2026-06-06\n"
    )
    operator.land("2026-07-02T00:00:00")
    assert operator.rows("SELECT customer_id, total, known_at, superseded_at FROM bills ORDER BY ALL") == before


def test_a_delivery_that_comes_after_a_newer_one_still_adds_what_was_known_then(operator, tmp_path):
    """Three deliveries in any order, the oldest with a bill of its own: the same versions, and no bill is lost."""
    head = "customer_id,period,total,delivered_at\n"
    deliveries = {
        "a": head + "1,2026-05-01,10,2026-06-06\n3,2026-05-01,5,2026-06-06\n",
        "b": head + "1,2026-05-01,11,2026-06-12\n2,2026-05-01,7,2026-06-12\n",
        "c": head + "1,2026-05-01,10,2026-06-20\n",
    }
    results = set()
    for order in permutations(deliveries):
        (tmp_path / "".join(order)).mkdir()
        world = type(operator)(tmp_path / "".join(order))
        world.map("bills", "SELECT * FROM bills", known_after="P5D")
        for day, name in enumerate(order):
            world.write(f"bills_{name}.csv", deliveries[name])
            world.land(f"2026-07-0{day + 1}T00:00:00")
        results.add(str(world.rows("SELECT customer_id, total, known_at, superseded_at FROM bills ORDER BY ALL")))
        assert world.known("bills", "2026-06-14", "customer_id, total") == [("1", 11000), ("2", 7000), ("3", 5000)]
    assert len(results) == 1


def test_the_order_of_arrival_does_not_matter_where_the_source_says_when_it_knew(operator, tmp_path):
    """Any order of deliveries, duplicates included, ends in the same versions."""
    deliveries = [
        "1,2026-05-01,10,2026-06-05 06:00\n",
        "1,2026-05-01,12,2026-06-20 06:00\n2,2026-05-01,7,2026-06-05 06:00\n",
        "1,2026-05-01,10,2026-06-25 06:00\n1,2026-05-01,12,2026-06-20 06:00\n",
    ]
    results = set()
    for number, order in enumerate(permutations(deliveries)):
        world = type(operator)(tmp_path / str(number)) if (tmp_path / str(number)).mkdir() is None else operator
        world.map("bills", "SELECT * FROM bills")
        for day, rows in enumerate(order):
            world.write(f"bills_{day}.csv", BILLS + rows)
            world.land(f"2026-07-0{day + 1}T00:00:00")
        results.add(str(world.rows("SELECT customer_id, total, known_at, superseded_at FROM bills ORDER BY ALL")))
    assert len(results) == 1


def test_an_event_may_move_to_another_month(operator):
    """A corrected call date takes the call out of the month where it stood."""
    operator.write(
        "hotline_calls.csv",
        "customer_id,event_at,call_id,known_at\n1,2026-04-30 10:00,a,2026-05-01\n1,2026-05-02 10:00,a,2026-05-20\n",
    )
    operator.map("hotline_calls", "SELECT * FROM hotline_calls")
    operator.land()
    assert operator.known("hotline_calls", "2026-05-10", "event_at") == [(datetime.fromisoformat("2026-04-30T02:00"),)]
    assert operator.known("hotline_calls", "2026-05-30", "event_at") == [(datetime.fromisoformat("2026-05-02T02:00"),)]
    assert sorted(part.month for part in operator.open().manifest.feeds["hotline_calls"].parts) == [
        "2026-04",
        "2026-05",
    ]


def test_byte_equal_repeats_are_dropped_and_contradictions_are_refused(operator):
    """Two equal rows are one; two different rows of one day known at one moment are both refused and named."""
    rows = "".join(f"3,2026-05-{day:02},1\n" for day in range(1, 31))
    operator.write(
        "usage_daily.csv",
        "customer_id,day,data_kb\n1,2026-05-01,7\n1,2026-05-01,7\n2,2026-05-01,7\n2,2026-05-01,8\n" + rows,
    )
    operator.map("usage_daily", "SELECT * FROM usage_daily", known_after="PT6H", max_quarantine_share=0.1)
    report = operator.land().feeds["usage_daily"]
    assert (report.accepted, report.repeated, report.reasons) == (32, 1, {"conflicting_duplicate:customer_id,day": 2})
    assert operator.rows("SELECT customer_id, data_kb FROM usage_daily WHERE customer_id <> '3'") == [("1", 7)]
    assert [row[:3] for row in operator.refused("usage_daily")] == [
        ("conflicting_duplicate:customer_id,day", "usage_daily.csv", 3),
        ("conflicting_duplicate:customer_id,day", "usage_daily.csv", 4),
    ]


@pytest.mark.parametrize("small_rows", [0, 400_000])
def test_landing_month_by_month_equals_landing_at_once(operator, monkeypatch, small_rows):
    """The path for big feeds gives the same versions as the path for small ones."""
    monkeypatch.setattr("features.feeds.landing.parts.SMALL_ROWS", small_rows)
    days = [date(2026, 3, 1) + timedelta(days=n) for n in range(90)]
    operator.write(
        "usage_daily_1.csv", "customer_id,day,data_kb\n" + "".join(f"{c},{d},{c}\n" for d in days for c in (1, 2))
    )
    operator.map("usage_daily", "SELECT * FROM usage_daily", known_after="PT6H", replace="period")
    operator.land("2026-06-01T00:00:00")
    operator.write("usage_daily_2.csv", "customer_id,day,data_kb\n1,2026-03-31,9\n1,2026-04-01,1\n3,2026-05-02,4\n")
    operator.land("2026-06-10T00:00:00")
    gone = "SELECT customer_id, CAST(day AS VARCHAR) FROM usage_daily WHERE superseded_at IS NOT NULL ORDER BY ALL"
    assert operator.rows(gone) == [
        ("1", "2026-03-31"), ("1", "2026-05-02"), ("2", "2026-03-31"), ("2", "2026-04-01"), ("2", "2026-05-02"),
    ]  # fmt: skip
    assert operator.rows("SELECT count(*), count(DISTINCT event_id) FROM usage_daily") == [(182, 181)]


def test_a_newly_declared_attribute_appears_and_history_keeps_its_gaps(operator):
    """An attribute added to the mapping is a column of every month; rows that did not change stay one version."""
    declared = [{"name": "arpu", "kind": "number", "description": "Revenue, yuan."}]
    operator.write("attributes.csv", "customer_id,event_at,arpu,gone\n1,2026-04-01,5,\n1,2026-05-01,6,\n")
    operator.top = {"attributes": declared}
    operator.map("attributes", "SELECT customer_id, event_at, arpu FROM attributes", known_after="PT1H")
    operator.land("2026-06-01T00:00:00")
    operator.top = {"attributes": [*declared, {"name": "gone", "kind": "category", "description": "Always empty."}]}
    operator.map("attributes", "SELECT customer_id, event_at, arpu, gone FROM attributes", known_after="PT1H")
    operator.land("2026-06-02T00:00:00")
    assert operator.rows("SELECT arpu, gone FROM attributes ORDER BY 1") == [(5.0, None), (6.0, None)]


@pytest.mark.parametrize("seed", range(6))
def test_what_is_known_on_any_date_equals_a_slow_oracle(operator, seed):
    """Random versions in random deliveries, late ones and repeats included, against a loop over plain tuples."""
    dice = random.Random(seed)
    rows = {}
    for _ in range(60):
        customer, month, known = dice.choice("123"), dice.randint(1, 3), dice.randint(1, 28)
        rows[customer, month, known] = dice.randint(1, 3)
    versions = list(rows.items())
    operator.map("bills", "SELECT * FROM bills")
    dice.shuffle(versions)
    for number in range(3):
        part = versions[number::3] + dice.choices(versions[number::3], k=5)
        text = "".join(f"{c},2026-0{m}-01,{total},2026-04-{k:02} 12:00\n" for (c, m, k), total in part)
        operator.write(f"bills_{number}.csv", BILLS + text)
        operator.land(f"2026-07-0{number + 1}T00:00:00")
    for day in (1, 9, 17, 29):
        expected = {}
        for (customer, month, known), total in sorted(versions, key=lambda version: version[0][2]):
            if known < day:
                expected[customer, f"2026-0{month}-01"] = total * 1000
        seen = operator.known("bills", f"2026-04-{day:02}", "customer_id, CAST(period AS VARCHAR), total")
        assert {(customer, period): total for customer, period, total in seen} == expected
        assert len(seen) == len(expected)
