"""Scores of named customers: the live portrait through the one scorer, with the contact policy's verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import orjson

from features.kit.clock import utc_now
from features.kit.errors import NotFoundError
from features.store.online.online import OnlineBatch, OnlinePortrait
from serving.api.auth import is_row_scoped, may_see
from serving.api.context import Context
from serving.api.errors import InvalidRequestError
from serving.api.scores.schemas import ScoresRequest
from serving.database.keys import ApiKey
from serving.outreach.policy.policy import PolicyBook
from serving.scoring.scorer import Score

SAY_SCOPE = "care:read"
UNKNOWN = {"code": "not_found", "detail": "no customer with this id"}


def score(context: Context, key: ApiKey, request: ScoresRequest) -> dict[str, Any]:
    """Returns one item per id and target, in the order asked (see `ScoresAnswer`).

    Raises:
        NotFoundError: If no model of a target has ever been promoted.
        NotReadyError: If a model or the portraits cannot be used right now.
    """
    check_targets(context, request.targets)
    batch = context.portraits.read_batch(request.ids)
    seen = visible(key, batch.portraits)
    scores = score_portraits(context, batch, seen, request.targets, reasons=request.reasons, locale=request.locale)
    verdicts, unchecked = _verdicts(context, request)
    age = round(batch.age_hours(utc_now()), 2)
    context.figures.age.set(age)
    speaks = SAY_SCOPE in key.scopes
    items = []
    for place, customer_id in enumerate(request.ids):
        is_known = seen[place] is not None
        contact = verdicts[place] if is_known else None
        for target in request.targets:
            item = {
                "customer_id": customer_id,
                "target": target,
                **score_body(scores[target].get(place), speaks=speaks),
                "contactable": contact
                and {
                    "ok": contact.ok,
                    "codes": contact.codes,
                    "next_on": contact.next_on,
                    "hours": contact.hours,
                    "not_evaluable": unchecked,
                },
                "control_group": contact and contact.control_group,
                "as_of": batch.pointer.as_of,
                "portrait_age_hours": age,
                "error": None if is_known else UNKNOWN,
            }
            items.append(item)
    for (target, status), count in Counter((item["target"], item["status"]) for item in items).items():
        context.figures.scored.labels(target, status).inc(count)
    return {"items": items}


def check_targets(context: Context, targets: Sequence[str]) -> None:
    """Raises NotFoundError for a target of which no model has ever been promoted."""
    known = {state.target for state in context.models.states()}
    strange = next((target for target in targets if target not in known), None)
    if strange is not None:
        raise NotFoundError(f"no model predicts '{strange}'", remedy="targets: " + (", ".join(sorted(known)) or "none"))


def visible(key: ApiKey, portraits: Sequence[OnlinePortrait | None]) -> list[OnlinePortrait | None]:
    """Returns the portraits that a key may see; a foreign one looks like none at all."""
    if not is_row_scoped(key):
        return list(portraits)
    return [one if one is not None and may_see(key, card_of(one)) else None for one in portraits]


def card_of(portrait: OnlinePortrait) -> dict[str, Any]:
    """Returns the card in a portrait's facts."""
    card: dict[str, Any] = orjson.loads(portrait.facts).get("card") or {}
    return card


def score_portraits(
    context: Context,
    batch: OnlineBatch,
    portraits: Sequence[OnlinePortrait | None],
    targets: Sequence[str],
    *,
    reasons: int,
    locale: Any,
) -> dict[str, dict[int, Score]]:
    """Returns per target the score of each known portrait by its place."""
    places = [place for place, one in enumerate(portraits) if one is not None]
    known = [one for one in portraits if one is not None]
    if not known:
        return {target: {} for target in targets}
    features = context.portraits.feature_list
    values = np.stack([one.values for one in known])
    found = {}
    for target in targets:
        scorer = context.models.scorer(target, features)
        scores = scorer.score(
            [one.customer_id for one in known],
            values,
            [one.facts for one in known],
            as_of=batch.pointer.as_of,
            ranks=context.ranks.get(target, scorer.version, batch.pointer.as_of),
            reasons=reasons,
            locale=locale,
            age_hours=batch.age_hours(utc_now()),
        )
        found[target] = dict(zip(places, scores, strict=True))
    return found


def score_body(score: Score | None, *, speaks: bool) -> dict[str, Any]:
    """Returns a score's own fields; None is an unknown customer. `speaks` shows what the customer may hear."""
    if score is None:
        return {
            "status": "unknown_customer", "propensity": None, "percentile": None, "times_base": None, "band": None,
            "reasons": [], "model_version": None, "missing": [], "flags": [],
        }  # fmt: skip
    return {
        "status": score.status,
        "propensity": score.propensity,
        "percentile": score.percentile,
        "times_base": score.times_base,
        "band": score.band,
        "reasons": [
            {"code": one.code, "about": one.about, "say": one.say if speaks else None, "facts": one.facts}
            for one in score.reasons
        ],
        "model_version": score.model_version,
        "missing": score.missing,
        "flags": score.flags,
    }


def contact_moment(book: PolicyBook, at: datetime | None) -> tuple[date, time | None]:
    """Returns the operator's day and local time of a contact; without one the day of the policy and no time.

    Raises:
        InvalidRequestError: If the contact would lie before the day that the policy knows.
    """
    if at is None:
        return book.as_of, None
    local = at.astimezone(ZoneInfo(book.time_zone))
    if local.date() < book.as_of:
        raise InvalidRequestError(f"at: {local.date()} is before {book.as_of}, the day of the portraits")
    return local.date(), local.time()


def _verdicts(context: Context, request: ScoresRequest) -> tuple[Sequence[Any], Sequence[str]]:
    if request.purpose is None or request.channel is None:
        return [None] * len(request.ids), ()
    book = context.policy()
    on, at = contact_moment(book, request.at)
    verdicts = book.verdicts(request.ids, request.purpose, request.channel, on, at=at)
    return verdicts, book.not_evaluable(request.purpose, request.channel)
