"""Feeds from tables of a real PostgreSQL: the same rows as from files, only what is new, and errors that name the thing."""

from __future__ import annotations

import tracemalloc
from datetime import date, datetime

import duckdb
import pytest

from features.feeds.files.database import open_tables
from features.feeds.landed.reading import Feeds
from features.feeds.landing.landing import check, land
from features.feeds.mapping.sources import Source
from features.kit.config import parse_config
from features.kit.errors import ConfigurationError, DataError, InsightError, NotReadyError, QuarantineLimitError
from features.kit.home import Home

psycopg = pytest.importorskip("psycopg", reason="install the extra `postgres`")

CUSTOMERS = "customer_id,event_at\n1,2025-01-01\n2,2025-01-01\n0003,2025-01-01\n"
BILLS = """customer_id,period,total,paid_at,note
1,2026-04-01,0.29,2026-05-03 10:00:00,"a ""quoted"", line
over two"
2,2026-04-01,68.50,,王芳
0003,2026-05-01,165.00,2026-06-01 23:59:59,
"""


@pytest.fixture
def database(postgresql, monkeypatch):
    """An empty schema `bss` on the server, its address in the environment."""
    monkeypatch.setenv("OPERATOR_DB", postgresql)
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS bss CASCADE")
        connection.execute("CREATE SCHEMA bss")
        connection.execute("CREATE TABLE bss.customers (customer_id text, event_at date)")
        connection.execute(
            "CREATE TABLE bss.bills (customer_id text, period date, total numeric(12,2), paid_at timestamp, note text, "
            "updated_at timestamptz DEFAULT now())"
        )
        copy(connection, "bss.customers (customer_id, event_at)", CUSTOMERS)
        copy(connection, "bss.bills (customer_id, period, total, paid_at, note)", BILLS)
        yield connection


def copy(connection, target: str, text: str) -> None:
    """Fills a table with the rows of a CSV text."""
    with connection.cursor().copy(f"COPY {target} FROM STDIN (FORMAT csv, HEADER)") as stream:
        stream.write(text)


def mapping(
    select: str | None = None, *, bills: dict | None = None, feed: dict | None = None, **tables: dict
) -> Source:
    """Returns a mapping of customers and bills over the tables."""
    columns = "_file, _row, customer_id, period, total, paid_at"
    content = {
        "operator": {"name": "small"},
        "database": {"url_env": "OPERATOR_DB"},
        "tables": {"customers": {"table": "bss.customers"}, "bills": {"table": "bss.bills"} | (bills or {})} | tables,
        "feeds": {
            "customers": {"select": "SELECT * FROM customers", "known_after": "PT0S"},
            "bills": {"select": select or f"SELECT {columns} FROM bills", "known_after": "P5D"} | (feed or {}),
        },
    }
    return parse_config(Source, content, source="small.yaml")


def content(home: Home, columns: str = "customer_id, period, total, paid_at, known_at, superseded_at") -> list[tuple]:
    """Returns every landed version of every bill."""
    return Feeds.open(home).connect().execute(f"SELECT {columns} FROM bills ORDER BY ALL").fetchall()


def test_tables_land_what_files_of_the_same_rows_land(database, operator, tmp_path):
    """Text, exact money, local times, quotes, line breaks, Chinese, missing values: equal row by row."""
    operator.write("customers.csv", CUSTOMERS)
    operator.write("bills.csv", BILLS)
    operator.map("bills", "SELECT _file, _row, customer_id, period, total, paid_at FROM bills", known_after="P5D")
    operator.land()
    home = Home(tmp_path / "from_tables")
    report = land(mapping(), tmp_path, home)
    assert content(home) == content(operator.home)
    assert content(home, "total")[0] == (290,)
    assert (report.feeds["bills"].accepted, report.feeds["bills"].quarantined) == (3, 0)


def test_an_instant_of_the_server_becomes_the_operators_date_and_infinity_no_end(database, tmp_path):
    """A `timestamptz` mapped or declared as a date is cut in Shanghai, whatever the server's own zone is."""
    database.execute("SET timezone = 'America/New_York'")
    database.execute("CREATE TABLE bss.use (customer_id text, day timestamptz, kb bigint)")
    database.execute(
        "INSERT INTO bss.use SELECT '1', d, 7 FROM generate_series('2024-05-02 00:00+08'::timestamptz, "
        "'2024-05-30 00:00+08', '1 day') d"
    )
    database.execute(
        "CREATE TABLE bss.orders (customer_id text, at timestamptz, eff date, cend date, dend timestamptz)"
    )
    database.execute(
        "INSERT INTO bss.orders VALUES ('1', '2024-05-02 00:30+08', '2024-05-02', 'infinity', 'infinity'), "
        "('2', '2024-05-02 00:30+08', '-infinity', NULL, NULL)"
    )
    feeds: dict[str, dict] = {
        "customers": {"select": "SELECT * FROM customers"},
        "usage_daily": {"select": "SELECT customer_id, day, kb AS data_kb FROM use"},
        "network_experience": {"select": "SELECT customer_id, day, 1 AS drops FROM typed"},
        "subscriptions": {
            "select": "SELECT customer_id, 'P' AS plan_id, \"at\" AS ordered_at, eff AS effective_on, "
            "cend AS contract_end, dend AS discount_end FROM orders",
            "max_quarantine_share": 1,
        },
    }
    content = {
        "operator": {"name": "small"},
        "database": {"url_env": "OPERATOR_DB"},
        "tables": {
            "customers": {"table": "bss.customers"},
            "use": {"table": "bss.use"},
            "typed": {"table": "bss.use", "types": {"day": "date"}},
            "orders": {"table": "bss.orders"},
        },
        "feeds": {name: feed | {"known_after": "PT0S"} for name, feed in feeds.items()},
    }
    source = parse_config(Source, content, source="small.yaml")
    report = land(source, tmp_path, Home(tmp_path / "home"))
    rows = Feeds.open(Home(tmp_path / "home")).connect()
    span = "SELECT min(day), max(day), count(DISTINCT day) FROM "
    for name in ("usage_daily", "network_experience"):
        assert rows.execute(span + name).fetchone() == (date(2024, 5, 2), date(2024, 5, 30), 29)
    assert rows.execute("SELECT customer_id, ordered_at, contract_end, discount_end FROM subscriptions").fetchall() == [
        ("1", datetime.fromisoformat("2024-05-01T16:30"), None, None)
    ]
    assert report.feeds["subscriptions"].reasons == {"not_between_1900_and_2100:effective_on": 1}


def test_an_equal_table_is_not_landed_again(database, tmp_path):
    """The server's digest says that nothing changed; a changed value is one new version."""
    home = Home(tmp_path / "home")
    land(mapping(), tmp_path, home)
    assert land(mapping(), tmp_path, home).feeds["bills"].unchanged
    database.execute("UPDATE bss.bills SET total = 70 WHERE customer_id = '2'")
    assert not land(mapping(), tmp_path, home).feeds["bills"].unchanged
    assert [row[2] for row in content(home) if row[0] == "2"] == [68_500, 70_000]


def test_with_a_watermark_only_new_rows_are_read(database, tmp_path):
    """New and changed rows beyond the last load and its overlap, late commits in it; the rest is not sent again."""
    database.execute("UPDATE bss.bills SET updated_at = '2026-06-01 00:00:00+08'")
    home, source = Home(tmp_path / "home"), mapping(bills={"watermark": "updated_at", "overlap": "PT2H"})
    assert land(source, tmp_path, home).files["bills"]["rows"] == 3
    assert land(source, tmp_path, home).feeds["bills"].unchanged
    rows = [("1", "2026-05-01", 40, "2026-06-02 00:00:00+08"), ("2", "2026-05-01", 50, "2026-05-31 23:00:00+08")]
    for row in rows:  # the second was committed late: its time lies before the last load, within the overlap
        database.execute("INSERT INTO bss.bills (customer_id, period, total, updated_at) VALUES (%s, %s, %s, %s)", row)
    database.execute("INSERT INTO bss.bills VALUES ('0003', '2026-04-01', 1, NULL, '', '2026-05-20 00:00:00+08')")
    report = land(source, tmp_path, home)
    assert report.files["bills"]["rows"] == 5  # three of the overlap, two new
    assert report.feeds["bills"].repeated == 3
    assert {(row[0], str(row[1]), row[2]) for row in content(home)} >= {
        ("1", "2026-05-01", 40_000),
        ("2", "2026-05-01", 50_000),
    }
    assert ("0003", "2026-04-01", 1000) not in {(row[0], str(row[1]), row[2]) for row in content(home)}


def test_a_row_without_a_watermark_is_read_every_time(database, tmp_path):
    """Its time of change is unknown, so it is never taken for old."""
    home, source = Home(tmp_path / "home"), mapping(bills={"watermark": "updated_at", "overlap": "PT0S"})
    land(source, tmp_path, home)
    database.execute("INSERT INTO bss.bills VALUES ('1', '2026-05-01', 7, NULL, '', NULL)")
    land(source, tmp_path, home)
    assert ("1", 7_000) in {(row[0], row[2]) for row in content(home)}


def test_loads_by_watermark_end_where_one_load_ends(database, tmp_path):
    """Twenty changes in four loads give the newest versions that one load of the final table gives."""
    source = mapping(bills={"watermark": "updated_at", "overlap": "PT1H"})
    stepwise, at_once = Home(tmp_path / "stepwise"), Home(tmp_path / "at_once")
    for step in range(4):
        for n in range(5):
            database.execute(
                "UPDATE bss.bills SET total = %s, updated_at = %s WHERE customer_id = %s",
                [10 * step + n, f"2026-06-0{step + 1} 0{n}:00:00+00", ("1", "2", "0003")[n % 3]],
            )
        land(source, tmp_path, stepwise)
    land(source, tmp_path, at_once)
    newest = "SELECT customer_id, period, total FROM bills WHERE superseded_at IS NULL ORDER BY ALL"
    results = [Feeds.open(home).connect().execute(newest).fetchall() for home in (stepwise, at_once)]
    assert results[0] == results[1]


def test_a_sum_over_rows_read_by_watermark_is_refused(database, tmp_path):
    """A load would sum the new rows only; whole periods cannot be replaced by parts of them either."""
    summed = "SELECT customer_id, period, sum(total) AS total FROM bills GROUP BY ALL"
    parted = {"watermark": "updated_at", "types": {"total": "number", "period": "date"}}
    with pytest.raises(ConfigurationError, match="'bills' is read by watermark, so the SELECT must pass `_file` on"):
        check(mapping(summed, bills=parted), tmp_path, Home(tmp_path / "scratch"))
    with pytest.raises(ConfigurationError, match="needs whole periods"):
        mapping(bills=parted, feed={"replace": "period"})
    land(mapping(summed, bills=parted | {"watermark": ""}), tmp_path, Home(tmp_path / "home"))


@pytest.mark.parametrize(
    ("bills", "message"),
    [
        ({"table": "bss.bils"}, r"tables\.bills: the database has no table 'bss\.bils'"),
        ({"table": "nowhere.bills"}, r"tables\.bills: the database has no table 'nowhere\.bills'"),
        ({"required": ["totl"]}, r"tables\.bills: 'bss\.bills' has no column 'totl'; did you mean 'total'\?"),
        (
            {"types": {"paid_at": "number"}},
            r"tables\.bills\.types\.paid_at: a timestamp without time zone of 'bss\.bills'",
        ),
        (
            {"types": {"total": "identifier"}},
            r"tables\.bills\.types\.total: a numeric of 'bss\.bills' is no identifier",
        ),
        ({"watermark": "changed"}, r"tables\.bills: 'bss\.bills' has no column 'changed'"),
        ({"watermark": "note"}, r"tables\.bills\.watermark: 'note' of 'bss\.bills' is a text"),
    ],
)
def test_a_table_a_column_or_a_type_that_is_wrong_is_named(database, tmp_path, bills, message):
    """One line, before anything is read."""
    with pytest.raises(DataError, match=message):
        check(mapping(bills=bills), tmp_path, Home(tmp_path / "scratch"))


def test_a_bad_value_goes_to_quarantine_by_part_and_row(database, tmp_path):
    """As from files: the reason names the column, too many stop the run."""
    database.execute("ALTER TABLE bss.bills ALTER total TYPE text")
    database.execute("UPDATE bss.bills SET total = 'x' WHERE customer_id = '2'")
    with pytest.raises(QuarantineLimitError, match=r"not_an_amount:total in bss\.bills row 3"):
        land(mapping(), tmp_path, Home(tmp_path / "home"))
    report = land(mapping(feed={"max_quarantine_share": 0.5}), tmp_path, Home(tmp_path / "home"))
    assert report.feeds["bills"].reasons == {"not_an_amount:total": 1}


def test_a_server_that_does_not_answer_is_one_line_without_the_password(monkeypatch, tmp_path):
    """Unreachable, unset, no address: each says which variable, none shows what is in it."""
    monkeypatch.delenv("OPERATOR_DB", raising=False)
    with pytest.raises(ConfigurationError, match="the environment variable OPERATOR_DB is not set"):
        check(mapping(), tmp_path, Home(tmp_path / "scratch"))
    for url, kind in (
        ("postgresql://u:secret@127.0.0.1:1/x", NotReadyError),
        ("no address secret", ConfigurationError),
    ):
        monkeypatch.setenv("OPERATOR_DB", url)
        with pytest.raises(InsightError, match="OPERATOR_DB") as caught:
            check(mapping(), tmp_path, Home(tmp_path / "scratch"))
        assert isinstance(caught.value, kind)
        assert "secret" not in str(caught.value)
        assert "\n" not in caught.value.message


def test_no_password_fits_into_a_mapping():
    """The address is the environment's; a mapping that holds one is refused."""
    with pytest.raises(ConfigurationError, match="url_env"):
        parse_config(Source, mapping().model_dump() | {"database": {"url_env": "postgresql://u:p@h/x"}}, source="m")
    with pytest.raises(ConfigurationError, match=r"unknown key 'database\.url'"):
        parse_config(Source, mapping().model_dump() | {"database": {"url": "postgresql://u:p@h/x"}}, source="m")


def test_a_large_table_is_read_in_flat_memory(database, tmp_path, monkeypatch):
    """Three times the rows need no more memory: a few blocks, however large the table is."""
    monkeypatch.setattr("features.feeds.files.database._BLOCK_BYTES", 64 << 10)
    peaks = []
    for size in (10_000, 30_000):
        database.execute(
            f"CREATE TABLE bss.rows_{size} AS SELECT n::text AS id, repeat('x', 80) AS filler FROM generate_series(1, {size}) n"
        )
        with open_tables(mapping(large={"table": f"bss.rows_{size}"})) as tables:
            tables.plan({})
            tracemalloc.start()
            scan = tables.stage("large", tmp_path)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        found = duckdb.execute(f"SELECT count(*), max(_row), count(DISTINCT id) FROM ({scan})").fetchone()
        assert found == (size, size, size)
    assert peaks[1] < 1.3 * peaks[0]
    assert peaks[1] < 1 << 20  # the larger table is 2.6 MB of text


def test_the_read_is_one_snapshot_and_writes_nothing(database):
    """Rows that come in between the tables are not seen, and the session cannot write."""
    with open_tables(mapping()) as tables:
        before = tables.plan({})
        database.execute("INSERT INTO bss.bills (customer_id, period, total) VALUES ('1', '2026-06-01', 1)")
        assert tables.plan({}) == before
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            tables._connection.execute("DELETE FROM bss.bills")
