"""What `POST /v1/contacts` takes and gives."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

from serving.api.answers import BatchAnswer, ErrorOut
from serving.api.types import Body, Code, CustomerId, Name, Reference
from serving.outreach.refusals import Channel

MOST_CONTACTS = 1000


class ContactIn(Body):
    """One contact; `contact_id` is the tool's own, new for every contact of a customer that this API key reports."""

    contact_id: Reference
    customer_id: CustomerId
    at: AwareDatetime
    action: Code
    channel: Channel | None = None
    campaign: Name | None = None


class ContactsRequest(Body):
    """What was sent."""

    contacts: list[ContactIn] = Field(min_length=1, max_length=MOST_CONTACTS)


class ContactOut(BaseModel):
    """What became of one contact, in the order sent."""

    contact_id: str
    status: Literal["recorded", "unknown_customer", "conflict", "refused", "failed"]
    error: ErrorOut | None


class ContactsAnswer(BatchAnswer):
    """One item per contact; what `failed` is tried again by the same request with the same key."""

    items: list[ContactOut]


REQUEST_EXAMPLE = {
    "contacts": [
        {
            "contact_id": "spring-5g-000017", "customer_id": "880000001000000000", "at": "2026-06-01T10:12:00+08:00",
            "action": "upgrade_invite", "channel": "message", "campaign": "spring-5g",
        }
    ]
}  # fmt: skip
ANSWER_EXAMPLE = {
    "recorded": 1,
    "items": [{"contact_id": "spring-5g-000017", "status": "recorded", "error": None}],
}
