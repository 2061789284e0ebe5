"""One feed's SELECT becomes one typed, checked staged table; every bad row gets exactly one reason.

Staged columns: the owner (`customer_id`, or `number` still to be resolved), `event_id` where the source gives one,
`event_at`, `known_at`, the contract's columns, and `_reason`, `_file`, `_row`, `_content` for refused rows.
Reasons are `code:column`, such as `not_an_amount:total`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb

from features.feeds.conversion import BAD_VALUE, converted, is_lossless, named_first
from features.feeds.landing.far_times import meant, refusals, unknown
from features.feeds.mapping.sources import FeedMapping, Source
from features.feeds.schema import Column, Feed, Grain, Kind, When
from features.feeds.times import to_local, to_utc
from features.kit.clock import instant_of
from features.kit.errors import ConfigurationError, DataError
from features.kit.sql import column_types, literal, literals, quoted, timestamp
from features.kit.terminal.spelling import did_you_mean
from features.kit.values.identifiers import CUT_BY_A_DOUBLE, NO_IDENTIFIER, damage_sql, rounded

EARLIEST = datetime(1970, 1, 2)  # noqa: DTZ001 - naive means UTC in every feed
"""No operator's record is older; an earlier instant is a broken value."""

_EXTRA = ("_file", "_row", "delivered_at")


@dataclass(frozen=True)
class Load:
    """What one landing knows besides the rows."""

    arrived_at: datetime  # when this delivery arrived, naive UTC
    is_first: bool  # whether the feed has no rows yet: then past months are known by their lag alone


def staged_name(feed: Feed) -> str:
    """Returns the name of a feed's staged table."""
    return quoted(f"staged__{feed.name}")


def is_staged(connection: duckdb.DuckDBPyConnection, feed: str, column: str = "customer_id") -> bool:
    """Tells whether a feed has a staged table, with a given column in it."""
    try:
        return column in column_types(connection, quoted(f"staged__{feed}"))
    except duckdb.CatalogException:
        return False


def stage_feed(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    feed: Feed,
    mapping: FeedMapping,
    load: Load,
    types: dict[str, str],
    where: str = "",
) -> None:
    """Creates `staged__<feed>` from the mapping's SELECT, whose columns have these types (`select_types`).

    `where` is a condition on the SELECT's `_file`, to leave out files that landed before.

    Raises:
        ConfigurationError: If the SELECT is wrong, or its columns do not fit the contract.
        DataError: If a value breaks the SELECT itself.
    """
    select = _rows_of(mapping) + (f" WHERE {where}" if where else "")
    columns = _target_columns(source, feed, mapping, types)
    _create(connection, feed, select, _Plan(source, feed, mapping, load, types, columns))
    for column in (column.name for column in columns if column.is_identifier):
        _refuse_rounded(connection, staged_name(feed), column)


def _rows_of(mapping: FeedMapping) -> str:
    return f"SELECT * FROM ({mapping.select.rstrip().rstrip(';')})"


def select_types(connection: duckdb.DuckDBPyConnection, feed: Feed, mapping: FeedMapping) -> dict[str, str]:
    """Returns the columns of a mapping's SELECT with their DuckDB types. Raises ConfigurationError."""
    try:
        types = column_types(connection, _rows_of(mapping))
    except duckdb.Error as error:
        raise ConfigurationError(f"feeds.{feed.name}.select: {_one_line(error)}") from None
    known = [*feed.by_name, "event_id", "event_at", "known_at", *_EXTRA]
    known += [] if feed.reference else ["number" if mapping.keyed_by == "number" else "customer_id"]
    for name in types:
        if name not in known:
            hint = did_you_mean(name, known)
            raise ConfigurationError(f"feeds.{feed.name}.select: the feed has no column '{name}'{hint}")
    return types


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(("LINE", "^"))]
    return " ".join(kept[:3])


def _target_columns(source: Source, feed: Feed, mapping: FeedMapping, types: dict[str, str]) -> tuple[Column, ...]:
    """Returns every column to convert: owner, ids, times, then the contract's. Raises ConfigurationError."""
    name = f"feeds.{feed.name}.select"
    owner: tuple[Column, ...] = ()
    if not feed.reference:
        owner = (Column("number" if mapping.keyed_by == "number" else "customer_id", Kind.TEXT, required=True),)
    for column in (*owner, *feed.columns):
        if column.required and column.name not in types:
            raise ConfigurationError(f"{name}: there is no column '{column.name}', which the feed needs")
    if feed.grain is not Grain.INSTANT and "event_id" in types:
        raise ConfigurationError(f"{name}: a {feed.grain} is known by its key; leave out event_id")
    if mapping.known_after is not None and "known_at" in types:
        raise ConfigurationError(f"{name}: both a column known_at and known_after are given; keep one")
    if mapping.known_after is None and "known_at" not in types and source.snapshot_at is None:
        raise ConfigurationError(f"feeds.{feed.name}: say how rows become known: `known_after`, or a column known_at")
    if default_event(feed, types) is None and source.snapshot_at is None:
        raise ConfigurationError(f"{name}: there is no column 'event_at'")
    times = tuple(Column(n, Kind.INSTANT, required=True) for n in ("event_at", "known_at", "delivered_at"))
    ids = (Column("event_id", Kind.TEXT, required=True),)
    dated_by_period = {"event_at"} if feed.period else set()
    found = (c for c in (*owner, *ids, *times, *feed.columns) if c.name in types and c.name not in dated_by_period)
    columns = tuple(dict.fromkeys(found))
    for column in columns:
        if column.is_identifier and types[column.name] in ("DOUBLE", "FLOAT"):
            raise ConfigurationError(
                f"{name}: '{column.name}' arrives as {types[column.name]}, which does not hold 18 digits",
                remedy="deliver identifiers as text or whole numbers",
            )
    return columns


def default_event(feed: Feed, types: dict[str, str]) -> str | None:
    """Returns the column that dates a row's event: `event_at`, else the period, the order or the start of validity."""
    if feed.period:
        return feed.period
    return next((name for name in ("event_at", "ordered_at", "valid_from") if name in types), None)


@dataclass(frozen=True)
class _Plan:
    source: Source
    feed: Feed
    mapping: FeedMapping
    load: Load
    types: dict[str, str]
    columns: tuple[Column, ...]

    @property
    def zone(self) -> str:
        return self.source.operator.time_zone

    @property
    def snapshot(self) -> str:
        if self.source.snapshot_at is None:
            return "CAST(NULL AS TIMESTAMP)"
        local = self.source.snapshot_at
        return timestamp(instant_of(local.date(), self.zone, local.time()))

    @property
    def latest(self) -> datetime:
        """Returns the naive UTC instant after which nothing of this delivery can have happened."""
        until = self.source.delivered_until
        arrived = self.load.arrived_at
        return arrived if until is None else max(arrived, instant_of(until, self.zone).replace(tzinfo=None))

    @property
    def named_first(self) -> dict[str, str]:
        """Returns column -> SQL of what must have a name before its conversion."""
        needed = {c.name: named_first(quoted(c.name), self.types[c.name], c) for c in self.columns}
        return {name: sql for name, sql in needed.items() if sql}

    def typed(self, select: str) -> str:
        """Returns SQL of the SELECT's rows with each value's conversion beside it, under the name `_typed`."""
        written = self.named_first
        first = ["*", *(f"{sql} AS {quoted(f'_written {name}')}" for name, sql in written.items())]
        values = ["r.*"]
        for column in self.columns:
            name = column.name
            value = converted(
                f"r.{quoted(f'_written {name}' if name in written else name)}",
                self.types[name],
                column,
                unit=self.mapping.units.get(name, ""),
                scale=self.source.operator.currency.scale,
                zone=self.zone,
            )
            values.append(f"{value} AS {_typed(column)}")
        return f"SELECT {', '.join(values)} FROM (SELECT {', '.join(first)} FROM ({select})) r"

    def event(self) -> str:
        """Returns SQL for the event's instant over the typed columns."""
        name = default_event(self.feed, self.types)
        if name is None:
            return self.snapshot
        kind = Kind.INSTANT if name == "event_at" else self.feed.by_name[name].kind
        return (
            f"t.{quoted(name)}" if kind is Kind.INSTANT else to_utc(f"CAST(t.{quoted(name)} AS TIMESTAMP)", self.zone)
        )

    def lag_clock(self, local: str, *, span: str = "") -> str:
        """Returns SQL for the local time at which the delivery lag of a local time, or of the span from it on, ends."""
        delay, at = self.mapping.delay, self.mapping.clock_time
        if delay is None:
            return "CAST(NULL AS TIMESTAMP)"
        ends = f"({local}{f' + INTERVAL {span}' if span else ''} + INTERVAL {int(delay.total_seconds())} SECONDS)"
        if at is None:
            return ends
        same_day = f"(date_trunc('day', {ends}) + INTERVAL {at.hour * 60 + at.minute} MINUTES)"
        return f"(CASE WHEN {same_day} >= {ends} THEN {same_day} ELSE {same_day} + INTERVAL 1 DAY END)"

    def lagged(self, event: str, clock: str) -> str:
        """Returns SQL for the instant at which an event's delivery lag ends; `clock` names that local time."""
        delay = self.mapping.delay
        if delay is None:
            return self.snapshot
        if self.mapping.clock_time is None and not self.feed.period:
            return f"({event} + INTERVAL {int(delay.total_seconds())} SECONDS)"
        return to_utc(clock, self.zone)

    def known(self, lagged: str, local: str) -> str:
        """Returns SQL for the knowledge time: the column; else the lag, for late rows not before the arrival.

        Every row of the first load is on time; later a row is if it comes soon enough after its event's month.
        """
        if "known_at" in self.types:
            return "t.known_at"
        if "delivered_at" in self.types:
            return f"greatest({lagged}, t.delivered_at)"
        if self.load.is_first or self.source.snapshot_at is not None:
            return lagged
        arrived = timestamp(self.load.arrived_at)
        on_time = self.source.deliveries.on_time_days
        if on_time is None:
            return f"greatest({lagged}, {arrived})"
        months = 1 + self.source.deliveries.of(self.feed.name).months_late
        grace = f"INTERVAL {months} MONTHS + INTERVAL {on_time} DAYS"
        until = to_utc(f"(date_trunc('month', {local}) + {grace})", self.zone)
        return f"CASE WHEN {arrived} < {until} THEN {lagged} ELSE greatest({lagged}, {arrived}) END"


def _create(connection: duckdb.DuckDBPyConnection, feed: Feed, select: str, plan: _Plan) -> None:
    typed = [f"r.{_typed(column)} AS {quoted(column.name)}" for column in plan.columns]
    bad_value = [
        f"WHEN r.{quoted(column.name)} IS NOT NULL AND r.{_typed(column)} IS NULL{_blank_is_missing(plan, column)} "
        f"THEN {literal(f'{BAD_VALUE[column.kind]}:{column.name}')}"
        for column in plan.columns
        if not is_lossless(plan.types[column.name], column.kind)
    ]
    missing = [
        f"WHEN t.{quoted(column.name)} IS NULL THEN {literal(f'missing:{column.name}')}"
        for column in plan.columns
        if column.required or column.name in feed.key
    ]
    ids = [column for column in plan.columns if column.is_identifier and plan.types[column.name] == "VARCHAR"]
    for column in ids:
        why = damage_sql(f"r.{quoted(column.name)}")
        why = why if column.required else f"nullif({why}, '{NO_IDENTIFIER}')"
        bad_value.append(f"WHEN {why} IS NOT NULL THEN {why} || {literal(f':{column.name}')}")
    rewritten = " OR ".join(f"r.{quoted(column.name)} <> r.{_typed(column)}" for column in ids) or "false"
    file = "r._file" if "_file" in plan.types else "CAST(NULL AS VARCHAR)"
    row = "CAST(r._row AS BIGINT)" if "_row" in plan.types else "CAST(NULL AS BIGINT)"
    raw_row = ", ".join(f"{quoted(column.name)} := CAST(r.{quoted(column.name)} AS VARCHAR)" for column in plan.columns)
    inner = (
        f"SELECT {', '.join(typed)}, {_case(bad_value)} AS _bad, {file} AS _file, {row} AS _row, "
        f"coalesce({rewritten}, false) AS _rewritten, "
        f"CASE WHEN _bad IS NOT NULL THEN CAST(to_json(struct_pack({raw_row})) AS VARCHAR) END AS _raw "
        f"FROM ({plan.typed(select)}) r"
    )
    if feed.period:
        # One conversion per day of the calendar instead of one per row.
        span = "1 DAY" if feed.grain is Grain.DAY else "1 MONTH"
        local = "CAST(day AS TIMESTAMP)"
        days = f"SELECT CAST(d AS DATE) AS day FROM range({_CALENDAR}, INTERVAL 1 DAY) s(d)"
        clocks = f"SELECT day, {local} AS local, {plan.lag_clock(local, span=span)} AS clock FROM ({days})"
        calendar = (
            f"SELECT *, {to_utc('local', plan.zone)} AS begins, {plan.lagged('begins', 'clock')} AS lag FROM ({clocks})"
        )
        rows = f"({inner}) t LEFT JOIN ({calendar}) c ON c.day = t.{quoted(feed.period)}"
        event, lagged, local = "c.begins", "c.lag", "c.local"
    else:  # each step has a name, because conversions repeat what they convert
        rows = f"(SELECT t.*, {plan.event()} AS _at FROM ({inner}) t) t"
        rows = f"(SELECT t.*, {to_local('t._at', plan.zone)} AS _local FROM {rows}) t"
        rows = f"(SELECT t.*, {plan.lag_clock('t._local')} AS _clock FROM {rows}) t"
        event, lagged, local = "t._at", plan.lagged("t._at", "t._clock"), "t._local"
    means = {c.name: meant(c, f"t.{quoted(c.name)}", plan.latest, plan.zone) for c in plan.columns}
    names = [quoted(c.name) for c in plan.columns if c.name not in _TIMES]
    names += ["delivered_at"] if "delivered_at" in plan.types else []
    own = ", ".join(f"{means[c.name]} AS {quoted(c.name)}" for c in plan.columns if c.name not in _TIMES[:2])
    stand_ins = [
        f"WHEN {test} THEN {literal(column.name)}"
        for column in plan.columns
        if (test := unknown(column, f"t.{quoted(column.name)}", plan.latest, plan.zone))
    ]
    reasons = ["WHEN _bad IS NOT NULL THEN _bad", *missing, *_range_tests(plan), *_time_tests(plan)]
    dated = (
        f"SELECT {own}, {event} AS event_at, {plan.known(lagged, local)} AS known_at, _bad, _file, _row, _raw, "
        f"_rewritten, {_case(stand_ins)} AS _unknown"
    )
    packed = ", ".join(f"{name} := t.{name}" for name in [*names, "event_at", "known_at"])
    content = f"coalesce(_raw, CAST(to_json(struct_pack({packed})) AS VARCHAR))"
    _run(
        connection,
        feed,
        f"CREATE TABLE {staged_name(feed)} AS SELECT {', '.join(names)}, event_at, known_at, _reason, _file, _row, "
        f"_rewritten, _unknown, CASE WHEN _reason IS NOT NULL THEN {content} END "
        f"AS _content FROM (SELECT t.*, {_case(reasons)} AS _reason FROM ({dated} FROM {rows}) t) t",
    )


def _refuse_rounded(connection: duckdb.DuckDBPyConnection, table: str, column: str) -> None:
    """Refuses the long numbers that end in zeros, if so many of a column do that a spreadsheet has cut them."""
    long = f"FROM {table} WHERE _reason IS NULL AND strlen({column}) > 15"
    found = connection.execute(f"SELECT 2 * count(*) FILTER (ends_with({column}, '0')) > count(*) {long}").fetchone()
    if not (found and found[0]):
        return
    values = connection.execute(f"SELECT DISTINCT {column} {long} LIMIT 100000").fetchall()
    if rounded(str(value) for (value,) in values):
        connection.execute(
            f"UPDATE {table} SET _reason = {literal(f'{CUT_BY_A_DOUBLE}:{column}')}, "
            f"_content = CAST(to_json(struct_pack({column} := {column}, event_at := event_at)) AS VARCHAR) "
            f"WHERE _reason IS NULL AND regexp_full_match({column}, '[0-9]{{15}}0+')"
        )


def _typed(column: Column) -> str:
    """Returns the name of a value's conversion, which each check needs and none repeats."""
    return quoted(f"_typed {column.name}")


_TIMES = ("event_at", "known_at", "delivered_at")
_CALENDAR = "TIMESTAMP '1990-01-01', TIMESTAMP '2050-01-01'"


def _blank_is_missing(plan: _Plan, column: Column) -> str:
    """Returns the exception for text of blanks only, which is a missing value and no bad one."""
    if plan.types[column.name] != "VARCHAR":
        return ""
    return f" AND trim(r.{quoted(column.name)}) <> ''"


def _case(whens: list[str]) -> str:
    return f"CASE {' '.join(whens)} END" if whens else "CAST(NULL AS VARCHAR)"


def _range_tests(plan: _Plan) -> list[str]:
    tests: list[str] = []
    for column in plan.columns:
        value = f"t.{quoted(column.name)}"
        if column.low is not None:
            tests.append(f"WHEN {value} < {column.low:.15g} THEN {literal(f'below_{column.low:.15g}:{column.name}')}")
        if column.high is not None:
            tests.append(f"WHEN {value} > {column.high:.15g} THEN {literal(f'above_{column.high:.15g}:{column.name}')}")
        if column.allowed:
            tests.append(
                f"WHEN {value} NOT IN ({literals(column.allowed)}) THEN {literal(f'not_allowed:{column.name}')}"
            )
        if column.name != plan.feed.period:
            tests += refusals(column, value, plan.latest, plan.zone)
    if plan.feed.grain is Grain.MONTH:
        period = f"t.{quoted(plan.feed.period)}"
        tests.append(f"WHEN day({period}) <> 1 THEN {literal(f'not_the_first_of_a_month:{plan.feed.period}')}")
    return tests


def _time_tests(plan: _Plan) -> list[str]:
    tests = []
    dated_by = plan.feed.by_name.get(default_event(plan.feed, plan.types) or "")
    is_always = dated_by is not None and dated_by.when is When.START  # since 1900-01-01
    if plan.feed.period:
        tests.append(f"WHEN event_at IS NULL THEN {literal(f'not_between_1990_and_2050:{plan.feed.period}')}")
    tests += [
        "WHEN event_at IS NULL THEN 'missing:event_at'",
        "WHEN known_at IS NULL THEN 'missing:known_at'",
    ]
    if not plan.feed.reference and not is_always:
        tests.append(f"WHEN event_at < {timestamp(EARLIEST)} THEN 'too_early:event_at'")
    if not plan.feed.reference and not plan.feed.personal:
        # One day of grace: clocks differ, and a day's or a month's row is dated at its start.
        tests.append(f"WHEN event_at > {timestamp(plan.latest + timedelta(days=1))} THEN 'in_the_future:event_at'")
    if "known_at" in plan.types and not plan.feed.reference:
        tests.append("WHEN known_at < event_at THEN 'known_before_event:known_at'")
    return tests


def _run(connection: duckdb.DuckDBPyConnection, feed: Feed, statement: str) -> None:
    try:
        connection.execute(statement)
    except (duckdb.ConversionException, duckdb.InvalidInputException, duckdb.OutOfRangeException) as error:
        raise DataError(
            f"feeds.{feed.name}: {_one_line(error)}",
            remedy="use TRY_CAST in the SELECT, or `types` under files, so that the row is refused and named",
        ) from None
    except duckdb.Error as error:
        raise ConfigurationError(f"feeds.{feed.name}.select: {_one_line(error)}") from None
