"""The operational database: opened, migrated once under a lock, and written in short transactions.

SQLite in WAL mode inside the home by default, PostgreSQL by `INSIGHT_DATABASE_URL`. A writing transaction takes
SQLite's write lock at its start (BEGIN IMMEDIATE): a transaction that reads first and then writes could otherwise
fail with "database is locked" in spite of the busy timeout.

A command waits `BUSY_SECONDS` for other writers and tries again. A request waits `REQUEST_SECONDS` once (`in_request`),
and not at all where `MOST_WAITING` others have been waiting for a while: a held lock costs nobody else's thread.
"""

from __future__ import annotations

import fcntl
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError
from sqlalchemy.orm import Session

from features.kit.errors import ConfigurationError, InsightError, NotReadyError
from features.kit.home import Home
from serving.database.belonging import check_before_opening, check_belongs
from serving.settings import read_settings

HEAD = "0005"
"""The newest migration; a test holds it equal to what `migrations/versions/` says."""

BUSY_SECONDS = 30.0
"""How long a writer waits for others before it gives up; SQLite's waiting is not first come, first served."""
REQUEST_SECONDS = 2.0
"""How long a request waits for other writers before it is refused with 503."""

MOST_WAITING = 8
STUCK_SECONDS = 0.25
"""A request is refused at once where so many writing ones are under way and the first of them for so long."""

_in_request: ContextVar[bool] = ContextVar("in_request", default=False)
_writing_since: dict[object, float] = {}
_writing_lock = threading.Lock()
_ADVISORY_LOCK = 0x1A51647
_WRITES = "insight_writes"


def open_database(home: Home) -> Engine:
    """Returns the engine of the home's operational database, with every migration applied.

    Safe to call from any number of processes at once: one migrates, the others wait for it.

    Raises:
        ConfigurationError: If `INSIGHT_DATABASE_URL` is not a PostgreSQL address, or its driver is not installed.
        NotReadyError: If PostgreSQL does not answer.
        HomeError: If the database is not this home's ledger, or the home had one that is gone.
    """
    engine = engine_of(home)
    check_before_opening(home, engine.url)
    try:
        migrated(engine, home)
        check_belongs(home, engine)
    except OperationalError as error:
        where = engine.url.render_as_string(hide_password=True)
        raise NotReadyError(f"{where}: the database does not answer ({str(error.orig).splitlines()[0]})") from None
    except InsightError:
        engine.dispose()
        raise
    return engine


def engine_of(home: Home) -> Engine:
    """Returns the engine of the database that the environment names, which may not be this home's; nothing is opened.

    Raises:
        ConfigurationError: As `open_database`.
    """
    address = read_settings().database_url
    engine = _sqlite(home.operations) if address is None else _postgresql(address.get_secret_value())

    @event.listens_for(engine, "handle_error")
    def _name_it(context: ExceptionContext) -> None:
        if context.sqlalchemy_exception is not None:
            context.sqlalchemy_exception.add_note(engine.url.render_as_string(hide_password=True))

    return engine


def migrated(engine: Engine, home: Home) -> None:
    """Applies every migration that a database lacks, and makes the file of an own one."""
    if engine.dialect.name == "sqlite":
        home.root.mkdir(parents=True, exist_ok=True)
        home.operations.touch(mode=0o600, exist_ok=True)
    if _version(engine) != HEAD:
        _migrate(engine, home)


@contextmanager
def opened(home: Home) -> Iterator[Engine]:
    """Yields the engine of `open_database` and gives its connections back: a server has only so many."""
    engine = open_database(home)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """Yields a session in one writing transaction: committed on a clean exit, rolled back on an error.

    Raises:
        sqlalchemy.exc.OperationalError: If other writers kept the database for `BUSY_SECONDS`; nothing was done.
        NotReadyError: The same of a request.
    """
    options = engine.execution_options(**{_WRITES: True})
    with _place_to_wait(), _busy_is_told(), Session(options, expire_on_commit=False) as session, session.begin():
        session.connection()  # begins now, not at the first statement
        yield session


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """Yields a session that sees one consistent state and writes nothing; it waits for no writer of rows."""
    with _busy_is_told(), Session(engine, expire_on_commit=False) as session:
        yield session


@contextmanager
def in_request() -> Iterator[None]:
    """Makes the databases opened and the transactions begun inside wait as a request may."""
    token = _in_request.set(True)
    try:
        yield
    finally:
        _in_request.reset(token)


def busy_seconds() -> float:
    """Returns how long a transaction begun here waits for others."""
    return REQUEST_SECONDS if _in_request.get() else BUSY_SECONDS


def is_busy(error: OperationalError) -> bool:
    """Returns whether a statement failed because others kept the database for too long."""
    return any(words in str(error.orig) for words in ("locked", "lock timeout"))


@contextmanager
def _busy_is_told() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        if _in_request.get() and is_busy(error):
            raise _busy() from None
        raise


@contextmanager
def _place_to_wait() -> Iterator[None]:
    if not _in_request.get():
        yield
        return
    me, now = object(), time.monotonic()
    with _writing_lock:
        first = min(_writing_since.values(), default=now)
        if len(_writing_since) >= MOST_WAITING and now - first > STUCK_SECONDS:
            raise _busy()
        _writing_since[me] = now
    try:
        yield
    finally:
        with _writing_lock:
            del _writing_since[me]


def _busy() -> NotReadyError:
    return NotReadyError("the ledger is busy; nothing was written", remedy="send the same again")


def _sqlite(path: Path) -> Engine:
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(url, connect_args={"timeout": busy_seconds()}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver must not begin by itself; `_on_begin` does
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")  # an acknowledged opt-out survives a power cut

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(address: str) -> Engine:
    try:
        url = make_url(address)
        if url.get_backend_name() != "postgresql":
            raise ConfigurationError(
                f"INSIGHT_DATABASE_URL: '{url.drivername}' is not PostgreSQL",
                remedy="write it as postgresql://user@host/name, or unset it for SQLite",
            )
        options = {"connect_timeout": 3, "options": f"-c lock_timeout={int(busy_seconds() * 1000)} -c timezone=UTC"}
        return create_engine(
            url.set(drivername="postgresql+psycopg"), pool_pre_ping=True, connect_args=options, hide_parameters=True
        )
    except (ArgumentError, NoSuchModuleError):
        raise ConfigurationError("INSIGHT_DATABASE_URL: not a database address") from None
    except ModuleNotFoundError:
        raise ConfigurationError(
            "INSIGHT_DATABASE_URL: the PostgreSQL driver is not installed",
            remedy="install the extra `customer-insight[postgres]`",
        ) from None


def _version(engine: Engine) -> str | None:
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _migrate(engine: Engine, home: Home) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with _one_migrator(engine, home):
        if engine.dialect.name == "sqlite":
            with closing(sqlite3.connect(home.operations, timeout=BUSY_SECONDS)) as plain:
                plain.execute("PRAGMA journal_mode = WAL")  # stays with the file; not allowed in a transaction
        with engine.execution_options(**{_WRITES: True}).begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


@contextmanager
def _one_migrator(engine: Engine, home: Home) -> Iterator[None]:
    if engine.dialect.name == "sqlite":
        with (home.root / "operations.lock").open("a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        return
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _ADVISORY_LOCK})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _ADVISORY_LOCK})
