"""The table that says which home a database belongs to: one row."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from serving.database.base import Base, Instant


class HomeRow(Base):
    """The home of this database, the database's own id, and the folder where the home of a server's database lies."""

    __tablename__ = "home"

    slot: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    home_id: Mapped[str] = mapped_column(String(16))
    database_id: Mapped[str] = mapped_column(String(16))
    lives_at: Mapped[str] = mapped_column(Text, default="")
    since: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = (CheckConstraint("slot = 1", name="one_row"),)
