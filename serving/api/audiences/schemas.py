"""What `GET /v1/audiences` takes and gives."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from serving.api.answers import Code, Place
from serving.api.scores.schemas import Channel, Purpose


class AudienceQuery(BaseModel):
    """Whom to find."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: Code
    purpose: Purpose
    channel: Channel
    at: AwareDatetime | None = None
    province: Place | None = None
    city: Place | None = None
    customer_class: Annotated[Code | None, Field(alias="class")] = None
    band: Literal["very_high", "high", "raised", "normal"] | None = None
    min_percentile: float | None = Field(default=None, ge=0, le=100)
    view: Literal["page", "count", "csv"] = "page"
    limit: int = Field(default=100, ge=1, le=1000)
    cursor: str | None = Field(default=None, max_length=500)

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
    count: int
    refused: dict[str, int]
    not_evaluable: list[str]
    items: list[AudienceMember]
    next_cursor: str | None


EXAMPLE = {
    "target": "churn", "model_version": "20260325-5f0c2d1e", "as_of": "2026-06-01", "count": 412,
    "refused": {"consent_missing": 310, "control_group": 28, "same_person": 9}, "not_evaluable": [],
    "items": [
        {
            "customer_id": "880000001000000000", "percentile": 99.2, "propensity": 0.0931, "times_base": 5.44,
            "band": "very_high", "class": "contract_ending", "province": "Jiangsu", "city": "Nanjing",
        }
    ],
    "next_cursor": "WzAuMDkzMSwiODgwMDAwMDAxMDAwMDAwMDAwIl0",
}  # fmt: skip
