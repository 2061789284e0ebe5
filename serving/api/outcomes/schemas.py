"""What `POST /v1/outcomes` takes and gives."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from serving.api.answers import BatchAnswer, ErrorOut
from serving.api.types import Body, Reference
from serving.outreach.dispositions import Disposition

MOST_OUTCOMES = 1000


class OutcomeIn(Body):
    """One agent's report on one line of a list."""

    line_id: Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{5}$")]
    disposition: Disposition
    attempted_at: AwareDatetime | None = None
    order_reference: Reference | None = None
    ticket_id: Reference | None = None
    next_at: AwareDatetime | None = None
    agent: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=60)] | None = None


class OutcomesRequest(Body):
    """What agents reported."""

    outcomes: list[OutcomeIn] = Field(min_length=1, max_length=MOST_OUTCOMES)


class OutcomeOut(BaseModel):
    """What became of one report, in the order sent."""

    line_id: str
    status: Literal["recorded", "unknown_line", "refused", "failed"]
    error: ErrorOut | None


class OutcomesAnswer(BatchAnswer):
    """One item per report; `withdrawn` counts other open lines that these reports stopped.

    What `failed` is tried again by the same request with the same key.
    """

    withdrawn: int
    items: list[OutcomeOut]


REQUEST_EXAMPLE = {
    "outcomes": [
        {"line_id": "7KQ2-M9XF5", "disposition": "callback", "attempted_at": "2026-06-01T10:12:00+08:00",
         "next_at": "2026-06-02T15:00:00+08:00", "agent": "A017"}
    ]
}  # fmt: skip
ANSWER_EXAMPLE = {
    "recorded": 1,
    "withdrawn": 0,
    "items": [{"line_id": "7KQ2-M9XF5", "status": "recorded", "error": None}],
}
