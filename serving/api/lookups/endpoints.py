"""`POST /v1/lookups`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response

from serving.api.answers import body_example, documented, json_response
from serving.api.auth import needs
from serving.api.context import ContextOf
from serving.api.lookups.schemas import ANSWER_EXAMPLE, REQUEST_EXAMPLE, LookupAnswer, LookupRequest
from serving.api.lookups.service import look_up
from serving.database.keys import ApiKey

router = APIRouter(tags=["customers"])


@router.post(
    "/v1/lookups",
    responses=documented(LookupAnswer, ANSWER_EXAMPLE, 404),
    openapi_extra=body_example(REQUEST_EXAMPLE),
    summary="Who is on the phone",
)
def post_lookup(request: LookupRequest, context: ContextOf, key: Annotated[ApiKey, needs("lookups")]) -> Response:
    """Finds the customer who holds a number and shows the agent's first page; every look-up is audited."""
    return json_response(look_up(context, key, request))
