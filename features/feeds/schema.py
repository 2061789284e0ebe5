"""What a feed's contract is made of: its columns, its grain, and what sets it apart from other feeds.

Rules that hold for some feeds only ask these fields; no other module lists feeds by name for such a rule.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What a column holds; each kind has one DuckDB type (`SQL_TYPES`)."""

    TEXT = "text"
    CATEGORY = "category"
    INTEGER = "integer"
    MONEY = "money"
    NUMBER = "number"
    FLAG = "flag"
    INSTANT = "instant"
    DATE = "date"


SQL_TYPES: dict[Kind, str] = {
    Kind.TEXT: "VARCHAR",
    Kind.CATEGORY: "VARCHAR",
    Kind.INTEGER: "BIGINT",
    Kind.MONEY: "BIGINT",
    Kind.NUMBER: "DOUBLE",
    Kind.FLAG: "BOOLEAN",
    Kind.INSTANT: "TIMESTAMP",
    Kind.DATE: "DATE",
}


class Grain(StrEnum):
    """What span of time one row stands for; `known_after` counts from its end."""

    INSTANT = "instant"
    DAY = "day"
    MONTH = "month"


class When(StrEnum):
    """What a date or an instant can mean, so what one far off stands for (`features.feeds.landing.far_times`)."""

    ANY = "any"
    PAST = "past"  # it has happened: one in the future is refused
    PAST_OR_UNKNOWN = "past_or_unknown"  # it has happened: one in the future is unknown
    START = "start"  # since when something holds: 1900-01-01 is "always"
    END = "end"  # until when something holds: infinity and 9999-12-31 are "no end", which is NULL


@dataclass(frozen=True)
class Column:
    """One column of a feed."""

    name: str  # the column's name, one meaning everywhere
    kind: Kind
    unit: str = ""  # seconds, KB, li, minutes ...; empty where there is none
    required: bool = False  # a row without it goes to quarantine
    low: float | None = None  # the smallest allowed value, if any
    high: float | None = None  # the largest allowed value, if any
    allowed: tuple[str, ...] = ()  # the closed vocabulary, if there is one
    is_free_text: bool = False  # what people wrote: it lies in the personal folder, and is empty everywhere else
    when: When = When.ANY  # what a date or an instant means

    @property
    def sql_type(self) -> str:
        """Returns the DuckDB type."""
        return SQL_TYPES[self.kind]

    @property
    def is_time(self) -> bool:
        """Tells whether the column is a date or an instant."""
        return self.kind in (Kind.DATE, Kind.INSTANT)

    @property
    def is_identifier(self) -> bool:
        """Tells whether the text names something, so that it has one form (`features.kit.values.identifiers`)."""
        named = self.name.endswith("_id") or self.name in ("number", "order_reference")
        return named and self.kind in (Kind.TEXT, Kind.CATEGORY)


@dataclass(frozen=True)
class Link:
    """The view of a personal feed that holds neither numbers nor names; it has validity instead of an event time."""

    name: str
    columns: tuple[Column, ...]  # its columns between `customer_id` and the times of knowledge

    @property
    def types(self) -> dict[str, str]:
        """Returns column -> DuckDB type of the whole view."""
        own = {column.name: column.sql_type for column in self.columns}
        return {"customer_id": "VARCHAR", **own, "known_at": "TIMESTAMP", "superseded_at": "TIMESTAMP"}


@dataclass(frozen=True)
class Feed:
    """The contract of one feed.

    Attributes:
        row: What one row is, in one phrase.
        key: The columns that identify an event; its hash is the event_id if the operator has none.
        columns: The columns besides the common ones.
        grain: What span one row stands for.
        period: The date column that names the period, for day and month rows.
        personal: Lives in the personal-data folder only.
        reference: A catalogue row without customer_id.
        is_state: Rows say how things stand: they may be years older than the first delivered day, the first month
            holds the whole stock, and a quiet month is no loss.
        is_timeless: Rows say who there is: a delivery may have no times, and all rows lie in one file.
        has_own_rows: It also holds rows of this system, which a re-delivered period must not remove.
        is_own: This system fills it as much as the operator, so its absence says nothing about a delivery.
        stays_with_line: Rows describe a subscription rather than its holder: they stay where it changed hands.
        holder_columns: Columns that speak of the holder all the same; blanked where the row stays.
        link: The view made of a personal feed that holds neither numbers nor names.
    """

    name: str
    row: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    grain: Grain = Grain.INSTANT
    period: str = ""
    personal: bool = False
    reference: bool = False
    is_state: bool = False
    is_timeless: bool = False
    has_own_rows: bool = False
    is_own: bool = False
    stays_with_line: bool = False
    holder_columns: tuple[str, ...] = ()
    link: Link | None = None
    by_name: dict[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {column.name: column for column in self.columns})
