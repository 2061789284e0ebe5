"""A ledger of every earlier version comes up to the newest one with everything that was in it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, MetaData, Table, create_engine, select

from features.kit.home import Home
from features.kit.homes.identity import LEDGER, remembered
from serving.database import session as database_session
from serving.database.session import HEAD, opened, reading
from serving.database.tables_outreach import AttemptRow, ContactRow, OutreachListRow

CONFIG = Config()
CONFIG.set_main_option("script_location", str(Path(database_session.__file__).parent / "migrations"))
EARLIER = sorted(one.revision for one in ScriptDirectory.from_config(CONFIG).walk_revisions() if one.revision != HEAD)
NOT_OF_A_LEDGER = {"alembic_version", "home"}
VALUES: dict[type, Any] = {
    str: "L260601-01", int: 1, bool: True, bytes: b"{}", date: date(2026, 6, 1), datetime: datetime(2026, 6, 1, 2, 30),  # noqa: DTZ001 - as the database keeps it
}  # fmt: skip


def ledger_of(path: Path, revision: str) -> Engine:
    """Returns a database file as a release of that revision made it, with one row in every table of its own."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        command.upgrade(_config(connection), revision)
        for table in tables(engine).sorted_tables:
            if table.name not in NOT_OF_A_LEDGER:
                connection.execute(table.insert(), {column.name: _value(column) for column in table.columns})
    return engine


def _config(connection: Any) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(CONFIG.get_main_option("script_location")))
    return config


def _value(column: Any) -> Any:
    value = VALUES[column.type.python_type]
    return value[: column.type.length] if isinstance(value, str) else value


def tables(engine: Engine) -> MetaData:
    """Returns the tables as they are now."""
    metadata = MetaData()
    metadata.reflect(engine)
    return metadata


def content(engine: Engine, table: Table) -> list[dict[str, Any]]:
    """Returns the rows of a table, with the columns that it had."""
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


@pytest.mark.parametrize("revision", EARLIER)
def test_an_earlier_ledger_loses_nothing(tmp_path: Path, revision: str) -> None:
    """Every row of every table is as before, what is new is empty, and the home remembers the ledger as its own."""
    old = ledger_of(tmp_path / "operations.db", revision)
    before = {table: content(old, table) for table in tables(old).sorted_tables if table.name not in NOT_OF_A_LEDGER}
    assert (len(before) >= 11, {len(rows) for rows in before.values()}) == (True, {1})
    with opened(Home(tmp_path)) as engine:
        assert {table: content(engine, table) for table in before} == before
        with reading(engine) as session:
            contact, attempt = session.scalars(select(ContactRow)).one(), session.scalars(select(AttemptRow)).one()
            assert session.scalars(select(OutreachListRow.list_id)).all() == ["L260601-01"]
        assert contact.at == datetime(2026, 6, 1, 2, 30, tzinfo=UTC)
        if revision == "0001":
            assert {contact.held_reason, contact.dropped_at, attempt.held_reason, attempt.dropped_at} == {None}
    known = remembered(Home(tmp_path), LEDGER)
    assert known is not None
    assert known.counts == dict.fromkeys(("lists", "lines", "attempts", "contacts", "refusals"), 1)


def test_every_earlier_version_is_tried() -> None:
    """The list of versions is that of the migrations, the first among them."""
    assert [*EARLIER, HEAD] == [f"{number:04d}" for number in range(1, int(HEAD) + 1)]
