"""What the outreach operations take and give."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, Field

from features.kit.language import Locale
from serving.api.types import Body, Day, Place


class NewList(Body):
    """Which list to draw; the day is the portraits' day unless given."""

    as_of: Day | None = None
    capacity: int | None = Field(default=None, ge=1, le=1_000_000, strict=True)
    locale: Locale = "zh"
    province: Place | None = None
    city: Place | None = None


class ListOut(BaseModel):
    """One list; `summary` counts who was held back, by code. Effects of actions are assumed until measured."""

    list_id: str
    as_of: date
    status: str
    locale: str
    lines: int
    created_at: datetime
    released_at: datetime | None
    summary: dict[str, Any]


class ListsAnswer(BaseModel):
    """Lists, newest first."""

    items: list[ListOut]
    next_cursor: str | None


class LinesAnswer(BaseModel):
    """A page of a list's lines in their order: column -> cell, numbers masked."""

    items: list[dict[str, Any]]
    next_cursor: str | None


REQUEST_EXAMPLE = {"as_of": "2026-06-01", "capacity": 500, "locale": "zh"}
LIST_EXAMPLE = {
    "list_id": "L260601-01", "as_of": "2026-06-01", "status": "released", "locale": "zh", "lines": 500,
    "created_at": "2026-06-01T01:30:00Z", "released_at": "2026-06-01T01:30:04Z",
    "summary": {"new": 470, "carried": 30, "suppressed": {"consent_missing": 812, "control_group": 61}},
}  # fmt: skip
LISTS_EXAMPLE = {"items": [LIST_EXAMPLE], "next_cursor": None}
LINES_EXAMPLE = {
    "items": [{"line_id": "7KQ2-M9XF5", "number": "138****1234", "city": "Nanjing", "action": "账单说明"}],
    "next_cursor": "WzFd",
}
