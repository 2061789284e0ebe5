"""Writes a feed's months: staged rows merged with what had landed, one immutable Parquet file a month."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb

from features.feeds.conversion import one_form
from features.feeds.files.staging import open_scratch
from features.feeds.landed.manifest import FORM, LandedFeed, Part
from features.feeds.landed.shape import Shape, event_id_sql
from features.feeds.landing.free_text import free_text_columns, keep_texts, texts_name
from features.feeds.landing.typing_rows import EARLIEST, staged_name
from features.feeds.landing.versions import CONFLICT, merge, select_incoming, within_month
from features.feeds.schema import Column, Feed, Grain, Kind
from features.feeds.times import to_local
from features.kit.errors import DataError
from features.kit.files import atomic_path
from features.kit.home import Home
from features.kit.runs import hit
from features.kit.sql import column_types, literal, parquet, quoted, row_count, timestamp
from features.kit.values.identifiers import identifier_sql

SMALL_ROWS = 400_000
"""Up to so many staged rows all months are merged at once; above, memory stays flat month by month."""


@dataclass(frozen=True)
class Outcome:
    """What writing one feed did: its active parts, incoming rows known already, and rows in conflict."""

    parts: tuple[Part, ...]
    repeated: int
    conflicts: int


class Writer:
    """Writes parts from the scratch database of one landing."""

    def __init__(self, home: Home, folder: Path, *, threads: int) -> None:
        self.home = home
        self.texts: dict[str, Part] = {}  # what people wrote, by its name in the manifest; the caller gives the earlier
        self.connection = open_scratch(folder, threads=threads)

    def close(self) -> None:
        """Closes the scratch database."""
        self.connection.close()

    def write_feed(
        self,
        shape: Shape,
        before: LandedFeed | None,
        arrived_at: datetime,
        signature: str,
        *,
        keeps_confirmations: bool = False,
    ) -> Outcome:
        """Merges `staged__<feed>` into the parts that landed before and returns the parts that are active now.

        A big feed whose event time decides the month goes month by month; everything else is merged in one go.
        """
        parts = {part.month: part for part in before.parts} if before else {}
        columns = tuple(shape.feed.by_name)
        staged = staged_name(shape.feed)
        self._keep_texts(shape.feed, [f"(FROM {staged} WHERE _reason IS NULL)"], before)
        if before is not None and (before.columns != columns or before.form < FORM):
            parts = self._in_present_form(shape, before, f"{signature}|{arrived_at}|columns")
            before = before.model_copy(update={"columns": columns, "form": FORM})
        available = set(column_types(self.connection, staged))
        decides_month = shape.feed.grain is not Grain.INSTANT or (
            "event_id" not in available and "event_at" in shape.feed.key
        )
        months = self._staged_months(shape)
        if not months:
            return Outcome(tuple(parts[month] for month in sorted(parts)), 0, 0)
        units = (
            [[month] for month in months]
            if decides_month and row_count(self.connection, staged) > SMALL_ROWS
            else [months]
        )
        repeated = conflicts = 0
        for unit in units:
            where = self._within(shape, unit if decides_month else None)
            for delivery, rows in self._deliveries(shape, available, arrived_at, where, list(parts.values())):
                name = f"{signature}|{arrived_at}|{delivery}"
                old = [part for month, part in parts.items() if month in unit or not decides_month]
                if not old and not self._has_repeats(shape, available, where):
                    for month in unit:
                        parts[month] = self._write_month(shape, month, None, name, delivery, f"({rows})")
                    continue
                self.connection.execute(f"CREATE OR REPLACE TEMP TABLE incoming AS {rows}")
                self._load_landed(shape, before, old)
                merged = merge(
                    self.connection,
                    shape,
                    removed_at=delivery or arrived_at,
                    moves_conflicts=delivery is None,
                    # a delivery between two landed ones may still come, unless deliveries replace each other.
                    keeps_confirmations=keeps_confirmations or not (delivery is None or shape.replaces_period),
                )
                repeated += merged.repeated
                conflicts += merged.conflicts
                self._note_conflicts(shape)
                for month in merged.changed_months:
                    parts[month] = self._write_month(shape, month, parts.get(month), name, delivery, "merged")
        return Outcome(tuple(parts[month] for month in sorted(parts)), repeated, conflicts)

    def _in_present_form(self, shape: Shape, before: LandedFeed, name: str) -> dict[str, Part]:
        """Rewrites the parts that have other columns than the contract now, or identifiers of an earlier form."""
        parts: dict[str, Part] = {}
        is_whole = before.columns == tuple(shape.feed.by_name)
        for part in before.parts:
            self._load_landed(shape, before, [part])
            if is_whole and not row_count(self.connection, f"landed WHERE {_of_another_form(shape)}"):
                parts[part.month] = part
                continue
            self.connection.execute(f"CREATE OR REPLACE TEMP TABLE landed AS {_in_form(shape)}")
            parts[part.month] = self._write_month(shape, part.month, part, name, None, "landed")
        return parts

    def _keep_texts(self, feed: Feed, relations: list[str], before: LandedFeed | None) -> None:
        """Puts what people wrote into the personal folder, with what an earlier release left in the months."""
        if not free_text_columns(feed):
            return
        name = texts_name(feed.name)
        old = [parquet([self.home.root / part.path]) for part in before.parts] if before and before.form < FORM else []
        kept = keep_texts(
            self.connection, self.home, self.write_parquet, feed, [*relations, *old], self.texts.get(name)
        )
        self.texts |= {name: kept} if kept else {}

    def _has_repeats(self, shape: Shape, available: set[str], where: str) -> bool:
        key = "event_id" if "event_id" in available else ", ".join(shape.feed.key)
        found = self.connection.execute(
            f"SELECT 1 FROM {staged_name(shape.feed)} WHERE {where} GROUP BY {key} HAVING count(*) > 1 LIMIT 1"
        ).fetchone()
        return found is not None

    def _within(self, shape: Shape, months: Sequence[str] | None) -> str:
        if months is None or not shape.by_month or len(months) > 1:
            return "_reason IS NULL"
        return f"_reason IS NULL AND {within_month(months[0], shape.zone)}"

    def _staged_months(self, shape: Shape) -> list[str]:
        rows = self.connection.execute(
            f"SELECT DISTINCT {shape.month_of('event_at')} AS month "
            f"FROM (SELECT DISTINCT event_at FROM {staged_name(shape.feed)} WHERE _reason IS NULL) ORDER BY month"
        ).fetchall()
        return [str(row[0]) for row in rows]

    def _deliveries(
        self, shape: Shape, available: set[str], arrived_at: datetime, where: str, old: list[Part]
    ) -> list[tuple[datetime | None, str]]:
        """Returns one SELECT of incoming rows per delivery, oldest first.

        Where a delivery replaces its period, one that is not newer than what landed of the period is left out: what it
        would replace has been replaced. Elsewhere a delivery that comes late only adds what was known then.
        """
        staged = staged_name(shape.feed)
        if "delivered_at" not in available:
            return [(None, select_incoming(shape, staged, available, arrived_at, where))]
        landed = {part.month: part.delivered_at for part in old if part.delivered_at and shape.replaces_period}
        of_month = shape.month_of("event_at")
        late = "".join(
            f" AND NOT ({of_month} = {literal(month)} AND delivered_at <= TIMESTAMP {literal(moment)})"
            for month, moment in landed.items()
        )
        moments = self.connection.execute(
            f"SELECT DISTINCT delivered_at FROM {staged} WHERE {where}{late} ORDER BY delivered_at"
        ).fetchall()
        where += f"{late} AND delivered_at = "
        return [
            (moment, select_incoming(shape, staged, available, arrived_at, f"{where}{timestamp(moment)}"))
            for (moment,) in moments
        ]

    def _load_landed(self, shape: Shape, before: LandedFeed | None, old: list[Part]) -> None:
        if not old:
            self.connection.execute(
                f"CREATE OR REPLACE TEMP TABLE landed AS SELECT {shape.columns} FROM incoming WHERE false"
            )
            return
        known = set(before.columns) if before else set(shape.stored)
        absent = [column for column in shape.feed.columns if before and column.name not in known]
        extra = "".join(f", CAST(NULL AS {column.sql_type}) AS {quoted(column.name)}" for column in absent)
        scan = parquet(self.home.root / part.path for part in old)
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE landed AS SELECT {shape.columns} FROM (SELECT *{extra} FROM {scan})"
        )

    def _note_conflicts(self, shape: Shape) -> None:
        key = ", ".join(f"CAST({name} AS VARCHAR)" for name in shape.feed.key)
        owner, reason = literal(shape.feed.name), literal(f"{CONFLICT}:{','.join(shape.feed.key)}")
        self.connection.execute(
            f"INSERT INTO refused_rows SELECT {owner}, {reason}, "
            f"_file, _row, concat_ws('|', {key}), CAST(to_json(c) AS VARCHAR) FROM conflicts c"
        )

    def _write_month(
        self, shape: Shape, month: str, before: Part | None, name: str, delivery: datetime | None, relation: str
    ) -> Part:
        where = within_month(month, shape.zone) if shape.by_month else "true"
        select = f"SELECT {shape.columns} FROM {relation} WHERE {where} ORDER BY {shape.order}"
        path = self._part_path(shape, month, f"{before.path if before else ''}|{name}")
        rows = self.write_parquet(path, select)
        hit("ingest.after_part")
        newest = [before.delivered_at] if before and before.delivered_at else []
        newest += [f"{delivery:%Y-%m-%d %H:%M:%S}"] if delivery else []
        delivered_at = max(newest, default=None)
        return Part(path=path.relative_to(self.home.root).as_posix(), month=month, rows=rows, delivered_at=delivered_at)

    def _part_path(self, shape: Shape, month: str, inputs: str) -> Path:
        digest = hashlib.sha256(f"{shape.feed.name}|{month}|{inputs}".encode()).hexdigest()[:12]
        folder = self.home.personal if shape.feed.personal else self.home.feeds
        return folder / shape.feed.name / f"{month}-{digest}.parquet"

    def write_parquet(self, path: Path, select: str) -> int:
        """Writes a SELECT to Parquet as `copy_to_parquet` does, and returns its rows."""
        return copy_to_parquet(self.connection, self.home, path, select)

    def staged_days(self, shape: Shape) -> tuple[date | None, date | None]:
        """Returns the first and the last civil day of the accepted staged rows; what holds since ever begins no day."""
        low, high = to_local("min(event_at)", shape.zone), to_local("max(event_at)", shape.zone)
        row = self.connection.execute(
            f"SELECT CAST({low} AS DATE), CAST({high} AS DATE) FROM {staged_name(shape.feed)} "
            f"WHERE _reason IS NULL AND event_at >= {timestamp(EARLIEST)}"
        ).fetchone()
        return (row[0], row[1]) if row else (None, None)


def _forms(shape: Shape) -> dict[str, str]:
    """Returns column -> SQL of its present form, for identifiers and what people wrote."""
    columns = [Column(name, Kind.TEXT) for name in shape.owner] + list(shape.feed.columns)
    forms = {column.name: one_form(quoted(column.name), column) for column in columns if column.is_identifier}
    return forms | dict.fromkeys(free_text_columns(shape.feed), "CAST(NULL AS VARCHAR)")


def _of_another_form(shape: Shape) -> str:
    changed = [f"{quoted(name)} IS DISTINCT FROM {form}" for name, form in _forms(shape).items()]
    return " OR ".join(changed) or "false"


def _in_form(shape: Shape) -> str:
    """Returns SQL for the table `landed` in the present form; an event id made from its key is made again."""
    replaced = ", ".join(f"{form} AS {quoted(name)}" for name, form in _forms(shape).items())
    rows = f"SELECT * REPLACE ({replaced}) FROM landed" if replaced else "SELECT * FROM landed"
    if not shape.stores_event_id or not replaced:
        return rows
    by_key = event_id_sql(shape.feed)
    made = rows.replace("SELECT *", f"SELECT event_id = {by_key} AS _is_made, *", 1)
    again = f"CASE WHEN _is_made THEN {by_key} ELSE {identifier_sql('event_id')} END AS event_id"
    return f"SELECT * EXCLUDE (_is_made) REPLACE ({again}) FROM ({made})"


def copy_to_parquet(connection: duckdb.DuckDBPyConnection, home: Home, path: Path, select: str) -> int:
    """Writes a SELECT to Parquet, whole or not at all, and returns its rows; personal files are private."""
    import pyarrow.parquet as pq

    private = home.personal in path.parents
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if private else 0o755)
    with atomic_path(path) as temporary:
        if private:
            temporary.touch(mode=0o600)
        copied = connection.execute(
            f"COPY ({select}) TO {literal(temporary)} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)"
        ).fetchone()
        rows = int(copied[0]) if copied else 0
        if pq.read_metadata(temporary).num_rows != rows:
            raise DataError(f"{path}: fewer rows on disk than written", remedy="check the disk, then run again")
    return rows
