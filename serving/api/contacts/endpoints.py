"""`POST /v1/contacts`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Response

from serving.api.answers import IdempotencyKey, body_example, documented
from serving.api.auth import needs
from serving.api.contacts.schemas import ANSWER_EXAMPLE, REQUEST_EXAMPLE, ContactsAnswer, ContactsRequest
from serving.api.contacts.service import record
from serving.api.context import ContextOf
from serving.api.idempotency import once
from serving.database.keys import ApiKey
from serving.outreach.lists.feedback import try_landing

router = APIRouter(tags=["feedback"])


@router.post(
    "/v1/contacts",
    responses=documented(ContactsAnswer, ANSWER_EXAMPLE, 409),
    openapi_extra=body_example(REQUEST_EXAMPLE),
    summary="Tell contacts that were made",
)
def post_contacts(
    request: ContactsRequest,
    idempotency_key: IdempotencyKey,
    later: BackgroundTasks,
    context: ContextOf,
    key: Annotated[ApiKey, needs("contacts:write")],
) -> Response:
    """Records what a campaign tool sent: it counts in the caps of the next list and in the next training."""
    answer = once(
        context.engine, key.key_id, idempotency_key, "contacts", request, lambda: record(context, key, request)
    )
    later.add_task(try_landing, context.home, context.engine)
    return Response(answer.body, answer.status, media_type="application/json", background=later)
