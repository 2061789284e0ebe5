"""Raw files as views of one scratch DuckDB: CSV as text, Parquet with its own types, both with `_file` and `_row`.

`_row` 1 is the first row below the header. CSV passes through scratch Parquet (`csv_files`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from features.feeds.conversion import BAD_VALUE, converted, is_lossless, named_first
from features.feeds.files.control_files import check_rows
from features.feeds.files.csv_files import csv_header, csv_tables, refuse_twins
from features.feeds.files.database import Tables
from features.feeds.mapping.layout import File
from features.feeds.mapping.sources import Source
from features.feeds.schema import Column, Kind
from features.feeds.times import local_time
from features.kit.errors import ConfigurationError, DataError
from features.kit.files import sha256_of
from features.kit.home import Home
from features.kit.sql import column_types, literal, literals, parquet, quoted, row_count
from features.kit.values.identifiers import DAMAGES, add_functions, damage_sql, identifier_sql

MEMORY_LIMIT = "1400MB"
_FILE_MONTH = r"file_month(file) AS CAST(try_strptime(regexp_extract(file, '(\d{6})[^/\d]*$', 1), '%Y%m') AS DATE)"
_OUTSIDE_MONTH = (
    "outside_month(file, moment, days) AS moment NOT BETWEEN file_month(file) AND "
    "file_month(file) + INTERVAL 1 MONTH + days * INTERVAL 1 DAY - INTERVAL 1 SECOND"
)
_MACROS = (_FILE_MONTH, _OUTSIDE_MONTH)
"""What a mapping may call: the month at the end of a file's name, as in a_202605.txt, and if a time is outside it."""

FEW = 20
"""Fewer values than this have no typical median."""

_PARQUET = (".parquet", ".pq")


@dataclass
class View:
    """One staged view."""

    name: str
    fingerprints: dict[str, str]  # file name (relative to the data folder) -> sha256
    rows: int = 0  # rows read, bad ones included
    refused: dict[str, int] = field(default_factory=dict)  # reason -> rows that never reach a SELECT


def matching_files(data: Path, file: File) -> list[Path]:
    """Returns the files of one view, sorted by name."""
    found = {path for pattern in file.patterns for path in data.glob(pattern) if path.is_file()}
    return sorted(path for path in found if not path.name.startswith("."))


def fingerprints_of(data: Path, file: File) -> dict[str, str]:
    """Returns name -> sha256 of the files of one view."""
    return {path.relative_to(data).as_posix(): sha256_of(path) for path in matching_files(data, file)}


@contextmanager
def scratch_folder(home: Home) -> Iterator[Path]:
    """Yields an empty folder that only its owner may read; it is gone afterwards, and a killed run's is cleared."""
    folder = home.personal / ".staging"
    home.personal.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def open_scratch(folder: Path, *, threads: int) -> duckdb.DuckDBPyConnection:
    """Opens the scratch database, spilling into its own folder."""
    connection = duckdb.connect(str(folder / "staging.duckdb"))
    connection.execute(f"SET threads={threads}")
    connection.execute(f"SET memory_limit='{MEMORY_LIMIT}'")
    connection.execute(f"SET temp_directory={literal(folder / 'spill')}")
    connection.execute("SET TimeZone='UTC'")
    connection.execute("SET enable_progress_bar=false")
    add_functions(connection)
    for macro in _MACROS:
        connection.execute(f"CREATE OR REPLACE MACRO {macro}")
    return connection


def lock_down(connection: duckdb.DuckDBPyConnection, folders: list[Path]) -> None:
    """Lets a mapping's SQL read the given folders and nothing else, and keeps it from changing that."""
    allowed = literals(f"{folder.resolve()}/" for folder in folders)
    connection.execute(f"SET allowed_directories=[{allowed}]")
    connection.execute("SET enable_external_access=false")
    connection.execute("SET lock_configuration=true")


def create_refused_table(connection: duckdb.DuckDBPyConnection) -> None:
    """Creates the table that collects every refused row of the run, by view or feed."""
    connection.execute(
        "CREATE TABLE refused_rows (owner VARCHAR, reason VARCHAR, file VARCHAR, row_number BIGINT, key VARCHAR, "
        "content VARCHAR)"
    )


def stage_files(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    data: Path,
    folder: Path,
    *,
    wanted: frozenset[str],
    tables: Tables | None = None,
) -> dict[str, View]:
    """Creates the wanted views and the table `refused_rows` of rows that no SELECT sees.

    Raises:
        DataError: Naming the file that is missing, empty, truncated, wrongly encoded or of another layout.
    """
    create_refused_table(connection)
    views: dict[str, View] = {}
    for name, file in source.files.items():
        paths = matching_files(data, file)
        if name not in wanted or (not paths and file.optional):
            continue
        if not paths:
            raise DataError(
                f"{data}: no file matches '{', '.join(file.patterns)}' (files.{name})",
                remedy="check --data, or mark the files as `optional: true`",
            )
        view = View(name, {path.relative_to(data).as_posix(): sha256_of(path) for path in paths})
        if all(path.suffix in _PARQUET for path in paths):
            scan = _parquet_scan(connection, paths, data)
        else:
            scan = _stage_csv(connection, paths, data, file, view, folder)
        views[name] = _checked_view(connection, file, source, view, scan)
    for name, table in source.tables.items():
        if tables is None or name not in wanted:
            continue
        part = tables.part(name)
        view = View(name, {part.name: part.fingerprint})
        views[name] = _checked_view(connection, table, source, view, tables.stage(name, folder))
    return views


def _parquet_scan(connection: duckdb.DuckDBPyConnection, paths: list[Path], data: Path) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    layout: list[str] = []
    for path in paths:
        try:
            names = pq.read_schema(path).names  # DuckDB would call the second of `id` and `ID` a third name
            found = list(column_types(connection, f"SELECT * FROM {parquet([path])}"))
        except (duckdb.Error, pa.ArrowException) as error:
            first_line = str(error).splitlines()[0]
            raise DataError(
                f"{path}: not a whole Parquet file ({first_line})", remedy="deliver the file again"
            ) from None
        refuse_twins(path, names)
        _same_layout(path, paths[0], found, layout or found)
        layout = layout or found
    scan = parquet(paths, "filename='_path'", "file_row_number=true")
    prefix = len(str(data.as_posix()).rstrip("/")) + 2
    return (
        f"SELECT * EXCLUDE (_path, file_row_number), substr(_path, {prefix}) AS _file, file_row_number + 1 AS _row "
        f"FROM {scan}"
    )


def _same_layout(path: Path, first: Path, names: list[str], expected: list[str]) -> None:
    missing, extra = sorted(set(expected) - set(names)), sorted(set(names) - set(expected))
    if missing:
        raise DataError(f"{path}: the column '{missing[0]}' of {first.name} is missing")
    if extra:
        raise DataError(f"{path}: the column '{extra[0]}' is not in {first.name}")


def _stage_csv(
    connection: duckdb.DuckDBPyConnection, paths: list[Path], data: Path, file: File, view: View, folder: Path
) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: list[str] = []
    staged = folder / f"{view.name}.parquet"
    writer = None
    try:
        for path in paths:
            header = csv_header(path, file)
            columns = columns or header
            _same_layout(path, paths[0], header, columns)
            relative = path.relative_to(data).as_posix()
            bad: list[Any] = []
            read = 0
            for table in csv_tables(path, header, file, bad):
                numbered = table.select(columns).append_column(
                    "_file", pa.array([relative] * table.num_rows, pa.string())
                )
                numbered = numbered.append_column("_row", table["_row"])
                if writer is None:
                    writer = pq.ParquetWriter(staged, numbered.schema, compression="lz4")
                writer.write_table(numbered)
                read += table.num_rows
            for row in bad:
                connection.execute(
                    "INSERT INTO refused_rows VALUES (?, 'wrong_column_count', ?, ?, NULL, ?)",
                    [view.name, relative, row.number - 1, str(row.text)[:2000]],
                )
            check_rows(data, file, path, read + len(bad))
            if bad:
                view.refused["wrong_column_count"] = view.refused.get("wrong_column_count", 0) + len(bad)
        if writer is None:
            schema = pa.schema([(name, pa.string()) for name in [*columns, "_file"]] + [("_row", pa.int64())])
            writer = pq.ParquetWriter(staged, schema)
    finally:
        if writer is not None:
            writer.close()
    return f"SELECT * FROM {parquet([staged])}"


def _checked_view(connection: duckdb.DuckDBPyConnection, file: File, source: Source, view: View, scan: str) -> View:
    """Creates the view a SELECT sees: declared columns typed, rows that fail the file's own checks left out."""
    name, raw = view.name, quoted(view.name + "__raw")
    connection.execute(f"CREATE VIEW {raw} AS {scan}")
    types = column_types(connection, raw)
    for column in (*file.types, *file.required, *file.words, *file.null_values_of, *file.typical):
        if column not in types:
            raise DataError(f"{next(iter(view.fingerprints))}: there is no column '{column}' (files.{name})")
    view.rows = row_count(connection, raw) + view.refused.get("wrong_column_count", 0)
    tests: list[tuple[str, str]] = []
    selected: list[str] = []
    first: list[str] = []
    for column, source_type in types.items():
        value = _without_null_marks(quoted(column), file.null_values_of.get(column, ()))
        if column in file.required:
            tests.append((f"missing:{column}", f"{value} IS NULL"))
        checks, result = _checked_value(column, value, source_type, file, source, first)
        tests += checks
        selected.append(f"{result} AS {quoted(column)}")
    cases = " ".join(f"WHEN {test} THEN {literal(reason)}" for reason, test in tests)
    typed_view = quoted(name + "__typed")
    reason = f"CASE {cases} END" if cases else "CAST(NULL AS VARCHAR)"
    named = f"(SELECT {', '.join(['*', *first])} FROM {raw})" if first else raw
    connection.execute(f"CREATE VIEW {typed_view} AS SELECT {', '.join(selected)}, {reason} AS _reason FROM {named}")
    own = " ".join(f"WHEN _reason IS NULL AND ({test}) THEN {literal(code)}" for code, test in file.reject.items())
    verdict = f"CASE {own} ELSE _reason END" if own else "_reason"
    try:
        if tests or file.reject:
            connection.execute(
                f"INSERT INTO refused_rows SELECT {literal(name)}, {verdict}, _file, _row, NULL, "
                f"CAST(to_json(t) AS VARCHAR) FROM {typed_view} t WHERE ({verdict}) IS NOT NULL"
            )
        connection.execute(
            f"CREATE VIEW {quoted(name)} AS SELECT * EXCLUDE (_reason) FROM {typed_view} WHERE ({verdict}) IS NULL"
        )
    except duckdb.Error as error:
        raise ConfigurationError(f"files.{name}: {str(error).splitlines()[0]}") from None
    counted = connection.execute(
        "SELECT reason, count(*) FROM refused_rows WHERE owner = ? GROUP BY ALL", [name]
    ).fetchall()
    view.refused = {str(code): int(count) for code, count in counted}
    _check_medians(connection, name, file)
    return view


def _without_null_marks(value: str, marks: tuple[str, ...]) -> str:
    """Returns SQL of a value that is NULL where it is one of the texts that mean "missing"."""
    if not marks:
        return value
    return f"CASE WHEN trim(CAST({value} AS VARCHAR)) NOT IN ({literals(marks)}) THEN {value} END"


def _checked_value(
    column: str, value: str, source_type: str, file: File, source: Source, first: list[str]
) -> tuple[list[tuple[str, str]], str]:
    """Returns the checks of one column, reason and SQL, and the SQL of what the view shows of it.

    What must have a name before goes to `first`.
    """
    if column in file.words:
        words = " ".join(f"WHEN {literal(word)} THEN {literal(ours)}" for word, ours in file.words[column].items())
        ours = f"CASE trim(CAST({value} AS VARCHAR)) {words} END"
        return [(f"unknown_word:{column}", f"{value} IS NOT NULL AND ({ours}) IS NULL")], ours
    kind = file.types.get(column)
    if kind is None:
        return [], value
    if kind == "identifier":
        text, wrong = f"CAST({value} AS VARCHAR)", quoted(f"_damage {column}")
        first.append(f"{damage_sql(text)} AS {wrong}")
        return [(f"{why}:{column}", f"{wrong} = {literal(why)}") for why in DAMAGES], identifier_sql(text)
    target = Column(column, Kind(kind))
    name = value
    if needed := named_first(value, source_type, target):
        name = quoted(f"_written {column}")
        first.append(f"{needed} AS {name}")
    typed = converted(name, source_type, target, unit="", scale=0, zone=source.operator.time_zone)
    # a view shows local times, as an untyped column does; landing turns them into UTC once, and only once.
    local = local_time(name, source_type, source.operator.time_zone)
    shown = f"date_trunc('second', {local})" if target.kind is Kind.INSTANT else typed
    if is_lossless(source_type, target.kind):
        return [], shown
    return [(f"{BAD_VALUE[target.kind]}:{column}", f"{value} IS NOT NULL AND ({typed}) IS NULL")], shown


def _check_medians(connection: duckdb.DuckDBPyConnection, name: str, file: File) -> None:
    """Raises DataError for the first file whose values are far from typical: its unit is not the declared one."""
    for column, (low, high) in file.typical.items():
        value = f"TRY_CAST({quoted(column)} AS DOUBLE)"
        found = connection.execute(
            f"SELECT _file, median({value}) AS middle FROM {quoted(name)} WHERE {value} > 0 GROUP BY ALL "
            f"HAVING count(*) >= {FEW} AND (middle < ? OR middle > ?) ORDER BY _file LIMIT 1",
            [low, high],
        ).fetchone()
        if found:
            raise DataError(
                f"{found[0]}: the median of '{column}' is {found[1]:,.10g}, not between {low:,.10g} and {high:,.10g}; "
                f"its unit has changed (files.{name}.typical)",
                remedy="deliver the file again, or correct the mapping",
            )
