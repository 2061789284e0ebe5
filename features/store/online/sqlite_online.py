"""The embedded online store: Feast's SQLite layout, read in one snapshot and written in bulk.

WAL gives every reader one snapshot of pointer and rows, whatever a publish does meanwhile. Event times are written as
UTC epoch seconds; a plain Feast client turns them into its own process's local time, this reader does not.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from functools import lru_cache
from pathlib import Path
from typing import Any

from features.erasure.rewriting import compact_sqlite
from features.kit.errors import DataError, NotReadyError
from features.kit.sql import quoted
from features.store.online.deadline import within
from features.store.online.feast_layout import (
    FACTS,
    FEATURE_LIST,
    FIELDS,
    VALUES,
    VIEWS,
    encode_text,
    entity_key,
    sqlite_table,
)
from features.store.online.pointer import Pointer
from features.store.online.rows import Block, Owner, StoredRow

_POINTER = """CREATE TABLE IF NOT EXISTS portrait_pointer (
    slot INTEGER PRIMARY KEY CHECK (slot = 1), view TEXT NOT NULL, as_of TEXT NOT NULL, identity TEXT NOT NULL,
    published_at TEXT NOT NULL, rows INTEGER NOT NULL, event_at TEXT NOT NULL, sequence INTEGER NOT NULL)"""
_OWNER = "CREATE TABLE IF NOT EXISTS home (slot INTEGER PRIMARY KEY CHECK (slot = 1), home_id TEXT, lives_at TEXT)"
_POINTER_COLUMNS = "view, as_of, identity, published_at, rows, event_at, sequence"
_TABLE = """CREATE TABLE {table} (entity_key BLOB, feature_name TEXT, value BLOB, value_text TEXT, vector_value BLOB,
    event_ts timestamp, created_ts timestamp, PRIMARY KEY(entity_key, feature_name))"""
_KEYS_PER_QUERY = 5_000
_STEPS_PER_CLOCK_LOOK = 5_000


class SqliteStore:
    """Reads and writes `<home>/store/online.db`; one instance may serve many threads."""

    is_local = True

    def __init__(self, path: Path, project: str, *, deadline_ms: int) -> None:
        self.path = path
        self._project = project
        self._deadline = deadline_ms / 1000
        self._idle: list[sqlite3.Connection] = []

    def pointer(self) -> Pointer | None:
        """Returns what is live, or None before the first publish. Raises NotReadyError past the deadline."""
        if not self.path.exists():
            return None
        with self._reading() as database:
            return _pointer_of(database)

    def read(self, ids: Sequence[str]) -> tuple[Pointer | None, list[StoredRow | None]]:
        """Returns the pointer and the live view's rows in the order of `ids`, all of one snapshot.

        Raises:
            NotReadyError: If the store does not answer within its deadline.
        """
        if not self.path.exists():
            return None, []
        with self._reading() as database:
            pointer = _pointer_of(database)
            return pointer, [] if pointer is None else self._rows(database, pointer.view, ids)

    def read_view(self, view: str, ids: Sequence[str]) -> list[StoredRow | None]:
        """Returns a view's rows, live or not, in the order of `ids`."""
        with self._reading() as database:
            return self._rows(database, view, ids)

    def clear(self, view: str) -> None:
        """Empties a view that no reader uses."""
        table = sqlite_table(self._project, view)
        with self._writing() as database:
            database.execute(f'DROP TABLE IF EXISTS "{table}"')
            database.execute(_TABLE.format(table=quoted(table)))

    def fill(self, view: str, block: Block) -> None:
        """Adds one block of customers to a view. Raises DataError if a customer is in it already."""
        insert = f'INSERT INTO "{sqlite_table(self._project, view)}" VALUES (?, ?, ?, NULL, NULL, ?, ?)'
        at, identity = block.event_epoch, block.identity_value()
        vectors = block.vector_values()
        size = len(vectors) // max(1, len(block.ids))
        rows = (  # in key order, so that the index only grows at its end
            (key, name, value, at, at)
            for place, (one, facts) in enumerate(zip(block.ids, block.facts, strict=True))
            for key, vector in ((entity_key(one), vectors[place * size : (place + 1) * size]),)
            for name, value in ((FACTS, encode_text(facts)), (FEATURE_LIST, identity), (VALUES, vector))
        )
        try:
            with self._writing() as database:
                database.executemany(insert, rows)
        except sqlite3.IntegrityError as error:
            raise DataError(f"portraits: a customer stands twice ({error})", remedy="build them again") from None

    def count(self, view: str, event_epoch: int) -> tuple[int, int]:
        """Returns how many customers of a view are whole and of that event time, and how many it holds at all."""
        query = (
            "SELECT coalesce(sum(whole), 0), count(*) FROM (SELECT count(*) = 3 AND min(event_ts) = max(event_ts) AND "
            f"min(event_ts) = ? AS whole FROM {quoted(sqlite_table(self._project, view))} GROUP BY entity_key)"
        )
        with self._writing() as database:
            whole, total = database.execute(query, (event_epoch,)).fetchone()
        return int(whole), int(total)

    def switch(self, pointer: Pointer) -> None:
        """Makes a view live: one row, one transaction."""
        view, as_of, identity, published_at, rows, event_at, sequence = astuple(pointer)
        with self._writing() as database:
            database.execute("PRAGMA synchronous = FULL")
            database.execute(_POINTER)
            database.execute(
                f"INSERT OR REPLACE INTO portrait_pointer (slot, {_POINTER_COLUMNS}) VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
                (view, as_of.isoformat(), identity, published_at.isoformat(), rows, event_at.isoformat(), sequence),
            )

    def owner(self) -> Owner | None:
        """Returns the home that the store belongs to, or None before its first publish."""
        if not self.path.exists():
            return None
        with self._reading() as database:
            known = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'home'").fetchone()
            row = database.execute("SELECT home_id, lives_at FROM home").fetchone() if known else None
            return None if row is None else Owner(*row)

    def take(self, owner: Owner, *, over: bool) -> None:
        """Gives the store to a home; one that has an owner keeps it unless `over`."""
        with self._writing() as database:
            database.execute(_OWNER)
            database.execute(f"INSERT OR {'REPLACE' if over else 'IGNORE'} INTO home VALUES (1, ?, ?)", owner)

    def forget(self, ids: Sequence[str]) -> int:
        """Removes customers from both views; returns how many were live."""
        if not self.path.exists():
            return 0
        keys = [(entity_key(customer_id),) for customer_id in ids]
        with self._writing() as database:
            database.execute("PRAGMA secure_delete = ON")
            pointer = _pointer_of(database)
            live = 0
            for view in VIEWS:
                table = sqlite_table(self._project, view)
                if not database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
                    continue
                gone = database.executemany(f'DELETE FROM "{table}" WHERE entity_key = ?', keys).rowcount
                live += gone // len(FIELDS) if pointer is not None and view == pointer.view else 0
            if live:
                database.execute("UPDATE portrait_pointer SET rows = rows - ?", (live,))
        return live

    def rewrite(self) -> bool:
        """Rewrites the file without its free pages. Raises NotReadyError if another process keeps the file busy."""
        if self.path.exists():
            compact_sqlite(self.path)
        return True

    def close(self) -> None:
        """Closes every idle connection."""
        while self._idle:
            self._idle.pop().close()

    def _rows(self, database: sqlite3.Connection, view: str, ids: Sequence[str]) -> list[StoredRow | None]:
        keys = [entity_key(customer_id) for customer_id in ids]
        found: dict[bytes, dict[str, tuple[bytes, int]]] = {}
        table = sqlite_table(self._project, view)
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            part = keys[start : start + _KEYS_PER_QUERY]
            marks = ",".join("?" * len(part))
            for key, name, value, at in database.execute(
                f'SELECT entity_key, feature_name, value, event_ts FROM "{table}" WHERE entity_key IN ({marks})', part
            ):
                found.setdefault(key, {})[name] = (value, at)
        return [_row(found.get(key)) for key in keys]

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Lends a connection inside one read transaction; interrupts it at the deadline."""
        with within(self._deadline) as ends, self._reading_until(ends) as database:
            yield database

    @contextmanager
    def _reading_until(self, ends: float) -> Iterator[sqlite3.Connection]:
        try:
            database = self._idle.pop()
        except IndexError:
            database = self._open_reader()
        database.set_progress_handler(lambda: int(time.monotonic() > ends), _STEPS_PER_CLOCK_LOOK)
        try:
            database.execute("BEGIN")
            yield database
            database.execute("COMMIT")
        except sqlite3.Error as error:
            database.close()
            raise self._silent(error) from None
        except BaseException:
            database.close()
            raise
        self._idle.append(database)

    def _open_reader(self) -> sqlite3.Connection:
        try:
            return sqlite3.connect(
                f"file:{self.path}?mode=ro", uri=True, timeout=self._deadline, isolation_level=None,
                check_same_thread=False,
            )  # fmt: skip
        except sqlite3.Error as error:
            raise self._silent(error) from None

    def _silent(self, error: sqlite3.Error) -> NotReadyError:
        return NotReadyError(f"{self.path}: no answer within {self._deadline * 1000:.0f} ms ({error})")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self.path, timeout=30)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            with database:
                yield database
        finally:
            database.close()


def _row(fields: dict[str, tuple[bytes, int]] | None) -> StoredRow | None:
    if fields is None:
        return None
    times = {at for _, at in fields.values()}
    values = [fields[name][0] if name in fields else None for name in FIELDS]
    return StoredRow(times.pop() if len(times) == 1 else -1, *values)


def _pointer_of(database: sqlite3.Connection) -> Pointer | None:
    try:
        row = database.execute(f"SELECT {_POINTER_COLUMNS} FROM portrait_pointer").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        return None
    return None if row is None else _pointer_in(row)


@lru_cache(maxsize=2)  # every request reads the same row until the next publish
def _pointer_in(row: tuple[Any, ...]) -> Pointer:
    return Pointer.of(dict(zip(_POINTER_COLUMNS.split(", "), row, strict=True)))
