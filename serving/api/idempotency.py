"""One request, one effect: an answer is kept under the caller's Idempotency-Key and given again byte for byte.

The work itself must be repeatable (contacts and attempts have identities of their own): a process that dies between
the work and keeping its answer does the work again without effect and gives the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import orjson
from fastapi import BackgroundTasks, Response
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from features.kit.errors import NotReadyError
from features.kit.log import get_logger
from serving.api.answers import FAILED, BatchAnswer, json_bytes
from serving.api.context import Context
from serving.database.idempotency import Answer, remember, remembered
from serving.database.keys import ApiKey
from serving.database.session import writing
from serving.outreach.feedback.landing import try_landing
from serving.outreach.lists.ledger import patiently

Request = TypeVar("Request", bound=BaseModel)


def record_once(
    context: Context,
    key: ApiKey,
    idempotency_key: str,
    operation: str,
    request: Request,
    record: Callable[[Context, ApiKey, Request], BatchAnswer],
    later: BackgroundTasks,
) -> Response:
    """Returns the answer to a report of contacts or outcomes; after it has gone out, what was recorded is landed.

    `operation` is the route, and the field of the request that holds the items; an Idempotency-Key serves one
    operation. `record` records the items of a request, each by itself; `later` runs after the answer.

    Raises:
        ConflictError: If the Idempotency-Key came with another request before.
        NotReadyError: If not one item could be written; no answer is kept.
    """
    asked = operation.encode() + b"\x00" + orjson.dumps(request.model_dump(mode="json"))
    items = getattr(request, operation)

    def keep(places: Sequence[int] = (), made: BatchAnswer | None = None) -> Answer | None:
        # After the items made now have taken the places of those that had failed.
        with writing(context.engine) as session:
            known = remembered(session, key.key_id, idempotency_key, asked)
            answer = known if made is None else _merged(known, places, made)
            if answer is not None and answer != known:
                remember(session, key.key_id, idempotency_key, asked, answer)
        return answer

    answer = patiently(keep)
    places = list(range(len(items))) if answer is None else _failed(answer)
    if places:
        made = record(context, key, request.model_copy(update={operation: [items[place] for place in places]}))
        if answer is None and all(item.status == FAILED for item in made.items):
            raise NotReadyError(made.items[0].error.detail, remedy="send the same request with the same key again")
        answer = _merged(answer, places, made)
        try:
            answer = patiently(partial(keep, places, made)) or answer
        except (NotReadyError, SQLAlchemyError) as error:  # what is recorded is known by its ids when it comes again
            get_logger().error("answer_not_kept", error_kind=type(error).__name__)
    assert answer is not None
    later.add_task(_land, context)
    return Response(answer.body, answer.status, media_type="application/json", background=later)


def _land(context: Context) -> None:
    # A held ledger, a damaged feed, a full disk, a bug: the request is answered, and the next landing takes what waits.
    try:
        try_landing(context.home, context.engine)
    except Exception as error:  # noqa: BLE001
        get_logger().error("landing_waits", error_kind=type(error).__name__)


def _failed(answer: Answer) -> list[int]:
    """Returns the places of the items that shall be tried again."""
    return [place for place, item in enumerate(orjson.loads(answer.body)["items"]) if item["status"] == FAILED]


def _merged(known: Answer | None, places: Sequence[int], made: BatchAnswer) -> Answer:
    """Returns a kept answer with its failed items as they were made now; everything else in it stays as it was given.

    Counts beside `recorded` add up.
    """
    if known is None:
        return Answer(200, json_bytes(made))
    open_places = _failed(known)
    if not open_places:
        return known
    body, new = orjson.loads(known.body), made.model_dump(mode="json")
    for place, item in zip(places, new["items"], strict=True):
        if place in open_places:
            body["items"][place] = item
    counts = {name: body[name] + new[name] for name in new if name not in ("items", "recorded")}
    counts["recorded"] = sum(item["status"] == "recorded" for item in body["items"])
    return Answer(200, json_bytes(type(made).model_validate(body | counts)))
