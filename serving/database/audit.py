"""The audit trail: who did what to what, each entry chained to the one before by its hash."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from features.erasure.rewriting import ERASED
from features.kit.clock import utc_now
from serving.database.session import reading
from serving.database.tables_access import AuditRow

_FIRST = "0" * 64


@dataclass(frozen=True)
class Redaction:
    """What a redaction did."""

    entries: int  # entries changed
    ended_with: str  # the hash that the chain ended with before
    broken_at: int | None  # the first entry that did not fit before, or None; from there nothing is chained again


def record(session: Session, *, actor: str, action: str, subject: str, detail: dict[str, Any] | None = None) -> int:
    """Adds one entry inside the caller's transaction, so that an action and its entry stand or fall together.

    The `actor` is a key id, or `cli:<user>`; the `action` is what was done, e.g. `outreach.handover`; the `subject`
    what it was done to, e.g. a list id, never a phone number.

    Returns:
        The entry's number: 1, 2, 3 ... without a gap.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("LOCK TABLE audit IN EXCLUSIVE MODE"))  # SQLite's writer is alone already
    session.flush()
    last = session.scalars(select(AuditRow).order_by(AuditRow.entry_id.desc()).limit(1)).first()
    row = AuditRow(
        entry_id=1 if last is None else last.entry_id + 1,
        at=utc_now(),
        actor=actor,
        action=action,
        subject=subject,
        detail=orjson.dumps(detail or {}, option=orjson.OPT_SORT_KEYS).decode(),
        previous_hash=_FIRST if last is None else last.entry_hash,
    )
    row.entry_hash = _hash(row)
    session.add(row)
    return row.entry_id


def redact(session: Session, pattern: re.Pattern[str]) -> Redaction:
    """Replaces what a pattern finds in the trail by `erased` and chains the entries again.

    It belongs to the caller's transaction, and the caller records what it returns: chaining again must not hide that
    the chain was broken before.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("LOCK TABLE audit IN EXCLUSIVE MODE"))
    session.flush()
    ended_with = previous = _FIRST
    changed, broken = 0, None
    for expected, row in enumerate(session.scalars(select(AuditRow).order_by(AuditRow.entry_id)), start=1):
        is_sound = (row.entry_id, row.previous_hash, row.entry_hash) == (expected, ended_with, _hash(row))
        broken = broken or (None if is_sound else expected)
        ended_with = row.entry_hash
        subject, detail = pattern.sub(ERASED, row.subject), pattern.sub(ERASED, row.detail)
        if (subject, detail) != (row.subject, row.detail):
            row.subject, row.detail, changed = subject, detail, changed + 1
        if changed and broken is None:
            row.previous_hash = previous
            row.entry_hash = _hash(row)
        previous = row.entry_hash
    return Redaction(changed, ended_with, broken)


def first_tampered(engine: Engine) -> int | None:
    """Returns the number of the first entry that was changed, removed or put in, or None if the chain is whole.

    Entries cut off at the end leave a whole chain; keep the last hash elsewhere to see that.
    """
    previous = _FIRST
    expected = 1
    with reading(engine) as session:
        for row in session.scalars(select(AuditRow).order_by(AuditRow.entry_id)).yield_per(1000):
            if row.entry_id != expected or row.previous_hash != previous or row.entry_hash != _hash(row):
                return expected
            previous, expected = row.entry_hash, expected + 1
    return None


def _hash(row: AuditRow) -> str:
    fields = [row.entry_id, row.at.isoformat(), row.actor, row.action, row.subject, row.detail, row.previous_hash]
    return hashlib.sha256(orjson.dumps(fields)).hexdigest()
