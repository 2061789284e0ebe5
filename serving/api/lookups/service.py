"""From a phone number to the customer's card: the only place where the API reads a number."""

from __future__ import annotations

from datetime import timedelta

from features.feeds.landed.reading import Feeds, newest_versions
from features.feeds.landed.steady import on_current_feeds
from features.kit.clock import instant_of
from features.kit.errors import InsightError, NotFoundError, NotReadyError
from features.kit.values.identifiers import spellings
from serving.api.answers import ErrorOut
from serving.api.context import Context
from serving.api.customer.portrait import card_of, live_portrait
from serving.api.customer.product_fit import fit_of
from serving.api.customer.score import TargetOut, score_portraits
from serving.api.lookups.schemas import LookupAnswer, LookupRequest
from serving.database.audit import record
from serving.database.keys import ApiKey
from serving.database.session import writing

NOBODY = "no customer with this number"

_HOLDER = f"""
SELECT customer_id FROM ({newest_versions("numbers")})
WHERE number IN (SELECT unnest($spellings)) AND valid_from < $until AND (valid_until IS NULL OR valid_until > $now)
ORDER BY valid_from DESC, known_at DESC LIMIT 1
"""


def look_up(context: Context, key: ApiKey, request: LookupRequest) -> LookupAnswer:
    """Returns the card of the customer who holds a number today; the look-up is audited.

    Raises:
        NotFoundError: If nobody holds the number, or nobody that this key may see.
        NotReadyError: If no number has landed.
    """
    customer_id = _holder(context, request.number)
    with writing(context.engine) as session:
        record(session, actor=key.key_id, action="lookups.read", subject=customer_id or "nobody")
    if customer_id is None:
        raise NotFoundError(NOBODY)
    try:
        batch, found = live_portrait(context, key, customer_id)
    except NotFoundError:
        raise NotFoundError(NOBODY) from None
    scores, problems = [], []
    for state in context.models.states():
        try:
            (made,) = score_portraits(context, batch, [found], state.target, reasons=3, locale=request.locale)
        except InsightError as error:
            problems.append(ErrorOut.of(error))
            continue
        scores.append(TargetOut.of(key, state.target, made))
    card = card_of(found)
    return LookupAnswer.of(
        batch,
        found,
        open_tickets=card.get("open_tickets") or [],
        arrears=card.get("arrears"),
        arrears_due=card.get("arrears_due"),
        scores=scores,
        product_fit=fit_of(context, customer_id),
        not_ready=problems,
    )


def _holder(context: Context, number: str) -> str | None:
    """Returns who holds a number on the portraits' day, as known by now."""
    today = context.today()

    def read(feeds: Feeds) -> str | None:
        if not feeds.has("numbers"):
            raise NotReadyError("no numbers have landed", remedy="map the feed `numbers`")
        zone, day = feeds.operator.time_zone, max(today, feeds.latest_as_of())
        now, until = (instant_of(on, zone).replace(tzinfo=None) for on in (day, day + timedelta(days=1)))
        with feeds.connect(personal=True) as database:
            row = database.execute(
                _HOLDER, {"spellings": list(spellings(number)), "now": now, "until": until}
            ).fetchone()
        return None if row is None else str(row[0])

    return on_current_feeds(context.home, read)
