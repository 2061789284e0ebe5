"""Bad input: one clear line that names what is wrong, and no half-written state."""

from __future__ import annotations

import shutil

import pytest

from features.feeds.landed.manifest import read_manifest
from features.feeds.landing import quarantine
from features.feeds.landing.landing import check
from features.kit.errors import ConfigurationError, DataError, InsightError, QuarantineLimitError
from features.kit.home import Home

GOOD = "customer_id,period,total,paid_at\n" + "".join(f"{c},2026-0{m}-01,10.5,\n" for c in (1, 2, 3) for m in (1, 2, 3))


def bills(operator, text=GOOD, *, encoding="utf-8", select="SELECT * FROM bills", file=None, **mapping):
    """Writes and maps a bills file."""
    operator.write("bills.csv", text, encoding)
    operator.map("bills", select, file=file, **({"known_after": "P5D"} | mapping))


def spoil(text, row, old, new):
    """Returns the table with one value of one data row changed."""
    lines = text.splitlines(keepends=True)
    assert old in lines[row]
    lines[row] = lines[row].replace(old, new, 1)
    return "".join(lines)


NEGATIVE_ARREARS = GOOD.replace("total,paid_at", "total,arrears").replace("10.5,", "10.5,0")
NEGATIVE_ARREARS = spoil(NEGATIVE_ARREARS, 4, "10.5,0", "10.5,-1")

REFUSED = [
    ("amount", spoil(GOOD, 4, "10.5", "ten"), "not_an_amount:total", "bills.csv row 4"),
    ("amount in another notation", spoil(GOOD, 4, "10.5", '"10,5"'), "not_an_amount:total", "bills.csv row 4"),
    ("too many decimals", spoil(GOOD, 4, "10.5", "10.50001"), "not_an_amount:total", "bills.csv row 4"),
    ("negative amount", NEGATIVE_ARREARS, "below_0:arrears", "bills.csv row 4"),
    ("no amount", spoil(GOOD, 4, "10.5", ""), "missing:total", "bills.csv row 4"),
    ("date", spoil(GOOD, 4, "2026-01-01", "2026-13-01"), "not_a_date:period", "bills.csv row 4"),
    ("day within the month", spoil(GOOD, 4, "2026-01-01", "2026-01-31"), "not_the_first_of_a_month:period", "row 4"),
    ("year", spoil(GOOD, 4, "2026-01-01", "0026-01-01"), "not_between_1990_and_2050:period", "bills.csv row 4"),
    ("future", spoil(GOOD, 4, "2026-01-01", "2027-01-01"), "in_the_future:event_at", "bills.csv row 4"),
    ("time", spoil(GOOD, 4, "10.5,", "10.5,25:00"), "not_a_time:paid_at", "bills.csv row 4"),
    ("time zone", spoil(GOOD, 4, "10.5,", "10.5,2026-01-01 10:00 Mars/Base"), "not_a_time:paid_at", "bills.csv row 4"),
    ("customer", spoil(GOOD, 4, "2,", "99,"), "unknown_customer:customer_id", "bills.csv row 4"),
    ("no customer", spoil(GOOD, 4, "2,", ","), "missing:customer_id", "bills.csv row 4"),
    ("duplicate key", GOOD + "1,2026-01-01,11,\n", "conflicting_duplicate:customer_id,period", "bills.csv row 1"),
    ("short row", GOOD + "1,2026-04-01\n", "wrong_column_count", "bills.csv row 10"),
    ("long row", GOOD + "1,2026-04-01,1,,,\n", "wrong_column_count", "bills.csv row 10"),
]


@pytest.mark.parametrize(("text", "reason", "place"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_bad_row_stops_the_run_and_is_named(operator, text, reason, place):
    """One bad row of nine is over the limit of 1 %: the line names reason, column, file and row; nothing is published."""
    bills(operator, text)
    with pytest.raises(QuarantineLimitError) as caught:
        operator.land()
    assert reason in caught.value.message
    assert place in caught.value.message
    assert "\n" not in str(caught.value)
    assert read_manifest(operator.home) is None


@pytest.mark.parametrize(("text", "reason"), [case[1:3] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_below_the_limit_a_bad_row_is_quarantined_and_counted(operator, text, reason):
    """Under a generous limit the good rows land, and the bad ones are kept with their reason."""
    bills(operator, text, file={"max_quarantine_share": 0.9}, max_quarantine_share=0.9)
    report = operator.land()
    counted = report.feeds["bills"].reasons | report.files["bills"]["refused"]
    assert list(counted) == [reason]
    assert {row[0] for row in operator.refused("bills")} == {reason}
    assert operator.rows("SELECT count(*) FROM bills")[0][0] >= 7


def test_a_credit_note_is_a_bill(operator):
    """A negative total lands like any other; nothing is refused."""
    bills(operator, spoil(GOOD, 4, "10.5", "-20"))
    assert operator.land().feeds["bills"].reasons == {}
    assert operator.rows("SELECT min(total) FROM bills") == [(-20_000,)]


@pytest.mark.parametrize("bad", [12, 1])
def test_a_file_that_is_bad_as_a_whole_is_not_hidden_by_the_good_ones_beside_it(operator, bad, monkeypatch):
    """Twelve long rows of 40, or the only row: far below 1 % of all rows; canary: without the rule they are taken."""
    operator.write("customers.csv", "customer_id,event_at,kind,status\n" + "".join(
        f"{k},2020-01-01,consumer,active\n" for k in range(2_000)
    ))  # fmt: skip
    operator.map("customers", "SELECT * FROM customers", known_after="P1D")
    for month in ("202601", "202602"):
        rows = "".join(f"{k},2026-0{month[-1]}-01,10\n" for k in range(2_000))
        operator.write(f"bills_{month}.csv", f"customer_id,period,total\n{rows}")
    rows = "".join(f"{k},2026-03-01,10{',x' if k < bad else ''}\n" for k in range(40 if bad > 1 else 1))
    operator.write("bills_202603.csv", f"customer_id,period,total\n{rows}")
    operator.map("bills", "SELECT * FROM bills", file={"path": "bills_*.csv"}, known_after="P5D")
    with pytest.raises(
        QuarantineLimitError, match=r"bills_202603\.csv .*wrong_column_count in bills_202603\.csv row 1 "
    ):
        operator.land()
    assert read_manifest(operator.home) is None
    monkeypatch.setattr(quarantine, "_check_each_file", lambda *_: None)
    assert operator.land().files["bills"]["refused"] == {"wrong_column_count": bad}


MUTATED_FILES = [
    ("empty file", b"", ["bills.csv", "empty"]),
    ("truncated file", GOOD.encode()[:-10], ["bills.csv", "truncated in row 9"]),
    ("open quote", GOOD.encode() + b'1,"2026-04-01,10,\n', ["bills.csv", "quote opened in row 10"]),
    ("encoding", GOOD.replace("paid_at", "备注").encode("gb18030"), ["bills.csv", "not utf-8 at byte"]),
    (
        "encoding below the header",
        (GOOD + "1,2026-04-01,1,备注\n").encode("gb18030"),
        ["bills.csv", "not utf-8 at byte"],
    ),
    ("column twice", GOOD.replace("paid_at", "total", 1).encode(), ["bills.csv", "'total' stands twice"]),
    ("unknown column", GOOD.replace("paid_at", "payed_at", 1).encode(), ["feeds.bills", "'payed_at'", "'paid_at'"]),
    ("needed column", GOOD.replace("total", "arrears", 1).encode(), ["feeds.bills", "'total'"]),
    ("delimiter", GOOD.replace(",", ";").encode(), ["feeds.bills", "customer_id;period;total;paid_at"]),
]


@pytest.mark.parametrize(("content", "names"), [c[1:] for c in MUTATED_FILES], ids=[c[0] for c in MUTATED_FILES])
def test_a_bad_file_is_named_in_one_line_and_leaves_no_state(operator, content, names):
    """The file, and what is wrong with it; nothing is landed, and no scratch folder stays behind."""
    bills(operator)
    (operator.data / "bills.csv").write_bytes(content)
    with pytest.raises(InsightError) as caught:
        operator.land()
    for name in names:
        assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path for path in operator.home.root.rglob("*") if path.is_file()] == []


def test_a_truncated_parquet_file_is_named(operator):
    """A Parquet file that lost its end is refused by name."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = operator.data / "usage_daily.parquet"
    pq.write_table(pa.table({"customer_id": ["1"] * 1000}), path)
    path.write_bytes(path.read_bytes()[:-50])
    operator.map("usage_daily", "SELECT * FROM usage_daily", file={"path": "usage_daily.parquet"}, known_after="PT6H")
    with pytest.raises(DataError, match=r"usage_daily\.parquet: not a whole Parquet file"):
        operator.land()


def test_files_of_one_view_must_have_one_layout(operator):
    """The second month lost a column: the file and the column are named."""
    bills(operator)
    operator.write("bills_2.csv", "customer_id,period,paid_at\n1,2026-04-01,\n")
    with pytest.raises(DataError, match=r"bills_2\.csv: the column 'total' of bills\.csv is missing"):
        operator.land()


MAPPINGS = [
    ("unknown column in the SELECT", {"select": "SELECT customer_id, period, totl AS total FROM bills"}, ["totl"]),
    ("no such view", {"select": "SELECT * FROM bill"}, ["feeds.bills.select", "bill"]),
    ("not SQL", {"select": "SELEC * FROM bills"}, ["feeds.bills.select"]),
    ("two statements", {"select": "SELECT * FROM bills; DROP TABLE x"}, ["feeds.bills.select"]),
    ("another folder", {"select": "SELECT * FROM read_text('/etc/passwd')"}, ["feeds.bills.select", "disabled"]),
    (
        "cast of a bad value",
        {"select": "SELECT customer_id, period, CAST(period AS INTEGER) AS total FROM bills"},
        ["'2026-01-01'"],
    ),
    ("no knowledge time", {"known_after": None}, ["feeds.bills", "known_after"]),
    ("wrong unit", {"units": {"total": "MB"}}, ["feeds.bills.units.total", "'MB'"]),
    ("unit of an unknown column", {"units": {"totl": "cent"}}, ["feeds.bills.units", "'totl'"]),
    ("misspelt key", {"know_after": "P5D"}, ["feeds.bills.know_after", "did you mean 'known_after'"]),
    ("time of day unquoted", {"at": 630}, ["feeds.bills.at", '"06:00"']),
    ("a month as lag", {"known_after": "P1M"}, ["feeds.bills.known_after", "P1M"]),
]


@pytest.mark.parametrize(("change", "names"), [case[1:] for case in MAPPINGS], ids=[case[0] for case in MAPPINGS])
def test_a_bad_mapping_is_named_in_one_line(operator, change, names):
    """The key and the value; nothing is landed."""
    bills(operator, **change)
    with pytest.raises(InsightError) as caught:
        operator.land()
    for name in names:
        assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not operator.home.feeds.exists()


def test_a_wrong_time_zone_and_a_misspelt_feed_are_named(operator):
    """The IANA name, and the nearest feed."""
    operator.top = {"operator": {"name": "x", "time_zone": "Asia/Shangai"}}
    with pytest.raises(ConfigurationError, match=r"operator\.time_zone.*Asia/Shangai"):
        operator.land()
    operator.top = {}
    operator.map("bils", "SELECT * FROM bils", known_after="P5D")
    with pytest.raises(ConfigurationError, match=r"feeds\.bils: there is no such feed; did you mean 'bills'"):
        operator.land()


def test_a_wrong_unit_shows_in_the_range_of_the_column(operator):
    """Seconds delivered as milliseconds exceed what a day holds: the column is named and the run stops."""
    operator.write(
        "usage_daily.csv", "customer_id,day,voice_seconds\n" + "1,2026-05-01,3600000\n2,2026-05-01,1800000\n"
    )
    operator.map("usage_daily", "SELECT * FROM usage_daily", known_after="PT6H")
    with pytest.raises(QuarantineLimitError, match=r"above_172800:voice_seconds in usage_daily\.csv row 1"):
        operator.land()


def test_a_failed_run_leaves_the_last_good_state(operator):
    """After a good landing a bad delivery changes nothing that readers see, and the corrected one lands."""
    bills(operator)
    operator.land("2026-06-01T00:00:00")
    before = operator.content()
    operator.write("bills_2.csv", "customer_id,period,total,paid_at\n1,2026-04-01,x,\n")
    with pytest.raises(QuarantineLimitError):
        operator.land("2026-06-02T00:00:00")
    assert operator.content() == before
    operator.write("bills_2.csv", "customer_id,period,total,paid_at\n1,2026-04-01,3,\n")
    operator.land("2026-06-03T00:00:00")
    assert operator.rows("SELECT count(*) FROM bills") == [(10,)]


def test_canary_without_the_limit_bad_rows_would_pass(operator, monkeypatch):
    """With the check of the limits turned off the run goes through: the tests above watch the right place."""
    monkeypatch.setattr("features.feeds.landing.landing.check_limits", lambda *_: None)
    bills(operator, spoil(GOOD, 4, "10.5", "ten"))
    assert operator.land().feeds["bills"].quarantined == 1


def test_chinese_files_are_read_in_their_encoding(operator):
    """GB18030 and a UTF-8 byte-order mark both land; column names and values are Chinese."""
    text = "用户,入网日期,城市\n1,2020-01-01,北京\n2,2021-01-01,上海\n"
    select = 'SELECT _file, _row, "用户" AS customer_id, "入网日期" AS event_at, "城市" AS city FROM customers'
    for encoding in ("gb18030", "utf-8-sig", "utf-16"):
        operator.write("customers.csv", text, encoding)
        operator.map("customers", select, file={"encoding": encoding.removesuffix("-sig")}, known_after="PT0S")
        operator.land()
        assert operator.rows("SELECT city FROM customers ORDER BY customer_id") == [("北京",), ("上海",)]


def test_row_numbers_survive_bad_rows_and_line_breaks_in_values(operator):
    """The row that is named is the row of the file, after a short row and after a quoted line break."""
    operator.write(
        "bills.csv", 'customer_id,period,total,value_added_item\n1,2026-01-01,1,"a\nb"\n2,2026-01-01\n3,2026-01-01,x,\n'
    )
    operator.map(
        "bills", "SELECT * FROM bills", file={"max_quarantine_share": 1}, known_after="P5D", max_quarantine_share=1
    )
    operator.land()
    assert [row[:3] for row in operator.refused("bills")] == [
        ("not_an_amount:total", "bills.csv", 3),
        ("wrong_column_count", "bills.csv", 2),
    ]


def test_an_aggregated_row_is_named_by_its_key_and_a_raw_row_by_its_number(operator):
    """Row checks run on the raw view; what goes wrong after aggregation names the key."""
    operator.write(
        "calls.csv", "customer_id,day,seconds\n1,2026-05-01,60\n1,2026-05-01,x\n2,2026-05-02,-5\n77,2026-05-02,9\n"
    )
    operator.map(
        "usage_daily",
        "SELECT customer_id, day, sum(seconds) AS voice_seconds FROM calls GROUP BY ALL",
        known_after="PT6H",
        max_quarantine_share=1,
    )
    operator.files["calls"] = {
        "path": "calls.csv",
        "types": {"seconds": "integer", "day": "date"},
        "reject": {"negative:seconds": "seconds < 0"},
        "max_quarantine_share": 1,
    }
    del operator.files["usage_daily"]
    operator.land()
    assert operator.rows("SELECT customer_id, voice_seconds FROM usage_daily") == [("1", 60)]
    assert [row[:3] for row in operator.refused("calls")] == [
        ("negative:seconds", "calls.csv", 3),
        ("not_a_whole_number:seconds", "calls.csv", 2),
    ]
    assert operator.refused("usage_daily") == [("unknown_customer:customer_id", None, None, "77|2026-05-02")]


def test_units_and_money_convert_exactly(operator):
    """Minutes to seconds, MB to KB, fen and yuan to li."""
    operator.write("usage_daily.csv", "customer_id,day,voice_seconds,data_kb\n1,2026-05-01,1.5,89.86\n")
    operator.map(
        "usage_daily", "SELECT * FROM usage_daily", known_after="PT6H", units={"voice_seconds": "min", "data_kb": "MB"}
    )
    bills(operator, "customer_id,period,total,arrears\n1,2026-05-01,12.345,1234\n", units={"arrears": "cent"})
    operator.land()
    assert operator.rows("SELECT voice_seconds, data_kb FROM usage_daily") == [(90, 92017)]
    assert operator.rows("SELECT total, arrears FROM bills") == [(12345, 12340)]


def test_check_says_what_landing_would_and_writes_nothing(operator, tmp_path):
    """`insight check` counts the same rows and stops at the same errors, and the home stays empty."""
    scratch = Home(tmp_path / "scratch")
    bills(operator)
    assert check(operator.source(), operator.data, scratch)["bills"].accepted == 9
    twice = GOOD + "1,2026-01-01,11,\n"
    bills(operator, twice, max_quarantine_share=1)
    counted = check(operator.source(), operator.data, Home(tmp_path / "again"))["bills"]
    assert counted.as_dict() == operator.land().feeds["bills"].as_dict()
    assert counted.reasons == {"conflicting_duplicate:customer_id,period": 2}
    shutil.rmtree(operator.home.root)
    bills(operator, spoil(GOOD, 4, "10.5", "ten"))
    with pytest.raises(QuarantineLimitError, match="not_an_amount:total"):
        check(operator.source(), operator.data, scratch)
    assert not operator.home.root.exists()
