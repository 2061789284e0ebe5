"""A customer's product fit, for whoever may see the customer."""

from __future__ import annotations

from features.kit.errors import NotReadyError
from serving.api.context import Context
from serving.api.customer.portrait import live_portrait
from serving.api.customer.product_fit import FitAnswer, fit_of
from serving.database.keys import ApiKey


def product_fit(context: Context, key: ApiKey, customer_id: str) -> FitAnswer:
    """Returns a customer's fit.

    Raises:
        NotFoundError: If there is no such customer, or none that this key may see.
        NotReadyError: If no product fit of the live portraits' day exists.
    """
    live_portrait(context, key, customer_id)
    found = fit_of(context, customer_id)
    if found is None:
        raise NotReadyError("no product fit of this customer on the portraits' day", remedy="run `insight fit`")
    return found
