"""`POST /v1/outcomes`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Response

from serving.api.answers import body_example, documented
from serving.api.auth import needs
from serving.api.context import ContextOf
from serving.api.idempotency import record_once
from serving.api.outcomes.schemas import ANSWER_EXAMPLE, REQUEST_EXAMPLE, OutcomesAnswer, OutcomesRequest
from serving.api.outcomes.service import record
from serving.api.types import IdempotencyKey
from serving.database.keys import ApiKey

router = APIRouter(tags=["feedback"])


@router.post(
    "/v1/outcomes",
    responses=documented(OutcomesAnswer, ANSWER_EXAMPLE, 409),
    openapi_extra=body_example(REQUEST_EXAMPLE),
    summary="Report the results of contacts",
)
def post_outcomes(
    request: OutcomesRequest,
    idempotency_key: IdempotencyKey,
    later: BackgroundTasks,
    context: ContextOf,
    key: Annotated[ApiKey, needs("outcomes:write")],
) -> Response:
    """Records agents' dispositions; "wrong person" and "never again" bind the next list of the same day."""
    return record_once(context, key, idempotency_key, "outcomes", request, record, later)
