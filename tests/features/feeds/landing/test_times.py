"""Civil dates, time zones and delivery lags."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import duckdb
import pytest

from features.feeds import times
from features.feeds.mapping.sources import parse_duration
from features.kit.clock import instant_of, offset_changes


def test_an_event_at_0759_on_the_as_of_date_is_after_it(operator):
    """07:59 in Shanghai on 1 June is still 31 May in UTC, and yet it is not known on as-of date 1 June."""
    operator.write(
        "hotline_calls.csv",
        "customer_id,event_at,call_id\n1,2026-05-31 23:59:59,before\n1,2026-06-01 00:00,midnight\n1,2026-06-01 07:59,after\n",
    )
    operator.map("hotline_calls", "SELECT * FROM hotline_calls", known_after="PT0S")
    operator.land("2026-07-01T00:00:00")
    assert operator.known("hotline_calls", "2026-06-01", "call_id") == [("before",)]
    assert operator.rows("SELECT event_at FROM hotline_calls WHERE call_id = 'after'") == [
        (datetime.fromisoformat("2026-05-31T23:59"),)
    ]


def test_a_days_row_is_dated_at_the_start_of_the_civil_day(operator):
    """A daily row of 31 May starts at 16:00 UTC the day before, and its lag counts from the end of the day."""
    operator.write("usage_daily.csv", "customer_id,day,data_kb\n1,2026-05-31,7\n")
    operator.map("usage_daily", "SELECT * FROM usage_daily", known_after="PT6H")
    operator.land()
    assert operator.rows("SELECT event_at, known_at FROM usage_daily") == [
        (datetime.fromisoformat("2026-05-30T16:00"), datetime.fromisoformat("2026-05-31T22:00"))
    ]


@pytest.mark.parametrize(
    ("known_at", "lag"),
    [
        (datetime.fromisoformat("2026-06-05T22:00"), {"known_after": "P5D", "at": "06:00"}),
        (datetime.fromisoformat("2026-06-05T16:00"), {"known_after": "P5D"}),
        (datetime.fromisoformat("2026-06-05T22:00"), {"known_after": "P4DT13H", "at": "06:00"}),
        (datetime.fromisoformat("2026-06-05T18:00"), {"known_after": "P5DT2H"}),
    ],
)
def test_a_bill_becomes_known_a_lag_after_its_month(operator, known_at, lag):
    """May's bill with P5D at 06:00 is known on 6 June 06:00 local time; the time of day is the next one after the lag."""
    operator.write("bills.csv", "customer_id,period,total\n1,2026-05-01,10\n")
    operator.map("bills", "SELECT * FROM bills", **lag)
    operator.land("2026-06-01T00:00:00")
    assert operator.rows("SELECT known_at FROM bills") == [(known_at,)]


def test_a_first_load_uses_the_lag_and_a_later_load_the_later_of_lag_and_arrival(operator):
    """History is dated by its lag; what arrives late afterwards is known from its arrival on."""
    operator.write("bills_1.csv", "customer_id,period,total\n1,2026-01-01,10\n")
    operator.map("bills", "SELECT * FROM bills", known_after="P5D")
    operator.land("2026-06-01T00:00:00")
    operator.write("bills_2.csv", "customer_id,period,total\n1,2026-02-01,10\n1,2026-05-01,10\n")
    operator.land("2026-06-03T12:00:00")
    assert operator.rows("SELECT CAST(period AS VARCHAR), known_at FROM bills ORDER BY 1") == [
        ("2026-01-01", datetime.fromisoformat("2026-02-05T16:00")),
        ("2026-02-01", datetime.fromisoformat("2026-06-03T12:00")),
        ("2026-05-01", datetime.fromisoformat("2026-06-05T16:00")),
    ]


def test_times_with_an_offset_keep_it(operator):
    """A time that names its offset is that instant, whatever the operator's zone."""
    operator.write(
        "hotline_calls.csv",
        "customer_id,event_at,call_id\n1,2026-05-31T10:00:00Z,a\n1,2026-05-31 10:00:00.9+02:00,b\n1,2026-05-31,c\n",
    )
    operator.map("hotline_calls", "SELECT * FROM hotline_calls", known_after="PT0S")
    operator.land()
    assert operator.rows("SELECT call_id, event_at FROM hotline_calls ORDER BY 1") == [
        ("a", datetime.fromisoformat("2026-05-31T10:00")),
        ("b", datetime.fromisoformat("2026-05-31T08:00")),
        ("c", datetime.fromisoformat("2026-05-30T16:00")),
    ]


ODD_ZONES = {
    "Asia/Beirut", "America/Sao_Paulo", "Africa/Cairo", "America/Havana", "Africa/Casablanca", "Australia/Lord_Howe",
    "Pacific/Apia", "Antarctica/Troll", "Asia/Gaza", "America/Asuncion", "Asia/Amman",
}  # fmt: skip
"""Zones that change at midnight, by half an hour, by two or by a whole day; a sample of all others is tried too."""


def test_sql_and_clock_agree_at_the_midnights_around_every_change_of_a_zone():
    """The SQL of landing and `instant_of` give one instant for each, and the way back is the first moment of the day."""
    connection = duckdb.connect()
    different, tried = [], 0
    for zone in sorted({*sorted(available_timezones())[::60], *ODD_ZONES} & available_timezones()):
        changes = offset_changes(zone)
        days = sorted({since.date() + timedelta(days=n) for since, _ in changes if since.year >= 2005 for n in (0, 1)})
        rows = ", ".join(f"(TIMESTAMP '{day}')" for day in days[:60] or [date(2026, 6, 1)])
        found = connection.execute(
            f"SELECT t, utc, {times.to_local('utc', zone)} FROM "
            f"(SELECT t, {times.to_utc('t', zone)} AS utc FROM (VALUES {rows}) v(t))"
        ).fetchall()
        tried += len(found)
        for local, utc, back in found:
            begins = instant_of(local.date(), zone)
            expected = (begins.replace(tzinfo=None), begins.astimezone(ZoneInfo(zone)).replace(tzinfo=None))
            different += [(zone, local, utc, back)] if (utc, back) != expected else []
    assert tried > 300
    assert different == []


@pytest.mark.parametrize(
    ("zone", "local", "utc_text"),
    [
        ("Asia/Beirut", "2026-03-29 00:00", "2026-03-28 22:00"),  # 00:00 is skipped: the day begins at 01:00
        ("America/Sao_Paulo", "2018-11-04 00:00", "2018-11-04 03:00"),
        ("Africa/Cairo", "2026-04-24 00:00", "2026-04-23 22:00"),
        ("America/Havana", "2026-11-01 00:00", "2026-11-01 04:00"),  # 00:00 comes twice: the day begins at the first
        ("Europe/Berlin", "2026-03-29 02:30", "2026-03-29 01:30"),  # skipped
        ("Europe/Berlin", "2026-10-25 02:30", "2026-10-25 00:30"),  # twice
        ("Asia/Shanghai", "1988-07-01 00:00", "1988-06-30 15:00"),  # summer time of those years
    ],
)
def test_a_time_that_the_clock_skips_or_repeats_is_read_before_the_change(zone, local, utc_text):
    """Worked examples of both kinds, at midnight and by day."""
    found = duckdb.execute(f"SELECT {times.to_utc('t', zone)} FROM (SELECT TIMESTAMP '{local}' AS t)").fetchone()
    assert found == (datetime.fromisoformat(utc_text),)


def test_durations_are_weeks_days_and_clock_time():
    """Months and years have no fixed length and are refused."""
    assert parse_duration("P1W2DT3H4M5S") == timedelta(days=9, hours=3, minutes=4, seconds=5)
    for text in ("P1M", "P1Y", "P", "PT", "5D", "P-1D"):
        with pytest.raises(ValueError, match="not a duration"):
            parse_duration(text)


def test_the_feeds_say_from_when_to_when_they_are_complete(operator):
    """Complete from the first delivered day up to the morning after the last one, unless the mapping says otherwise."""
    operator.write("usage_daily.csv", "customer_id,day,data_kb\n1,2026-02-10,7\n2,2026-05-31,8\n")
    operator.map("usage_daily", "SELECT * FROM usage_daily", known_after="PT6H")
    report = operator.land("2026-06-20T00:00:00")
    assert (report.first_day, report.as_of) == (date(2026, 2, 10), date(2026, 6, 1))
    operator.top = {"delivered_from": "2026-01-01", "delivered_until": "2026-06-15"}
    report = operator.land("2026-06-20T00:00:00")
    assert (report.first_day, report.as_of) == (date(2026, 1, 1), date(2026, 6, 15))


def test_monthly_totals_stay_monthly(operator):
    """A source with monthly totals only has no daily feed: daily windows are missing, never guessed."""
    operator.write("usage_monthly.csv", "customer_id,period,data_kb\n1,2026-05,7\n")
    operator.map("usage_monthly", "SELECT * FROM usage_monthly", known_after="P2D")
    report = operator.land("2026-06-20T00:00:00")
    assert report.as_of == date(2026, 6, 1)
    assert not operator.open().has("usage_daily")
    assert operator.rows("SELECT CAST(period AS VARCHAR), data_kb FROM usage_monthly") == [("2026-05-01", 7)]


def test_a_snapshot_is_known_at_its_moment_and_its_label_after_the_as_of_date(operator):
    """Columns of a snapshot are dated there; the as-of date is the next day; a survey comes after it."""
    operator.top = {
        "snapshot_at": "2026-04-30T23:00:00",
        "attributes": [{"name": "arpu", "kind": "number", "description": "Revenue, yuan."}],
    }
    operator.write("snapshot.csv", "id,arpu,score\n1,12.5,3\n2,,9\n")
    operator.files = {"snapshot": {"path": "snapshot.csv"}}
    operator.feeds = {
        "customers": {"select": "SELECT id AS customer_id FROM snapshot"},
        "attributes": {"select": "SELECT id AS customer_id, arpu FROM snapshot"},
        "surveys": {
            "select": "SELECT id AS customer_id, score, 'net' AS survey, TIMESTAMP '2026-05-02' AS event_at FROM snapshot",
            "known_after": "PT0S",
        },
    }
    report = operator.land()
    assert report.as_of == date(2026, 5, 1)
    assert operator.known("attributes", "2026-05-01", "customer_id, arpu") == [("1", 12.5), ("2", None)]
    assert operator.known("attributes", "2026-04-30", "customer_id") == []
    assert operator.known("surveys", "2026-05-01", "customer_id") == []
