"""What every table of the operational database stands on: one metadata, named constraints, instants in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, DateTime, MetaData
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The base of every table; constraints have names so that migrations can speak of them."""

    metadata = MetaData(naming_convention=NAMES)


def insert_missing(to: Session | Connection, table: type[Base], rows: list[dict[str, Any]]) -> None:
    """Adds the rows whose key is not taken; another process may be adding the same."""
    name = (to.get_bind() if isinstance(to, Session) else to).dialect.name
    to.execute((postgresql if name == "postgresql" else sqlite).insert(table).on_conflict_do_nothing(), rows)


class Instant(TypeDecorator[datetime]):
    """An instant: aware UTC in Python, UTC without zone in every database. A naive value is refused."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Returns the UTC value without its zone. Raises ValueError for a naive one."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"an instant needs a time zone: {value!r}")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Returns the stored value as aware UTC."""
        return None if value is None else value.replace(tzinfo=UTC)
