"""Tables of an operator's PostgreSQL as views like those of files: the same text, the same checks, in flat memory.

A server-side COPY streams each table as text through the driver into Arrow batches and scratch Parquet, so a mapping
over tables lands what a mapping over CSV files of the same rows lands. All tables come from one read-only snapshot.

With a watermark only rows beyond the last load are read, and again those of the overlap before it; what was known
already vanishes at landing. What has been read up to where is part of the names in the manifest:
`bss.t_bill updated_at <= 2026-06-01 06:00:00`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.feeds.files.csv_files import refuse_twins
from features.feeds.mapping.layout import Table
from features.feeds.mapping.sources import Source, parse_duration
from features.kit.errors import ConfigurationError, DataError, NotReadyError
from features.kit.sql import literal, parquet, quoted
from features.kit.terminal.spelling import did_you_mean

_BLOCK_BYTES = 4 << 20
_CONNECT_SECONDS = 10
_LOCK_SECONDS = 10
_TEXT = ("text", "character varying", "character", "name", "citext")
_WHOLE = ("smallint", "integer", "bigint")
_TIMES = ("date", "timestamp without time zone", "timestamp with time zone")
_FITTING: dict[str, tuple[str, ...]] = {
    "integer": (*_WHOLE, "numeric", *_TEXT),
    "number": (*_WHOLE, "numeric", "real", "double precision", "money", *_TEXT),
    "date": (*_TIMES, *_TEXT, "integer"),
    "instant": (*_TIMES, *_TEXT),
    "flag": ("boolean", "smallint", "integer", *_TEXT),
    "identifier": (*_TEXT, *_WHOLE, "uuid"),
}
"""Declared type -> types of the database that it can be read from."""


@dataclass(frozen=True)
class Part:
    """The rows of one table that a load reads."""

    name: str  # what stands for a file name: table, and up to where
    fingerprint: str  # of the content that a load would read; equal means nothing new
    where: str = ""  # the condition as SQL, or an empty string for the whole table


class Tables:
    """The tables of one mapping, read in one snapshot."""

    def __init__(self, source: Source, connection: Any) -> None:
        self._source = source
        self._connection = connection
        self._parts: dict[str, Part] = {}

    def plan(self, landed: Mapping[str, Iterable[Mapping[str, str]]]) -> dict[str, dict[str, str]]:
        """Returns view -> {part: fingerprint}, as if each part were a file.

        `landed` has by view, per feed that reads it, the parts and fingerprints landed under the present mapping.
        """
        for name, table in self._source.tables.items():
            types = self._columns(name, table)
            _check_columns(name, table, types)
            if table.watermark:
                low = _read_up_to(table, list(landed.get(name, ())))
                self._parts[name] = self._beyond(name, table, types[table.watermark], low)
            else:
                digest = self._row(name, f"SELECT {_DIGEST} FROM {_sql_name(table.table)} t")
                self._parts[name] = Part(table.table, f"{digest[0]}:{digest[1]}")
        return {name: {part.name: part.fingerprint} for name, part in self._parts.items()}

    def _columns(self, name: str, table: Table) -> dict[str, str]:
        """Returns column -> type of a table. Raises DataError if there is no such table, or no permission."""
        with self._asking(name):
            rows = self._connection.execute(
                "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = %s::regclass "
                "AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                [_sql_name(table.table)],
            ).fetchall()
        refuse_twins(f"tables.{name}", [str(column) for column, _ in rows])
        return {str(column): str(kind) for column, kind in rows}

    def _beyond(self, name: str, table: Table, kind: str, low: str) -> Part:
        column = f"t.{quoted(table.watermark)}"
        local = f"(now() AT TIME ZONE {literal(self._source.operator.time_zone)})"
        now = "now()" if kind == "timestamp with time zone" else f"{local}::{kind}"
        top = self._row(name, f"SELECT least(max({column}), {now})::text FROM {_sql_name(table.table)} t")[0]
        if top is None:
            return Part(f"{table.table} {table.watermark} <= -", "empty", "true")
        overlap = f"interval '{int(parse_duration(table.overlap).total_seconds())} seconds'"
        recent = f"({column} > {literal(top)}::{kind} - {overlap} OR {column} IS NULL)"
        digest = self._row(name, f"SELECT {_DIGEST} FROM {_sql_name(table.table)} t WHERE {recent}")
        where = f"({column} > {literal(low)}::{kind} - {overlap} OR {column} IS NULL)" if low else ""
        return Part(f"{table.table} {table.watermark} <= {top}", f"{digest[0]}:{digest[1]}", where)

    def part(self, view: str) -> Part:
        """Returns what the planned load reads of a view."""
        return self._parts[view]

    def stage(self, view: str, folder: Path) -> str:
        """Writes a view's rows to scratch Parquet and returns the SQL that scans them.

        Raises:
            DataError: If the server breaks off.
        """
        import numpy as np
        import pyarrow as pa
        import pyarrow.parquet as pq

        table, part = self._source.tables[view], self._parts[view]
        names = list(self._columns(view, table))
        chosen = ", ".join(quoted(column) for column in names)
        where = f" WHERE {part.where}" if part.where else ""
        query = f"COPY (SELECT {chosen} FROM {_sql_name(table.table)} t{where}) TO STDOUT (FORMAT csv)"
        path = folder / f"{view}.parquet"
        schema = pa.schema([(column, pa.string()) for column in [*names, "_file"]] + [("_row", pa.int64())])
        rows = 0
        with pq.ParquetWriter(path, schema, compression="lz4") as writer, self._asking(view):
            for batch in self._batches(query, names, table):
                file = pa.repeat(part.name, batch.num_rows)
                numbers = pa.array(np.arange(rows + 1, rows + batch.num_rows + 1))
                columns = [batch.column(column) for column in names]
                writer.write_table(pa.Table.from_arrays([*columns, file, numbers], schema=schema))
                rows += batch.num_rows
        return f"SELECT * FROM {parquet([path])}"

    def _batches(self, query: str, names: list[str], table: Table) -> Iterator[Any]:
        """Yields Arrow tables of text. A COPY sends whole rows, so each block is parsed by itself, on this thread."""
        import pyarrow as pa
        import pyarrow.csv as pc

        parse = pc.ParseOptions(newlines_in_values=True)
        convert = pc.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=True,
            null_values=list(table.null_values),
        )
        with self._connection.cursor() as cursor, cursor.copy(query) as copy:
            for block in _blocks(copy):
                read = pc.ReadOptions(use_threads=False, column_names=names, block_size=len(block))
                rows = pc.read_csv(
                    pa.BufferReader(block), read_options=read, parse_options=parse, convert_options=convert
                )
                yield rows.combine_chunks()

    def _row(self, name: str, query: str) -> tuple[Any, ...]:
        with self._asking(name):
            row: tuple[Any, ...] = self._connection.execute(query).fetchone()
        return row

    @contextmanager
    def _asking(self, name: str) -> Iterator[None]:
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            table = self._source.tables[name].table
            if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
                raise DataError(
                    f"tables.{name}: the database has no table '{table}'", remedy="check its schema and spelling"
                ) from None
            if isinstance(error, psycopg.errors.InsufficientPrivilege):
                raise DataError(
                    f"tables.{name}: no permission to read '{table}'", remedy=f"GRANT SELECT ON {table} TO the user"
                ) from None
            raise DataError(f"tables.{name}: '{table}': {_first_line(error)}", remedy="try again") from None


_DIGEST = "count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)"


def _blocks(copy: Iterable[Any]) -> Iterator[bytes]:
    """Yields the messages of a COPY, which are whole rows, joined to blocks."""
    block = bytearray()
    for message in copy:
        block += message
        if len(block) >= _BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


@contextmanager
def open_tables(source: Source) -> Iterator[Tables | None]:
    """Yields the tables of a mapping in one read-only snapshot, or None if it has none.

    Raises:
        ConfigurationError: If the address is not in the environment, or the driver is not installed.
        NotReadyError: If the server does not answer; the password is in no message.
    """
    if source.database is None:
        yield None
        return
    try:
        import psycopg
    except ImportError:
        raise ConfigurationError(
            "database: the driver is not installed", remedy="install the extra `postgres`"
        ) from None
    variable = source.database.url_env
    url = os.environ.get(variable, "")
    if not url:
        raise ConfigurationError(
            f"database.url_env: the environment variable {variable} is not set",
            remedy=f"export {variable}=postgresql://user:password@host:5432/name",
        )
    try:
        connection = psycopg.connect(url, connect_timeout=_CONNECT_SECONDS, application_name="customer-insight")
    except psycopg.ProgrammingError:
        raise ConfigurationError(
            f"database: ${variable} is not an address", remedy="write postgresql://user:password@host:5432/name"
        ) from None
    except psycopg.Error as error:
        raise NotReadyError(f"database (${variable}): {_first_line(error)}", remedy="is the server there?") from None
    with connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        for setting in ("datestyle = 'ISO, YMD'", "timezone = 'UTC'", f"lock_timeout = '{_LOCK_SECONDS}s'"):
            connection.execute(f"SET {setting}")
        yield Tables(source, connection)


def _sql_name(table: str) -> str:
    return ".".join(quoted(part) for part in table.split("."))


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return re.sub(r"//[^@\s/]*@", "//***@", lines[0]) if lines else type(error).__name__


def _read_up_to(table: Table, landed: list[Mapping[str, str]]) -> str:
    """Returns up to where every feed has read a table, or an empty string if one has not begun."""
    begin = f"{table.table} {table.watermark} <= "
    tops = [max((name.removeprefix(begin) for name in files if name.startswith(begin)), default="") for files in landed]
    lowest = min(tops, default="")
    return "" if lowest == "-" else lowest


def _check_columns(name: str, table: Table, types: dict[str, str]) -> None:
    """Raises DataError naming the first declared column that the table lacks, or whose type does not fit."""
    declared = (*table.types, *table.required, *table.words, *table.null_values_of, *table.typical)
    for column in (*declared, *([table.watermark] if table.watermark else [])):
        if column not in types:
            hint = did_you_mean(column, types)
            raise DataError(f"tables.{name}: '{table.table}' has no column '{column}'{hint}")
    for column, kind in table.types.items():
        if types[column] not in _FITTING[kind]:
            raise DataError(
                f"tables.{name}.types.{column}: a {types[column]} of '{table.table}' is no {kind}",
                remedy="correct the type, or the column",
            )
    if table.watermark and types[table.watermark] not in _TIMES:
        raise DataError(
            f"tables.{name}.watermark: '{table.watermark}' of '{table.table}' is a {types[table.watermark]}; a "
            "watermark is a date or a timestamp",
            remedy="name the column that says when a row was last changed",
        )
