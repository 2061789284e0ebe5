"""The simulator's files in an operator's dialect: the same world in other encodings, forms and rhythms.

    DIR/files/202605/user_info_202605.dat.gz     GB18030 text, gzip, Chinese headers, one folder a month
    DIR/files/202605/check_202605.txt            the rows of each file of the folder

A month's folder holds what became known in it: snapshots hold every key's newest state at the month's end; events have
until the first day of the next month to arrive; what arrives later lies in a later month's file of late records.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import duckdb

from features.kit.clock import add_months, months_between
from features.kit.errors import ConfigurationError
from features.kit.sql import literal, newest, parquet
from features.simulator.dialect.bss_cn import EXTRACTS, Extract, Form

DIALECTS = ("clean", "bss_cn")
ENCODING = "gb18030"
NULL = r"\N"
_LINES = 100_000


_FORMS: dict[str, Callable[[str], str]] = {
    "identifier": lambda x: f"'00' || substr({x}, 3)",  # 18 digits
    "person": lambda x: f"lpad(substr({x}, 2), 18, '0')",
    "text": lambda x: x,
    "day": lambda x: f"replace({x}, '-', '')",
    "no_end": lambda x: f"replace({x}, '-', '')",
    "month": lambda x: f"left(replace({x}, '-', ''), 6)",
    "at": lambda x: f"regexp_replace({x}, '[^0-9]', '', 'g')",
    "no_end_at": lambda x: f"regexp_replace({x}, '[^0-9]', '', 'g')",
    "li": lambda x: f"CAST(CAST(CAST({x} AS DECIMAL(18, 3)) * 1000 AS BIGINT) AS VARCHAR)",
    "fen": lambda x: f"CAST(CAST(CAST({x} AS DECIMAL(18, 2)) * 100 AS BIGINT) AS VARCHAR)",
    "yuan": lambda x: f"CAST(CAST({x} AS DECIMAL(18, 3)) AS VARCHAR)",
    "mb": lambda x: f"printf('%.4f', CAST({x} AS BIGINT) / 1024.0)",  # a ten-thousandth of a MB is a tenth of a KB
}
_MISSING = {"no_end": "20991231", "no_end_at": "20991231235959", "text": ""}


def check_dialect(name: str) -> None:
    """Raises ConfigurationError naming the dialects if there is no such one."""
    if name not in DIALECTS:
        raise ConfigurationError(f"--dialect: there is no '{name}'", remedy=f"one of {', '.join(DIALECTS)}")


def write_dialect(
    clean: Path, out: Path, *, first: date, end: date, tick: Callable[[int], None] = lambda _: None
) -> dict[str, int]:
    """Writes the months of [first, end) in the dialect `bss_cn` and returns the rows of each extract.

    `out` gets one folder a month; `tick` is called after every extract.
    """
    months = list(months_between(first, end))
    counts: dict[date, dict[str, int]] = {month: {} for month in months}
    connection = duckdb.connect()
    connection.execute("SET threads=1")
    connection.execute("SET enable_progress_bar=false")
    try:
        for extract in EXTRACTS:
            for month in months:
                path = out / f"{month:%Y%m}" / f"{extract.name}_{month:%Y%m}.dat.gz"
                path.parent.mkdir(parents=True, exist_ok=True)
                rows = _rows(connection, clean, extract, month, is_first=month == first)
                counts[month][path.name] = _write(path, extract, _lines(connection, extract, rows))
            connection.execute("DROP TABLE IF EXISTS clean")
            tick(1)
    finally:
        connection.close()
    for month, by_name in counts.items():
        lines = ["文件名|记录数", *(f"{name}|{rows}" for name, rows in by_name.items())]
        check = out / f"{month:%Y%m}" / f"check_{month:%Y%m}.txt"
        check.write_bytes(("\n".join(lines) + "\n").encode(ENCODING))
    return {
        extract.name: sum(counts[month][f"{extract.name}_{month:%Y%m}.dat.gz"] for month in months)
        for extract in EXTRACTS
    }


def _write(path: Path, extract: Extract, batches: Iterator[list[str]]) -> int:
    rows = 0
    with path.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as packed:
        packed.write((extract.delimiter.join(header for header, _, _ in extract.columns) + "\n").encode(ENCODING))
        for lines in batches:
            packed.write(("\n".join(lines) + "\n").encode(ENCODING))
            rows += len(lines)
    return rows


def _lines(connection: duckdb.DuckDBPyConnection, extract: Extract, rows: str) -> Iterator[list[str]]:
    values = ", ".join(_written(name, form, extract.delimiter) for _, name, form in extract.columns)
    connection.execute(f"SELECT concat_ws('{extract.delimiter}', {values}) FROM ({rows}) ORDER BY _place")
    while batch := connection.fetchmany(_LINES):
        yield [line for (line,) in batch]


def _rows(connection: duckdb.DuckDBPyConnection, clean: Path, extract: Extract, month: date, *, is_first: bool) -> str:
    """Returns SQL of an extract's rows of one month, with their place in the clean files; the first has all before."""
    after = add_months(month, 1)
    folder = clean / extract.feed
    if folder.is_dir():  # daily rows arrive within a week: this month's and last month's days
        near = [folder / f"{day:%Y-%m}.parquet" for day in (add_months(month, -1), month)]
        files = parquet(path for path in near if path.exists())
        scan = f"(SELECT *, row_number() OVER () AS _place FROM {files})"
    else:
        options = "all_varchar=true, header=true, delim=',', quote='\"', nullstr=''"
        scan = "clean"
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS clean AS SELECT *, row_number() OVER () AS _place "
            f"FROM read_csv({literal(f'{clean / extract.feed}.csv')}, {options})"
        )
    known = "CAST(known_at AS TIMESTAMP)"
    if extract.rhythm in ("snapshot", "changed"):
        since = f" AND {known} >= TIMESTAMP '{month}'" if extract.rhythm == "changed" else ""
        return (
            f"SELECT *, '{month}' AS _month FROM {scan} WHERE {known} < TIMESTAMP '{after}'{since} "
            f"{newest(extract.key, 'known_at DESC, event_at DESC, _place DESC')}"
        )
    arrived = f"({known} - INTERVAL 1 DAY)"
    earliest = date(1970, 1, 1) if is_first else month
    where = f"{arrived} >= TIMESTAMP '{earliest}' AND {arrived} < TIMESTAMP '{after}'"
    if folder.is_dir():
        is_late = f"{known} <> CAST(day AS TIMESTAMP) + INTERVAL 30 HOUR"
        where += f" AND {is_late}" if extract.rhythm == "late" else f" AND NOT {is_late}"
    return f"SELECT * FROM {scan} WHERE {where}"


def _written(name: str, form: Form, delimiter: str) -> str:
    """Returns SQL of a value as it stands in the file; never NULL."""
    column = f'CAST("{name}" AS VARCHAR)'
    missing = _MISSING.get(form.name, NULL)
    if form.words:
        cases = " ".join(f"WHEN '{ours}' THEN '{theirs}'" for ours, theirs in form.words)
        word = f"CASE {column} {cases} ELSE error('{name}: no word for ' || {column}) END"
        return f"CASE WHEN {column} IS NULL THEN '{missing}' ELSE {word} END"
    value = f"coalesce({_FORMS[form.name](column)}, '{missing}')"
    if form.name != "text":
        return value
    needs_quotes = f"contains({value}, '{delimiter}') OR contains({value}, '\"') OR contains({value}, chr(10))"
    quotes = f"""'"' || replace({value}, '"', '""') || '"'"""
    return f"CASE WHEN {needs_quotes} THEN {quotes} ELSE {value} END"
