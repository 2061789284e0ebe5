"""Dates and instants as operators write them: each form is honoured as what it says or refused, never read otherwise."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from features.feeds.landing import far_times
from features.feeds.landing.reports import FeedReport

HALF_PAST_FOUR = datetime.fromisoformat("2024-05-01T16:30")  # UTC; 2024-05-02 00:30 in Shanghai

SAME_INSTANT = (
    "2024-05-02 00:30:00", "2024-05-02 00:30", "2024/5/2 0:30:00", "20240502003000", "20240502 00:30:00",
    "2024-05-01T16:30:00Z", "2024-05-01T16:30:00z", "2024-05-01T16:30Z", "2024-05-01T16:30:00.000Z",
    "2024-05-01 16:30:00 UTC", "2024-05-01 16:30:00 GMT", "2024-05-01T16:30:00UTC", "2024-05-01 16:30:00.000000 UTC",
    "2024-05-01 16:30:00+00", "2024-05-02T00:30:00+0800", "2024-05-02 00:30:00 +0800", "2024-05-02 00:30:00+08",
    "2024-05-02 00:30:00+08:00", "2024-05-01T13:00:00-03:30", "20240501T163000Z", "2024-05-02T00:30:00.999+08:00",
)  # fmt: skip
REFUSED = (
    "2024-05-01 16:30:00 Asia/Shanghai", "2024-05-01 16:30:00 PST", "2024-05-01 16:30:00 CST",
    "2024-05-01T16:30:00+08:00[Asia/Shanghai]", "2024-05-01 16:30:00 UTC+8", "2024-05-01 16:30:00+24:00",
    "2024-05-02 12:30:00 AM", "2024-05-02 25:00", "2024-05-02 23:59:60", "2024-W18-3", "2024-123", "1714561200",
    "1714561200000", "45413", "２０２４-０５-０２", "24-05-02", "29-12-31 00:00:00", "24-05-02 00:30:00", "05/02/2024",
    "02.05.2024", "2024年5月2日", "2024-04-31", "1900-01-00", "0000-00-00", "epoch", "now", "today", "2024-05-02+08:00",
    "2024-05-01 16:30:00−08:00", "2024-05-01-16.30.00.000000", "Wed May 01 2024",
)  # fmt: skip


def write_times(operator, texts: tuple[str, ...]) -> None:
    """Writes the texts as instants of calls and as days of use, and lands them."""
    calls = "".join(f'C{row:02},1,"{text}"\n' for row, text in enumerate(texts))
    days = "".join(f'{row + 10},"{text}"\n' for row, text in enumerate(texts))
    known = "".join(f"{row + 10},2024-01-01\n" for row in range(len(texts)))
    operator.write("customers.csv", f"customer_id,event_at\n1,2024-01-01\n{known}")
    operator.write("hotline_calls.csv", f"call_id,customer_id,event_at\n{calls}")
    operator.write("usage_daily.csv", f"customer_id,day\n{days}")
    for feed in ("hotline_calls", "usage_daily"):
        operator.map(feed, f"SELECT * FROM {feed}", known_after="PT0S", max_quarantine_share=1)


def test_every_way_to_write_one_moment_is_that_moment_and_the_operators_day(operator):
    """Offsets, Z, UTC and GMT are honoured, and a day delivered as an instant is cut after conversion."""
    write_times(operator, SAME_INSTANT)
    operator.land()
    found = dict(operator.rows("SELECT call_id, event_at FROM hotline_calls"))
    assert {SAME_INSTANT[int(call[1:])]: at for call, at in found.items()} == dict.fromkeys(
        SAME_INSTANT, HALF_PAST_FOUR
    )
    days = dict(operator.rows("SELECT customer_id, day FROM usage_daily"))
    assert {SAME_INSTANT[int(who) - 10]: day for who, day in days.items()} == dict.fromkeys(
        SAME_INSTANT, date(2024, 5, 2)
    )


def test_what_is_no_time_in_these_forms_is_refused_and_never_read_as_another(operator):
    """Zone names, two-digit years, counts, week dates and other calendars go to quarantine row by row."""
    write_times(operator, ("2024-05-02", *REFUSED))
    report = operator.land()
    assert report.feeds["hotline_calls"].reasons == {"not_a_time:event_at": len(REFUSED)}
    assert report.feeds["usage_daily"].reasons == {"not_a_date:day": len(REFUSED)}


def test_the_end_of_a_day_is_the_next_midnight(operator):
    """24:00:00 is midnight of the day after, for an instant and for the day that is cut from it."""
    write_times(operator, ("2024-05-01T24:00:00", "2024-05-01 24:00:00"))
    operator.land()
    assert operator.rows("SELECT DISTINCT event_at FROM hotline_calls") == [
        (datetime.fromisoformat("2024-05-01T16:00"),)
    ]
    assert operator.rows("SELECT DISTINCT day FROM usage_daily") == [(date(2024, 5, 2),)]


def test_a_typed_instant_with_a_zone_is_cut_in_the_operators_zone(operator):
    """Parquet timestamps with a zone: mapped as they are, declared as a date, and cast in a mapping's own SELECT."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    late = [datetime(2024, 5, 1, 16, 30, tzinfo=UTC)]
    for unit in ("ms", "us", "ns"):
        times = pa.array(late, pa.timestamp(unit, tz="UTC"))
        pq.write_table(
            pa.table({"customer_id": [unit], "day": times, "own": times}), operator.data / f"u_{unit}.parquet"
        )
    operator.write("customers.csv", "customer_id,event_at\nms,2024-01-01\nus,2024-01-01\nns,2024-01-01\n")
    operator.map("usage_daily", "SELECT customer_id, day, 1 AS data_kb FROM usage_daily", known_after="PT0S")
    operator.files["usage_daily"] = {"path": "u_*.parquet"}
    operator.map("network_experience", "SELECT customer_id, CAST(own AS DATE) AS day FROM nx", known_after="PT0S")
    operator.files["nx"] = {"path": "u_*.parquet", "types": {"day": "date"}}
    del operator.files["network_experience"]
    operator.land()
    assert operator.rows("SELECT DISTINCT day FROM usage_daily") == [(date(2024, 5, 2),)]
    assert operator.rows("SELECT DISTINCT day FROM network_experience") == [(date(2024, 5, 2),)]


PAID = {
    "2024-04-05": None, "0024-04-05 10:00:00": "not_between_1900_and_2100", "0001-01-01 00:00:00": "not_between_1900_and_2100",
    "2099-01-01": "in_the_future", "infinity": "not_between_1900_and_2100", "-infinity": None, "1970-01-01 00:00:00": None,
    "1970-01-01T00:00:00Z": None, "9999-12-31 23:59:59": "not_between_1900_and_2100", "2101-01-01": "not_between_1900_and_2100",
    "1899-12-29": "not_between_1900_and_2100", "24-04-05 10:00:00": "not_a_time",
}  # fmt: skip


def test_an_instant_has_the_range_of_a_date_and_a_payment_is_not_in_the_future(operator):
    """The years 24, 1, 2099, infinity and later are refused by row; zero days are unknown and reported as such."""
    rows = "".join(f"{row},2024-03-01,99,{paid}\n" for row, paid in enumerate(PAID))
    operator.write("bills.csv", f"customer_id,period,total,paid_at\n{rows}")
    operator.write("customers.csv", "customer_id,event_at\n" + "".join(f"{n},2024-01-01\n" for n in range(len(PAID))))
    operator.map("bills", "SELECT * FROM bills", known_after="P5D", max_quarantine_share=1)
    report = operator.land("2024-06-01T00:00:00").feeds["bills"]
    expected = {(f"{reason}:paid_at", row + 1) for row, reason in enumerate(PAID.values()) if reason}
    assert {(reason, row) for reason, _, row, _ in operator.refused("bills")} == expected
    assert operator.rows("SELECT paid_at FROM bills WHERE paid_at IS NOT NULL") == [
        (datetime.fromisoformat("2024-04-04T16:00"),)
    ]
    assert report.unknown == {"paid_at": 3}


@pytest.mark.parametrize("text", ["infinity", "9999-12-31", "2099-12-31", "2999-12-31 00:00:00", "99991231"])
def test_an_end_far_off_is_no_end(operator, text):
    """A discount, a contract and a number's validity without an end are open, whatever stands for it."""
    operator.write(
        "subscriptions.csv",
        f"customer_id,plan_id,ordered_at,effective_on,discount_end,contract_end\n1,P,2024-05-02,2024-05-02,{text},{text}\n",
    )
    operator.write("numbers.csv", f"number,customer_id,valid_from,valid_until\n13800000001,1,2024-05-02,{text}\n")
    for feed in ("subscriptions", "numbers"):
        operator.map(feed, f"SELECT * FROM {feed}", known_after="PT0S")
    operator.land()
    assert operator.rows("SELECT discount_end, contract_end FROM subscriptions") == [(None, None)]
    assert operator.rows("SELECT valid_until FROM number_flags") == [(None,)]


def test_a_needed_time_that_is_a_zero_day_is_refused(operator):
    """An order that takes effect on 1970-01-01, or was placed then, is no order of that day."""
    operator.write(
        "subscriptions.csv",
        "customer_id,plan_id,ordered_at,effective_on\n1,P,2024-05-02,1970-01-01\n2,P,1970-01-01,2024-05-02\n3,P,2024-05-02,infinity\n",
    )
    operator.map("subscriptions", "SELECT * FROM subscriptions", known_after="PT0S", max_quarantine_share=1)
    operator.land()
    assert [(row, reason) for reason, _, row, _ in sorted(operator.refused("subscriptions"), key=lambda found: found[2])] == [
        (1, "stand_in:effective_on"), (2, "stand_in:ordered_at"), (3, "not_between_1900_and_2100:effective_on"),
    ]  # fmt: skip


def test_a_number_held_since_ever_lands(operator):
    """A validity since 1900-01-01 means "always"; only what is dated by an event of its own can be too early."""
    operator.write("numbers.csv", "number,customer_id,valid_from\n13800000001,1,1900-01-01\n13800000002,1,1899-12-30\n")
    operator.map("numbers", "SELECT * FROM numbers", known_after="PT0S", max_quarantine_share=1)
    report = operator.land()
    assert report.feeds["numbers"].reasons == {"not_between_1900_and_2100:valid_from": 1}
    assert report.first_day == date(2025, 1, 1)
    assert operator.rows("SELECT customer_id, valid_from FROM number_flags") == [
        ("1", datetime.fromisoformat("1899-12-31T15:54:17"))
    ]


def test_an_activation_that_stands_for_unknown_keeps_the_customer(operator):
    """Zero days and an activation still to come are unknown, the row lands, and the report counts them."""
    activated = ("1900-01-01", "1970-01-01", "2030-01-01", "9999-12-31", "infinity", "2020-03-04")
    rows = "".join(f"{row},2024-01-01,{day}\n" for row, day in enumerate(activated))
    operator.write("customers.csv", f"customer_id,event_at,activated_on\n{rows}")
    report = operator.land("2024-06-01T00:00:00").feeds["customers"]
    assert operator.rows("SELECT activated_on FROM customers ORDER BY customer_id") == [
        *[(None,)] * 5,
        (date(2020, 3, 4),),
    ]
    assert report.unknown == {"activated_on": 5}
    assert report.warnings == ["activated_on: 5 rows hold a zero day or a day to come, taken as unknown"]


def test_a_day_on_which_far_too_many_dates_fall_is_named(operator, monkeypatch):
    """30 of 130 activations on the day a system started are named with their share; an even spread is not."""
    spread = [
        f"20{year}-{month:02}-{day:02}" for year in (15, 16) for month in range(1, 11) for day in (3, 9, 14, 20, 27)
    ]

    def report_of(days: list[str]) -> FeedReport:
        rows = "".join(f"{row},2024-01-01,{day}\n" for row, day in enumerate(days))
        operator.write("customers.csv", f"customer_id,event_at,activated_on\n{rows}")
        return operator.land("2024-06-01T00:00:00").feeds["customers"]

    assert report_of(spread).piled_up == {}
    assert report_of([*spread, *["2011-11-11"] * 30]).piled_up == {
        "activated_on": "30 of 130 rows (23.1%) fall on 2011-11-11"
    }
    monkeypatch.setattr(far_times, "_MANY", 31)
    assert report_of([*spread, *["2011-11-12"] * 30]).piled_up == {}
