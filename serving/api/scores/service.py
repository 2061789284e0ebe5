"""Scores of named customers: the live portrait through the one scorer, with the contact policy's verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from features.kit.errors import NotFoundError
from features.store.online.online import OnlineBatch
from serving.api.auth import is_row_scoped
from serving.api.context import Context
from serving.api.customer.contact import contact_moment
from serving.api.customer.portrait import LOST_PORTRAIT, UNKNOWN_CUSTOMER, age_of, lost_to, visible
from serving.api.customer.score import score_portraits
from serving.api.scores.schemas import ContactableOut, ScoreItem, ScoresAnswer, ScoresRequest
from serving.database.keys import ApiKey
from serving.outreach.policy.policy import Verdict

MOST_AT_ONCE = 4
"""Items of a request that is answered on the event loop: all of them take less than a thread computes in a turn."""


def score_at_once(context: Context, key: ApiKey, request: ScoresRequest) -> ScoresAnswer | None:
    """Returns what `score` does, or None where that could keep others waiting: it must not run on the event loop.

    Only few known customers of a store without a network are read here, and nothing of the contact policy.

    Raises: As `score`.
    """
    if len(request.ids) * len(request.targets) > MOST_AT_ONCE or request.purpose is not None or is_row_scoped(key):
        return None  # the last: how long an answer takes must not say whether a foreign customer exists
    batch = context.portraits.read_at_once(request.ids)
    return None if batch is None else score(context, key, request, batch)


def score(context: Context, key: ApiKey, request: ScoresRequest, batch: OnlineBatch | None = None) -> ScoresAnswer:
    """Returns one item per id and target, in the order asked; `batch` holds their portraits if they are read already.

    Raises:
        NotFoundError: If no model of a target has ever been promoted.
        NotReadyError: If a model or the portraits cannot be used right now.
    """
    check_targets(context, request.targets)
    batch = batch or context.portraits.read_batch(request.ids)
    seen, lost = visible(key, batch.portraits), lost_to(context, key, batch)
    scores = {
        target: score_portraits(context, batch, seen, target, reasons=request.reasons, locale=request.locale)
        for target in request.targets
    }
    verdicts, not_evaluable = _verdicts(context, request)
    age = age_of(batch)
    context.figures.age.set(age)
    items = []
    for place, customer_id in enumerate(request.ids):
        is_known = seen[place] is not None
        contact = verdicts[place] if is_known else None
        for target in request.targets:
            item = ScoreItem.of(
                key,
                target,
                scores[target][place],
                is_lost=customer_id in lost,
                customer_id=customer_id,
                contactable=contact and _contactable(contact, not_evaluable),
                control_group=contact and contact.control_group,
                as_of=batch.pointer.as_of,
                portrait_age_hours=age,
                error=None if is_known else LOST_PORTRAIT if customer_id in lost else UNKNOWN_CUSTOMER,
            )
            items.append(item)
    for (target, status), count in Counter((item.target, item.status) for item in items).items():
        context.figures.scored.labels(target, status).inc(count)
    return ScoresAnswer(items=items)


def check_targets(context: Context, targets: Sequence[str]) -> None:
    """Raises NotFoundError for a target of which no model has ever been promoted."""
    known = {state.target for state in context.models.states()}
    strange = next((target for target in targets if target not in known), None)
    if strange is not None:
        raise NotFoundError(f"no model predicts '{strange}'", remedy="targets: " + (", ".join(sorted(known)) or "none"))


def _contactable(contact: Verdict, not_evaluable: Sequence[str]) -> ContactableOut:
    return ContactableOut(
        ok=contact.ok,
        codes=contact.codes,
        next_on=contact.next_on,
        hours=contact.hours,
        not_evaluable=not_evaluable,
    )


def _verdicts(context: Context, request: ScoresRequest) -> tuple[Sequence[Verdict | None], Sequence[str]]:
    if request.purpose is None or request.channel is None:
        return [None] * len(request.ids), ()
    book = context.policy()
    on, at = contact_moment(book, request.at)
    verdicts = book.verdicts(request.ids, request.purpose, request.channel, on, at=at)
    return verdicts, book.not_evaluable(request.purpose, request.channel)
