"""Reports set aside because the feeds refuse them: shown, mended or dropped; the rest lands without them.

What a report forbids or counts holds from the moment it was recorded, set aside or not.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from features.kit.clock import civil_date, utc_now
from features.kit.errors import ConfigurationError, ConflictError, NotFoundError
from serving.database.audit import record
from serving.database.session import reading, writing
from serving.database.tables_outreach import AttemptRow, ContactRow
from serving.outreach.feedback.outcomes import CLOCK_SKEW
from serving.outreach.feedback.reported_rows import contact_row, on_calendar, outcome_row, refused_rows, timed

KINDS: dict[str, tuple[Any, str]] = {"contact": (ContactRow, "contact_id"), "outcome": (AttemptRow, "attempt_id")}


@dataclass(frozen=True)
class HeldReport:
    """A report that is in the ledger and cannot land.

    Attributes:
        held_id: What `mend` and `drop` take.
        kind: `contact` or `outcome`.
        report_id: The id of the contact or of the attempt.
        what: The action, or line and disposition.
        at: When it is said to have happened.
        reported_at: When it was recorded.
        reason: Feed, reason and column.
    """

    held_id: str
    kind: str
    report_id: str
    what: str
    at: datetime
    reported_at: datetime
    reason: str


def held_reports(engine: Engine) -> list[HeldReport]:
    """Returns what is set aside, oldest report first."""
    with reading(engine) as session:
        found = [_described(kind, row) for kind, row in _held(session)]
    return sorted(found, key=lambda report: (report.reported_at, report.held_id))


def held_note(engine: Engine) -> str:
    """Returns one line for a person, or nothing if nothing is set aside."""
    count = len(held_reports(engine))
    return f"{count} reports are set aside and not in the feeds; `insight outcomes held` shows them" if count else ""


def mend_report(
    engine: Engine, held_id: str, time_zone: str, *, at: datetime | None = None, contact_id: str | None = None
) -> None:
    """Corrects a report that is set aside, so that the next landing takes it; audited with what it was.

    Raises:
        ConfigurationError: If the correction would be refused again, or nothing is corrected.
        ConflictError: If another contact has that id.
        NotFoundError: If nothing is set aside under this id.
    """
    now = utc_now()
    if at is None and contact_id is None:
        raise ConfigurationError("nothing to mend", remedy="give --at or --contact-id")
    if at is not None and (not on_calendar(at) or at > now + CLOCK_SKEW):
        raise ConfigurationError(f"--at: {at} lies in the future or on no calendar")
    with writing(engine) as session:
        kind, row = _find(session, held_id)
        before = {"at": row.at.isoformat(), "report_id": getattr(row, KINDS[kind][1]), "reason": row.held_reason}
        if contact_id is not None:
            if kind != "contact":
                raise ConfigurationError(f"--contact-id: '{held_id}' is the outcome of a line and keeps the line's id")
            if session.get(ContactRow, contact_id) is not None:
                raise ConflictError(f"contact '{contact_id}' is recorded already")
            row.contact_id = contact_id
        if at is not None:
            row.at = at
            if kind == "contact":
                row.day = civil_date(at, time_zone)
        feed, values = _row_of(kind, row)
        refused = refused_rows(feed, [values], time_zone, now)
        if refused:
            raise ConfigurationError(f"'{held_id}' would still be refused: {refused[0]}")
        row.held_reason = None
        after = {"at": row.at.isoformat(), "report_id": getattr(row, KINDS[kind][1])}
        record(session, actor="cli", action="outcomes.mend", subject=held_id, detail={"before": before, "after": after})


def drop_report(engine: Engine, held_id: str, why: str) -> None:
    """Keeps a report that is set aside out of the feeds for good; the ledger keeps it and what it forbids. Audited.

    Raises:
        ConfigurationError: If no reason is given.
        NotFoundError: If nothing is set aside under this id.
    """
    if len(why.strip()) < 5:
        raise ConfigurationError("--why: at least 5 characters; the audit keeps it")
    with writing(engine) as session:
        kind, row = _find(session, held_id)
        row.dropped_at = utc_now()
        detail = {"why": why, "report_id": getattr(row, KINDS[kind][1]), "reason": row.held_reason}
        record(session, actor="cli", action="outcomes.drop", subject=held_id, detail=detail)


def _held(session: Session) -> list[tuple[str, Any]]:
    return [
        (kind, row)
        for kind, (table, _) in KINDS.items()
        for row in session.scalars(select(table).where(table.held_reason.is_not(None), table.dropped_at.is_(None)))
    ]


def _find(session: Session, held_id: str) -> tuple[str, Any]:
    for kind, row in _held(session):
        if _described(kind, row).held_id == held_id:
            return kind, row
    raise NotFoundError(f"nothing is set aside as '{held_id}'", remedy="`insight outcomes held` shows what is")


def _described(kind: str, row: Any) -> HeldReport:
    report_id = getattr(row, KINDS[kind][1])
    # An id of its own: that of the report may be blank, and the reason for being set aside.
    held_id = "H" + hashlib.sha256(f"{kind}\x00{report_id}".encode()).hexdigest()[:9]
    what = row.action if kind == "contact" else f"{row.line_id} {row.disposition}"
    return HeldReport(held_id, kind, report_id, what, row.at, row.reported_at, row.held_reason)


def _row_of(kind: str, row: Any) -> tuple[str, dict[str, Any]]:
    if kind == "contact":
        return "contacts", contact_row(row, row.reported_at)
    outcome = outcome_row(row.attempt_id, row.line_id, row.disposition, row.order_reference)
    return "outcomes", {**timed("any", row.at, row.reported_at), **outcome}
