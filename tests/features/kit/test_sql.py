"""Pieces of SQL do what they promise in DuckDB, with hostile values."""

from datetime import UTC, datetime, timedelta, timezone

import duckdb
import pytest

from features.kit.sql import column_types, literal, literals, newest, parquet, quoted, row_count, timestamp

HOSTILE = ["O'Neil", "'; DROP TABLE t; --", 'a "quoted" word', "100 %", "客户\\n", ""]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_literal_comes_back_as_it_went_in(value: str) -> None:
    """No text ends its own literal."""
    assert duckdb.sql(f"SELECT {literal(value)}").fetchone() == (value,)


@pytest.mark.parametrize("name", ['a "b" c', "select", "客户 编号"])
def test_a_quoted_name_is_one_name(name: str) -> None:
    """Any text can name a column."""
    assert duckdb.sql(f"SELECT 1 AS {quoted(name)}").columns == [name]


def test_literals_stand_in_a_list() -> None:
    """IN takes them, and an apostrophe in one of them is no end."""
    assert duckdb.sql(
        f"SELECT count(*) FROM (VALUES ('O''Neil'), ('b')) t(v) WHERE v IN ({literals(HOSTILE)})"
    ).fetchone() == (1,)


def test_an_instant_is_utc_whatever_its_zone() -> None:
    """Shanghai's midnight and the naive 16:00 of the day before are one instant."""
    shanghai = datetime(2026, 6, 1, tzinfo=timezone(timedelta(hours=8)))
    expected = "TIMESTAMP '2026-05-31 16:00:00'"
    naive = datetime(2026, 5, 31, 16, tzinfo=UTC).replace(tzinfo=None)
    assert [timestamp(shanghai), timestamp(naive)] == [expected, expected]


def test_the_newest_row_of_a_group_stays() -> None:
    """The newest event counts, and of its versions the one known last."""
    rows = "(VALUES ('a', 1, 1), ('a', 2, 1), ('a', 2, 2), ('b', 1, 9)) t(id, event_at, known_at)"
    assert duckdb.sql(f"SELECT * FROM {rows} {newest('id')} ORDER BY id").fetchall() == [("a", 2, 2), ("b", 1, 9)]


def test_files_with_an_apostrophe_are_scanned(tmp_path) -> None:
    """A path is data as well, and options follow the list of files."""
    path = tmp_path / "it's.parquet"
    connection = duckdb.connect()
    connection.execute(f"COPY (SELECT 7 AS n, 'x' AS text) TO {literal(path)} (FORMAT parquet)")
    scan = parquet([path, path], "union_by_name=true")
    assert row_count(connection, f"{scan} WHERE n = 7") == 2
    assert column_types(connection, f"SELECT * FROM {scan}") == {"n": "INTEGER", "text": "VARCHAR"}
