"""`GET /v1/customers/{customer_id}/portrait`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response

from serving.api.answers import documented, json_response
from serving.api.auth import needs
from serving.api.context import ContextOf
from serving.api.portraits.schemas import EXAMPLE, PortraitAnswer
from serving.api.portraits.service import portrait
from serving.api.types import CustomerInPath
from serving.database.keys import ApiKey

router = APIRouter(tags=["customers"])


@router.get(
    "/v1/customers/{customer_id}/portrait",
    responses=documented(PortraitAnswer, EXAMPLE, 404),
    summary="A customer's portrait",
)
def get_portrait(
    customer_id: CustomerInPath, context: ContextOf, key: Annotated[ApiKey, needs("portraits:read")]
) -> Response:
    """Shows the latest portrait: class, facts, card, every feature by name; null is unknown, never zero."""
    return json_response(portrait(context, key, customer_id))
