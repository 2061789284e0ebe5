"""What `POST /v1/scores` takes and gives."""

from __future__ import annotations

from datetime import date
from typing import Self

from pydantic import BaseModel, Field, model_validator

from features.kit.language import Locale
from serving.api.answers import ErrorOut
from serving.api.customer.score import TargetOut
from serving.api.types import Body, Code, CustomerId, Instant
from serving.outreach.refusals import Channel
from serving.outreach.settings import Purpose

MOST_IDS = 1000
MOST_IDS_WITH_REASONS = 200


class ScoresRequest(Body):
    """Whom to score on what."""

    targets: list[Code] = Field(min_length=1, max_length=8)
    ids: list[CustomerId] = Field(min_length=1, max_length=MOST_IDS)
    purpose: Purpose | None = None
    channel: Channel | None = None
    at: Instant | None = None
    reasons: int = Field(default=0, ge=0, le=3, strict=True)
    locale: Locale = "zh"

    @model_validator(mode="after")
    def _together(self) -> Self:
        if (self.purpose is None) != (self.channel is None):
            raise ValueError("purpose and channel come together")
        if self.at is not None and self.purpose is None:
            raise ValueError("at needs a purpose and a channel")
        if self.reasons and len(self.ids) > MOST_IDS_WITH_REASONS:
            raise ValueError(f"with reasons at most {MOST_IDS_WITH_REASONS} ids")
        if len(set(self.targets)) != len(self.targets):
            raise ValueError("a target is named twice")
        return self


class ContactableOut(BaseModel):
    """Whether the contact policy allows this purpose and channel, and if not why and when.

    With `at` the quiet hours of the customer's province are judged too; `hours` are the local hours outside them.
    `not_evaluable` are refusals that nobody can check because the operator delivers no such feed.
    """

    ok: bool
    codes: list[str]
    next_on: date | None
    hours: list[str]
    not_evaluable: list[str]


class ScoreItem(TargetOut):
    """One customer on one target, in the order asked."""

    customer_id: str
    contactable: ContactableOut | None
    control_group: bool | None
    as_of: date
    portrait_age_hours: float
    error: ErrorOut | None


class ScoresAnswer(BaseModel):
    """One item per id and target: ids in the order asked, targets in the order asked within an id."""

    items: list[ScoreItem]


REQUEST_EXAMPLE = {
    "targets": ["churn"],
    "ids": ["880000001000000000", "no-such-customer"],
    "purpose": "retention",
    "channel": "call",
    "reasons": 2,
    "locale": "en",
}
_EMPTY: dict[str, object] = {
    "propensity": None, "percentile": None, "times_base": None, "band": None, "reasons": [], "scored": None,
    "scored_at": None, "contactable": None,
    "control_group": None, "as_of": "2026-06-01", "portrait_age_hours": 9.5, "missing": [], "flags": [],
}  # fmt: skip
ANSWER_EXAMPLE = {
    "items": [
        _EMPTY
        | {
            "customer_id": "880000001000000000", "target": "churn", "status": "ok", "propensity": 0.0412,
            "percentile": 97.3, "times_base": 2.41, "band": "high", "model_version": "20260325-5f0c2d1e",
            "scored": "stored", "scored_at": "2026-06-01T01:10:00Z",
            "reasons": [
                {
                    "code": "bill.jump",
                    "about": "May 2026 bill 128.00 yuan, 45.20 yuan above the 3-month mean",
                    "say": None,
                    "facts": {"month": "2026-05", "amount": 128000, "diff": 45200},
                }
            ],
            "contactable": {
                "ok": False, "codes": ["cool_down"], "next_on": "2026-06-09", "hours": ["09:00-12:00", "14:00-21:00"],
                "not_evaluable": [],
            },
            "control_group": False, "error": None,
        },
        _EMPTY
        | {
            "customer_id": "no-such-customer", "target": "churn", "status": "unknown_customer", "model_version": None,
            "error": {"code": "not_found", "detail": "no customer with this id"},
        },
    ]
}  # fmt: skip
