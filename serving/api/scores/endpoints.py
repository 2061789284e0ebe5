"""`POST /v1/scores`."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter, Response

from serving.api.answers import body_example, documented, json_response
from serving.api.auth import needs
from serving.api.context import Context, ContextOf
from serving.api.scores.schemas import ANSWER_EXAMPLE, REQUEST_EXAMPLE, ScoresAnswer, ScoresRequest
from serving.api.scores.service import score, score_at_once
from serving.database.keys import ApiKey

PATH, SCOPE = "/v1/scores", "scores:read"
router = APIRouter(tags=["scores"])


def answer_at_once(context: Context, key: ApiKey, body: bytes) -> Response | None:
    """Answers a small good request that waits for nothing, on the event loop, without FastAPI and without a thread.

    Returns None for any other, which then goes the usual way: a bad one is refused there, by the same words as ever.
    """
    if SCOPE not in key.scopes:
        return None
    try:
        request = ScoresRequest.model_validate(orjson.loads(body))
    except ValueError:  # no JSON, or not of this shape
        return None
    answer = score_at_once(context, key, request)
    return None if answer is None else json_response(answer)


@router.post(
    PATH,
    responses=documented(ScoresAnswer, ANSWER_EXAMPLE, 404),
    openapi_extra=body_example(REQUEST_EXAMPLE),
    summary="Score customers",
)
def post_scores(request: ScoresRequest, context: ContextOf, key: Annotated[ApiKey, needs(SCOPE)]) -> Response:
    """Scores up to 1,000 customers (200 with reasons), one item per id and target, in the order asked.

    A customer that is not known, or not yours to see, is an item with `status: unknown_customer`, one whose
    portrait the store has lost `portrait_lost`; the rest is answered. With `purpose` and `channel` each item says
    whether the contact policy allows it (`contactable`) and whether the person is in the control group. `say`, the
    sentence for the customer's ear, is shown to keys with the scope `care:read` only.
    """
    return json_response(score(context, key, request))
