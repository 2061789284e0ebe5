"""One request, one effect: an answer is kept under the caller's Idempotency-Key and given again byte for byte.

The work itself must be repeatable (contacts and attempts have identities of their own): a process that dies between
the work and keeping its answer does the work again without effect and gives the same answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import orjson
from fastapi import BackgroundTasks, Response
from pydantic import BaseModel
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from serving.api.answers import json_bytes
from serving.api.context import Context
from serving.database.idempotency import Answer, remember, remembered
from serving.database.keys import ApiKey
from serving.database.session import writing
from serving.outreach.feedback.landing import try_landing

Request = TypeVar("Request", bound=BaseModel)


def record_once(
    context: Context,
    key: ApiKey,
    idempotency_key: str,
    operation: str,
    request: Request,
    record: Callable[[Context, ApiKey, Request], BaseModel],
    later: BackgroundTasks,
) -> Response:
    """Returns the answer to a report of contacts or outcomes; after it has gone out, what was recorded is landed."""
    answer = once(
        context.engine, key.key_id, idempotency_key, operation, request, lambda: record(context, key, request)
    )
    later.add_task(try_landing, context.home, context.engine)
    return Response(answer.body, answer.status, media_type="application/json", background=later)


def once(
    engine: Engine, owner: str, key: str, operation: str, request: BaseModel, work: Callable[[], BaseModel]
) -> Answer:
    """Returns the kept answer, or does the work and keeps its answer (status 200).

    Args:
        engine: The operational database.
        owner: Whose key it is.
        key: The Idempotency-Key.
        operation: The route: one key serves one operation.
        request: The body.
        work: Does the work and returns the response model.

    Raises:
        ConflictError: If the key came with another request before.
    """
    asked = operation.encode() + b"\x00" + orjson.dumps(request.model_dump(mode="json"))
    with writing(engine) as session:
        known = remembered(session, owner, key, asked)
    if known is not None:
        return known
    answer = Answer(200, json_bytes(work()))
    try:
        with writing(engine) as session:
            known = remembered(session, owner, key, asked)
            if known is None:
                remember(session, owner, key, asked, answer)
    except IntegrityError:  # PostgreSQL: another process kept the same key meanwhile
        with writing(engine) as session:
            known = remembered(session, owner, key, asked)
    return known or answer
