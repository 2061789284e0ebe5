"""Idempotency keys: the same key and request get the same answer byte for byte; another request is refused."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from features.kit.clock import utc_now
from features.kit.errors import ConflictError
from serving.database.tables_access import IdempotencyRow


@dataclass(frozen=True)
class Answer:
    """An answer as it was given: HTTP status and body."""

    status: int
    body: bytes


def remembered(session: Session, owner: str, key: str, request: bytes) -> Answer | None:
    """Returns the answer once given to this owner's key, or None if the key is new.

    Call it first in the writing transaction that does the work, and `remember` last in the same one: then the work
    and its answer stand or fall together, and two requests with one key wait for each other.

    Raises:
        ConflictError: If the key came with another request before.
    """
    if session.get_bind().dialect.name == "postgresql":  # SQLite's writer is alone already
        session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:key))"), {"key": f"{owner} {key}"})
    row = session.scalars(select(IdempotencyRow).filter_by(owner=owner, key=key)).first()
    if row is None:
        return None
    if row.request_hash != _hash(request):
        raise ConflictError(f"the idempotency key '{key}' was used with another request", remedy="use a new key")
    return Answer(row.status, row.answer)


def remember(session: Session, owner: str, key: str, request: bytes, answer: Answer) -> None:
    """Keeps the answer for this owner's key, in place of an earlier one of the same request."""
    row = session.scalars(select(IdempotencyRow).filter_by(owner=owner, key=key)).first()
    if row is None:
        row = IdempotencyRow(owner=owner, key=key, request_hash=_hash(request), created_at=utc_now())
        session.add(row)
    row.status, row.answer = answer.status, answer.body


def _hash(request: bytes) -> str:
    return hashlib.sha256(request).hexdigest()
