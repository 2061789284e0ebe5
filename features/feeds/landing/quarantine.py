"""Refused rows: counted by reason, kept with file and row (or key), and too many of them stop the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import duckdb

from features.feeds.contracts import FEEDS
from features.feeds.files.staging import View
from features.feeds.landing.parts import copy_to_parquet
from features.feeds.landing.typing_rows import staged_name
from features.feeds.landing.versions import CONFLICT
from features.feeds.mapping.sources import Source
from features.feeds.schema import Feed
from features.feeds.times import to_local
from features.kit.errors import DataError, QuarantineLimitError
from features.kit.home import Home
from features.kit.sql import column_types, literal, literals, quoted
from features.kit.values.identifiers import CUT_BY_A_DOUBLE, IN_SCIENTIFIC_NOTATION

MANY_BAD = 10
"""So many refused rows of one file are more than a slip, if they are also beyond the limit's share."""


def collect_refused(connection: duckdb.DuckDBPyConnection, feed: Feed) -> None:
    """Moves a feed's refused staged rows into the table `refused_rows`."""
    table = staged_name(feed)
    columns = column_types(connection, table)
    key = ", ".join(f"CAST({name} AS VARCHAR)" for name in feed.key if name in columns)
    key = f"CASE WHEN _row IS NULL THEN concat_ws('|', {key}) END" if key else "NULL"
    connection.execute(
        f"INSERT INTO refused_rows SELECT {literal(feed.name)}, _reason, _file, _row, {key}, _content "
        f"FROM {table} WHERE _reason IS NOT NULL"
    )


def reasons_of(connection: duckdb.DuckDBPyConnection, *owners: str) -> dict[str, int]:
    """Returns reason -> refused rows of feeds and views together, most frequent first."""
    rows = connection.execute(
        f"SELECT reason, count(*) AS n FROM refused_rows WHERE owner IN ({literals(owners)}) "
        "GROUP BY ALL ORDER BY n DESC, reason"
    ).fetchall()
    return {str(reason): int(count) for reason, count in rows}


def _refused_rows(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Returns feed or view -> refused rows, of those that have any."""
    return dict(connection.execute("SELECT owner, count(*) FROM refused_rows GROUP BY owner").fetchall())


def first_refused(connection: duckdb.DuckDBPyConnection, *owners: str) -> str:
    """Returns the first refused row of the most frequent reason in words, or an empty string."""
    rows = connection.execute(
        f"SELECT owner, reason, file, row_number, key FROM refused_rows WHERE owner IN ({literals(owners)}) ORDER BY "
        "count(*) OVER (PARTITION BY reason) DESC, reason, file, row_number, key, content LIMIT 1"
    ).fetchall()
    if not rows:
        return ""
    owner, reason, file, row, key = rows[0]
    return f"{reason} in {_place(owner, file, row, key)}"


def _place(owner: str, file: str, row: int | None, key: str | None) -> str:
    """Returns where a refused row stands, in words that hold nothing personal."""
    if row is not None:
        return f"{file} row {row}"
    is_personal = owner not in FEEDS or FEEDS[owner].personal
    return f"key {key}" if key and not is_personal else f"a row that {owner}.parquet in the quarantine folder holds"


def refused_by_period(
    connection: duckdb.DuckDBPyConnection, feed: Feed, views: Iterable[str], zone: str
) -> dict[str, dict[str, int]]:
    """Returns file -> month -> refused rows, for every file that gave rows to this landing ("" where none is known).

    A refused row without a usable event time counts in the month of most of its file's rows, else of the feed's.
    """
    table, month = staged_name(feed), f"strftime({to_local('event_at', zone)}, '%Y-%m')"
    owners = literals([feed.name, *views])
    files = connection.execute(f"SELECT DISTINCT coalesce(_file, '') FROM {table} ORDER BY ALL").fetchall()
    found: dict[str, dict[str, int]] = {str(file): {} for (file,) in files}
    if not connection.execute(f"SELECT 1 FROM refused_rows WHERE owner IN ({owners}) LIMIT 1").fetchone():
        return found
    usual = f"SELECT coalesce(_file, '') AS file, mode({month}) AS month FROM {table} GROUP BY ALL"
    conflict_at = to_local("TRY_CAST(content->>'event_at' AS TIMESTAMP)", zone)
    own = (
        f"SELECT coalesce(_file, '') AS file, {month} AS month FROM {table} WHERE _reason IS NOT NULL UNION ALL "
        f"SELECT coalesce(file, ''), strftime({conflict_at}, '%Y-%m') "
        f"FROM refused_rows WHERE owner = {literal(feed.name)} AND reason LIKE '{CONFLICT}%' UNION ALL "
        f"SELECT file, NULL FROM refused_rows WHERE owner IN ({owners}) AND owner <> {literal(feed.name)}"
    )
    rows = connection.execute(
        f"SELECT u.file, coalesce(o.month, u.month, (SELECT mode({month}) FROM {table})) AS month, count(o.file) "
        f"FROM ({usual}) u LEFT JOIN ({own}) o USING (file) GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    for file, period, count in rows:
        if count and period:
            found[str(file)][str(period)] = int(count)
    return found


def write_quarantine(connection: duckdb.DuckDBPyConnection, home: Home, owners: list[str]) -> None:
    """Writes each owner's refused rows to one file, in place of the earlier one.

    A refused row is as it was delivered, names and numbers and all, so all of them lie in the personal folder; what an
    earlier release left outside moves there.
    """
    for old in sorted((home.root / "quarantine").glob("*.parquet")):
        home.quarantine.mkdir(parents=True, exist_ok=True, mode=0o700)
        old.chmod(0o600)
        old.replace(home.quarantine / old.name)
    refused = _refused_rows(connection)
    for owner in owners:
        path = home.quarantine / f"{owner}.parquet"
        if owner not in refused:
            path.unlink(missing_ok=True)
            continue
        own = f"FROM refused_rows WHERE owner = {literal(owner)}"
        copy_to_parquet(connection, home, path, f"SELECT reason, file, row_number, key, content {own} ORDER BY ALL")


def check_limits(
    connection: duckdb.DuckDBPyConnection, source: Source, views: dict[str, View], reports: dict[str, Any]
) -> None:
    """Raises QuarantineLimitError for the first view, file or feed with too many bad rows; it names the first of them.

    An identifier that went through a spreadsheet stops the run whatever the limit: its digits are lost, and so are its
    rows.
    """
    lost = connection.execute(
        "SELECT owner, reason, file, row_number, key FROM refused_rows "
        "WHERE split_part(reason, ':', 1) IN (?, ?) ORDER BY ALL LIMIT 1",
        [IN_SCIENTIFIC_NOTATION, CUT_BY_A_DOUBLE],
    ).fetchone()
    if lost:
        owner, reason, *place = lost
        whole = "; if all of them truly end in zeros, put a letter before them in every SELECT"
        raise DataError(
            f"{owner}: {reason} in {_place(owner, *place)}; the digits of this identifier are lost",
            remedy="deliver identifiers as text, never through a spreadsheet; nothing was published"
            + (whole if reason.startswith(CUT_BY_A_DOUBLE) else ""),
        )
    for name, view in views.items():
        bad = sum(view.refused.values())
        _check(
            f"{'tables' if name in source.tables else 'files'}.{name}",
            bad,
            view.rows,
            source.views[name].max_quarantine_share,
            partial(first_refused, connection, name),
        )
        if bad:
            _check_each_file(connection, name, view, source.views[name].max_quarantine_share)
    refused = _refused_rows(connection)
    for name, report in reports.items():
        # what the files' own checks refused has its own limit above, also where a file is called like the feed
        of_files = sum(views[name].refused.values()) if name in views else 0
        bad = refused.get(name, 0) - of_files
        first = partial(first_refused, connection, name)
        _check(f"feed {name}", bad, report.accepted + bad, source.feeds[name].max_quarantine_share, first)


def _check_each_file(connection: duckdb.DuckDBPyConnection, name: str, view: View, limit: float) -> None:
    """Raises QuarantineLimitError for a file that is bad as a whole, however many good ones lie beside it.

    That is one with `MANY_BAD` refused rows beyond the limit's share, or half of its rows: a small month beside years
    of history would never reach the limit of all.
    """
    rows = connection.execute(
        "SELECT r.file, bad, bad_columns + coalesce(good, 0) AS rows, first FROM "
        "(SELECT file, count(*) AS bad, count(*) FILTER (reason = 'wrong_column_count') AS bad_columns, "
        "arg_min(reason || ' in ' || file || ' row ' || row_number, row_number) AS first "
        f"FROM refused_rows WHERE owner = ? AND reason IN ({literals(view.refused)}) AND file IS NOT NULL "
        "GROUP BY ALL) r "
        f"LEFT JOIN (SELECT _file AS file, count(*) AS good FROM {quoted(name + '__raw')} GROUP BY ALL) USING (file) "
        "ORDER BY r.file",
        [name],
    ).fetchall()
    for file, bad, total, first in rows:
        if bad >= MANY_BAD or 2 * bad >= total:
            _check(f"{file} (files.{name})", bad, total, limit, partial(str, first))


def _check(what: str, bad: int, total: int, limit: float, first: Callable[[], str]) -> None:
    if bad > limit * total:
        raise QuarantineLimitError(
            f"{what}: {bad} of {total} rows refused ({bad / total:.1%}, limit {limit:.1%}); mostly {first()}",
            remedy="correct the file or the mapping, or raise its `max_quarantine_share` if such rows are expected; "
            "nothing was published, the rows are in the quarantine folder",
        )
