"""A customer's score on one target as every operation shows it: never bare, always through the one scorer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Self

import numpy as np
from pydantic import BaseModel

from features.kit.clock import utc_now
from features.kit.language import Locale
from features.store.online.online import OnlineBatch, OnlinePortrait
from serving.api.context import Context
from serving.database.keys import ApiKey
from serving.scoring.scorer import Score

SAY_SCOPE = "care:read"


class ReasonOut(BaseModel):
    """One reason; `say` is null unless the key may read what is said to customers and something may be said."""

    code: str
    about: str
    say: str | None
    facts: dict[str, Any]


class TargetOut(BaseModel):
    """One target's score and reasons.

    `scored` is `stored` where the nightly batch scored the same portrait by the same model, and what it found (at
    `scored_at`) is given back; otherwise the score was worked out for this answer: `live`.
    """

    target: str
    status: Literal["ok", "not_enough_data", "unknown_customer", "portrait_lost"]
    propensity: float | None
    percentile: float | None
    times_base: float | None
    band: str | None
    reasons: list[ReasonOut]
    model_version: str | None
    scored: Literal["stored", "live"] | None
    scored_at: datetime | None
    missing: list[str]
    flags: list[str]

    @classmethod
    def of(cls, key: ApiKey, target: str, score: Score | None, *, is_lost: bool = False, **more: Any) -> Self:
        """Returns a score as a key may read it; None is an unknown customer, or one whose portrait the store has lost.

        `more` are the fields of a wider answer.
        """
        speaks = SAY_SCOPE in key.scopes
        reasons = [
            ReasonOut(code=reason.code, about=reason.about, say=reason.say if speaks else None, facts=reason.facts)
            for reason in (score.reasons if score else ())
        ]
        return cls(
            target=target,
            status=score.status if score else "portrait_lost" if is_lost else "unknown_customer",
            propensity=score and score.propensity,
            percentile=score and score.percentile,
            times_base=score and score.times_base,
            band=score and score.band,
            reasons=reasons,
            model_version=score and score.model_version,
            scored=score and ("live" if score.stored_at is None else "stored"),
            scored_at=score and (score.stored_at or utc_now()),
            missing=score.missing if score else (),
            flags=score.flags if score else (),
            **more,
        )


def score_portraits(
    context: Context,
    batch: OnlineBatch,
    portraits: Sequence[OnlinePortrait | None],
    target: str,
    *,
    reasons: int,
    locale: Locale,
) -> list[Score | None]:
    """Returns the score of each portrait on a target, in order; None where nobody is known.

    Raises:
        NotReadyError: If no model of the target can be used right now.
    """
    known = [portrait for portrait in portraits if portrait is not None]
    if not known:
        return [None] * len(portraits)
    scorer = context.models.scorer(target, context.portraits.feature_list_of(batch.pointer))
    ids, facts = [portrait.customer_id for portrait in known], [portrait.facts for portrait in known]
    values = np.stack([portrait.values for portrait in known])
    lookup = context.lookups.get(scorer, batch.pointer.as_of)
    scores = iter(
        scorer.score(
            ids,
            values,
            facts,
            as_of=batch.pointer.as_of,
            ranks=context.ranks.get(target, scorer.version, batch.pointer.as_of),
            reasons=reasons,
            locale=locale,
            age_hours=batch.age_hours(utc_now()),
            stored=None if lookup is None else lookup.find(ids, values, facts),
        )
    )
    return [None if portrait is None else next(scores) for portrait in portraits]
