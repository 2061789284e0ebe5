"""What `POST /v1/lookups` takes and gives."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import StringConstraints

from features.kit.language import Locale
from features.kit.values.identifiers import phone_number
from serving.api.answers import ErrorOut
from serving.api.customer.portrait import EXAMPLE as PORTRAIT
from serving.api.customer.portrait import PortraitFacts
from serving.api.customer.product_fit import EXAMPLE as FIT
from serving.api.customer.product_fit import FitAnswer
from serving.api.customer.score import TargetOut
from serving.api.types import Body, in_one_form


class LookupRequest(Body):
    """Who is calling. The number stands in the body, never in an address that gets logged."""

    number: Annotated[str, in_one_form(phone_number), StringConstraints(strict=True, pattern=r"^[0-9]{5,20}$")]
    locale: Locale = "zh"


class LookupAnswer(PortraitFacts):
    """The agent's first page: portrait, pre-judged reasons, open matters, arrears, product fit."""

    open_tickets: list[dict[str, Any]]
    arrears: int | None
    arrears_due: str | None
    scores: list[TargetOut]
    product_fit: FitAnswer | None
    not_ready: list[ErrorOut]


REQUEST_EXAMPLE = {"number": "13800001234", "locale": "zh"}
ANSWER_EXAMPLE = PORTRAIT | {
    "open_tickets": [
        {"id": "T1", "kind": "complaint", "topic": "network", "due_at": "2026-06-02T01:00:00Z", "overdue_hours": 0}
    ],
    "arrears": 0,
    "arrears_due": None,
    "scores": [
        {
            "target": "complaint", "status": "ok", "propensity": 0.021, "percentile": 96.1, "times_base": 4.2,
            "band": "high", "model_version": "2026-04-30-77aa01bc", "scored": "live",
            "scored_at": "2026-06-01T09:30:00Z", "missing": [], "flags": [],
            "reasons": [
                {
                    "code": "calls.frequent", "about": "近30天人工来电4次",
                    "say": "您近期联系我们几次,想确认事情都办好了没有。", "facts": {"n": 4},
                }
            ],
        }
    ],
    "product_fit": FIT,
    "not_ready": [],
}  # fmt: skip
