"""A customer's product fit as the batch of the portraits' day found it."""

from __future__ import annotations

from typing import Any

import orjson

from features.kit.errors import NotReadyError
from serving.api.context import Context
from serving.api.portraits.service import one_portrait
from serving.database.keys import ApiKey


def product_fit(context: Context, key: ApiKey, customer_id: str) -> dict[str, Any]:
    """Returns a customer's fit (see `FitAnswer`).

    Raises:
        NotFoundError: If there is no such customer, or none that this key may see.
        NotReadyError: If no product fit of the live portraits' day exists.
    """
    one_portrait(context, key, customer_id)
    found = fit_of(context, customer_id)
    if found is None:
        raise NotReadyError("no product fit of this customer on the portraits' day", remedy="run `insight fit`")
    return found


def fit_of(context: Context, customer_id: str) -> dict[str, Any] | None:
    """Returns a customer's fit on the live portraits' day, or None without one."""
    import pyarrow.parquet as pq

    path = context.home.product_fit / f"as_of={context.today()}" / "fit.parquet"
    if not path.exists():
        return None
    rows = pq.read_table(
        path, filters=[("customer_id", "=", customer_id)], partitioning=None, use_threads=False
    ).to_pylist()
    if not rows:
        return None
    row: dict[str, Any] = rows[0]
    operator = context.feeds().operator
    return row | {
        "offers": orjson.loads(row["offers"]),
        "needs": orjson.loads(row["needs"]),
        "currency": operator.currency,
        "money_scale": operator.money_scale,
    }
