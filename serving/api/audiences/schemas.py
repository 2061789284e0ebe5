"""What `GET /v1/audiences` takes and gives."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from serving.api.types import Body, Code, Instant, Place
from serving.outreach.refusals import Channel
from serving.outreach.settings import Purpose


class AudienceQuery(Body):
    """Whom to find."""

    target: Code = Field(description="Which model's scores decide the order.", examples=["churn"])
    action: Code | None = Field(
        default=None,
        description="What would be said: its own conditions are judged too, and purpose and channel follow from it.",
        examples=["plan_fit_offer"],
    )
    purpose: Purpose | None = Field(
        default=None,
        description="What the contact is for; decides which consents count. Needed without an action.",
        examples=["retention"],
    )
    channel: Channel | None = Field(
        default=None, description="How customers would be reached. Needed without an action.", examples=["call"]
    )
    at: Instant | None = Field(
        default=None,
        description="When they would be reached; judges the quiet hours, too.",
        examples=["2026-06-01T10:00:00+08:00"],
    )
    province: Place | None = Field(default=None, description="As the feed `customers` writes it.", examples=["Jiangsu"])
    city: Place | None = Field(default=None, description="As the feed `customers` writes it.", examples=["Nanjing"])
    customer_class: Annotated[
        Code | None, Field(alias="class", description="Primary class.", examples=["contract_ending"])
    ] = None
    exclude_class: tuple[Code, ...] = Field(
        default=(),
        description="Classes to leave out, primary or further ones; repeat the parameter for several.",
        examples=[["complaint_sensitive"]],
    )
    band: Literal["very_high", "high", "raised", "normal"] | None = Field(
        default=None, description="Band of the score.", examples=["high"]
    )
    min_percentile: float | None = Field(
        default=None, ge=0, le=100, description="Only scores above so many % of the customers.", examples=[95]
    )
    view: Literal["page", "count", "csv"] = Field(
        default="page", description="A page, only how many, or everything as CSV.", examples=["count"]
    )
    limit: int = Field(default=100, ge=1, le=1000, description="Rows of a page.", examples=[100])
    cursor: str | None = Field(default=None, max_length=500, description="`next_cursor` of the page before.")

    def filters_hash(self) -> str:
        """Returns the hash of what decides who is found, in which order."""
        filters = self.model_dump_json(exclude={"view", "limit", "cursor"})
        return hashlib.sha256(filters.encode()).hexdigest()[:12]


class AudienceMember(BaseModel):
    """One customer who fits and may be contacted."""

    customer_id: str
    percentile: float
    propensity: float
    times_base: float | None
    band: str
    customer_class: str = Field(alias="class")
    province: str | None
    city: str | None


class AudienceAnswer(BaseModel):
    """A page of an audience, highest propensity first; `count` is the whole audience."""

    target: str
    model_version: str
    as_of: date
    purpose: Purpose
    channel: Channel
    count: int
    refused: dict[str, int]
    not_evaluable: list[str]
    items: list[AudienceMember]
    next_cursor: str | None


EXAMPLE = {
    "target": "churn", "model_version": "20260325-5f0c2d1e", "as_of": "2026-06-01", "purpose": "retention",
    "channel": "call", "count": 412,
    "refused": {"consent_missing": 310, "control_group": 28, "same_person": 9}, "not_evaluable": [],
    "items": [
        {
            "customer_id": "880000001000000000", "percentile": 99.2, "propensity": 0.0931, "times_base": 5.44,
            "band": "very_high", "class": "contract_ending", "province": "Jiangsu", "city": "Nanjing",
        }
    ],
    "next_cursor": "WzAuMDkzMSwiODgwMDAwMDAxMDAwMDAwMDAwIl0",
}  # fmt: skip
