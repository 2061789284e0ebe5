"""What `GET /v1/customers/{customer_id}/portrait` gives."""

from __future__ import annotations

from serving.api.customer.portrait import EXAMPLE as FACTS_EXAMPLE
from serving.api.customer.portrait import PortraitFacts


class PortraitAnswer(PortraitFacts):
    """The latest portrait of one customer."""

    features: dict[str, float | str | None]


EXAMPLE = FACTS_EXAMPLE | {"features": {"manual_calls_count_30d": 2.0, "province": "Jiangsu"}}
