"""`GET /v1/customers/{customer_id}/product-fit`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response

from serving.api.answers import documented, json_response
from serving.api.auth import needs
from serving.api.context import ContextOf
from serving.api.customer.product_fit import EXAMPLE, FitAnswer
from serving.api.product_fit.service import product_fit
from serving.api.types import CustomerInPath
from serving.database.keys import ApiKey

router = APIRouter(tags=["customers"])


@router.get(
    "/v1/customers/{customer_id}/product-fit",
    responses=documented(FitAnswer, EXAMPLE, 404),
    summary="A customer's product fit",
)
def get_product_fit(
    customer_id: CustomerInPath, context: ContextOf, key: Annotated[ApiKey, needs("portraits:read")]
) -> Response:
    """Shows the re-rating of the last months and at most three offers.

    A saving may be named only if `reproduced` is true and the offer's `status` is `ok`; offers with `on_request`
    wait until the customer asks.
    """
    return json_response(product_fit(context, key, customer_id))
