"""`POST /v1/contacts`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Response

from serving.api.answers import body_example, documented
from serving.api.auth import needs
from serving.api.contacts.schemas import ANSWER_EXAMPLE, REQUEST_EXAMPLE, ContactsAnswer, ContactsRequest
from serving.api.contacts.service import record
from serving.api.context import ContextOf
from serving.api.idempotency import record_once
from serving.api.types import IdempotencyKey
from serving.database.keys import ApiKey

router = APIRouter(tags=["feedback"])


@router.post(
    "/v1/contacts",
    responses=documented(ContactsAnswer, ANSWER_EXAMPLE, 409),
    openapi_extra=body_example(REQUEST_EXAMPLE),
    summary="Report contacts that were made",
)
def post_contacts(
    request: ContactsRequest,
    idempotency_key: IdempotencyKey,
    later: BackgroundTasks,
    context: ContextOf,
    key: Annotated[ApiKey, needs("contacts:write")],
) -> Response:
    """Records what a campaign tool sent: it counts in the caps of the next list and in the next training."""
    return record_once(context, key, idempotency_key, "contacts", request, record, later)
