"""The types of what a request brings: ids, codes, days, places, pages; every operation takes them from here."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import Header, Path, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, StringConstraints

from features.kit.values.identifiers import identifier


def in_one_form(form: Callable[[str], str] = identifier) -> BeforeValidator:
    """Returns a validator that brings an identifier into its one form; nothing of another type, and no blank one.

    One that lost its digits stays as it came: it is nobody's, and the answer says so item by item.
    """
    return BeforeValidator(lambda value: form(value) or value if isinstance(value, str) else value)


CustomerId = Annotated[
    str,
    in_one_form(),
    StringConstraints(strict=True, min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$"),
]
"""An operator's id: text. A JSON number is refused, because 18 digits do not survive a double."""

CustomerInPath = Annotated[
    CustomerId, Path(description="The operator's id of the subscription.", examples=["880000001000000000"])
]

Code = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=60, pattern=r"^[a-z0-9_.]+$")]
Name = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
Reference = Annotated[Name, in_one_form()]
"""The id of a contact, an order or a ticket."""
Place = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=100)]


def _iso_date(value: Any) -> Any:
    if value is not None and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(value)):
        raise ValueError("write the day as 2026-06-01")
    return value


_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def _day_within_range(value: date) -> date:
    if not _FIRST.date() <= value < _LAST.date():  # the days around it are counted with, and years 1 and 9999 have none
        raise ValueError("write a day between 1970 and 2100")
    return value


Day = Annotated[date, BeforeValidator(_iso_date), AfterValidator(_day_within_range)]
"""A civil date in the one form 2026-06-01, within the range of instants; a bare number is no date."""


def _within_range(value: datetime) -> datetime:
    try:
        is_within = _FIRST <= value < _LAST  # years 1 and 9999 with an offset leave the calendar
    except OverflowError:
        is_within = False
    if not is_within:
        raise ValueError("write an instant between 1970 and 2100")
    return value


def _iso_instant(value: Any) -> Any:
    if value is not None and not isinstance(value, datetime) and not _ISO_INSTANT.fullmatch(str(value)):
        raise ValueError("write an instant as 2026-06-01T14:30:00+08:00")
    return value


_ISO_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)? ?(Z|z|[+-]\d{2}(:?\d{2})?)", re.ASCII)

Instant = Annotated[AwareDatetime, BeforeValidator(_iso_instant), AfterValidator(_within_range)]
"""A moment with its offset, within the range that feeds may hold; a bare number is no moment, as in a feed."""

Cursor = Annotated[str | None, Query(max_length=500, description="`next_cursor` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="Rows of a page.")]
IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[!-~]+$",
        description="Any text of your own, new for each new request: a repeat gets the same answer and does nothing.",
    ),
]


class Body(BaseModel):
    """The base of every request body: closed and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)
