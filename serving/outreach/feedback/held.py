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

from features.feeds.landed.reading import Feeds
from features.kit.clock import civil_date, utc_now
from features.kit.errors import ConfigurationError, ConflictError, NotFoundError
from features.kit.home import Home
from serving.database.audit import record
from serving.database.session import reading, writing
from serving.database.tables_outreach import AttemptRow, ContactRow
from serving.outreach.feedback.contacts import is_of_line
from serving.outreach.feedback.outcomes import CLOCK_SKEW
from serving.outreach.feedback.reported_rows import (
    contact_row,
    on_calendar,
    outcome_row,
    own_contact_id,
    refused_rows,
    timed,
)
from serving.outreach.policy.states import read_states
from serving.outreach.settings import load_settings

SHOWN_BY = "insight outcomes held"
KINDS: dict[str, tuple[Any, str]] = {"contact": (ContactRow, "contact_id"), "outcome": (AttemptRow, "attempt_id")}


@dataclass(frozen=True)
class HeldReport:
    """A report that is in the ledger and cannot land."""

    held_id: str  # what `mend` and `drop` take
    kind: str  # `contact` or `outcome`
    report_id: str  # the id of the contact, as it was sent, or of the attempt
    what: str  # the action, or line and disposition
    at: datetime  # when it is said to have happened
    reported_at: datetime  # when it was recorded
    reason: str  # feed, reason and column


def held_reports(engine: Engine) -> list[HeldReport]:
    """Returns what is set aside, oldest report first."""
    with reading(engine) as session:
        found = [_described(kind, row) for kind, row in _held(session)]
    return sorted(found, key=lambda report: (report.reported_at, report.held_id))


def held_summary(engine: Engine) -> dict[str, Any]:
    """Returns how many reports are set aside, and the command that shows them: plain values for people and programs."""
    with reading(engine) as session:
        return {"reports": len(_held(session)), "shown_by": SHOWN_BY}


def held_note(summary: dict[str, Any]) -> str:
    """Returns what `held_summary` says as one line for a person, or nothing if nothing is set aside."""
    count = summary["reports"]
    return f"{count} reports are set aside and not in the feeds; `{SHOWN_BY}` shows them" if count else ""


def mend_report(
    home: Home,
    engine: Engine,
    held_id: str,
    *,
    at: datetime | None = None,
    contact_id: str | None = None,
    customer_id: str | None = None,
    action: str | None = None,
) -> None:
    """Corrects a report that is set aside, so that the next landing takes it; audited with what it was.

    Raises:
        ConfigurationError: If the correction would be refused again, or nothing is corrected.
        ConflictError: If another contact has that id.
        NotFoundError: If nothing is set aside under this id.
        NotReadyError: If no feeds have landed.
    """
    feeds = Feeds.open(home)
    zone = feeds.operator.time_zone
    changed = _checked(feeds, at, {"client_id": contact_id, "customer_id": customer_id, "action": action})
    with writing(engine) as session:
        kind, row = _find(session, held_id)
        before = _audited(kind, row) | {"reason": row.held_reason}
        if set(changed) - {"at"} and (kind == "outcome" or is_of_line(session, row)):
            raise ConfigurationError(f"'{held_id}' is a report on a line and keeps the line's id, customer and action")
        for name, value in changed.items():
            setattr(row, name, value)
        if kind == "contact":
            row.day = civil_date(row.at, zone) if at is not None else row.day
        feed, values = _row_of(kind, row)
        refused = refused_rows(feed, [values], zone, utc_now())
        if refused:
            raise ConfigurationError(f"'{held_id}' would still be refused: {refused[0]}")
        if {"client_id", "customer_id"} & set(changed):
            _renumber(session, row)
        row.held_reason = None
        detail = {"before": before, "after": _audited(kind, row)}
        record(session, actor="cli", action="outcomes.mend", subject=held_id, detail=detail)


def _checked(feeds: Feeds, at: datetime | None, given: dict[str, str | None]) -> dict[str, Any]:
    """Returns column -> right value. Raises ConfigurationError naming the option that cannot be right."""
    changed: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    settings = load_settings()
    if at is not None:
        changed["at"] = at
        if not on_calendar(at) or at > utc_now() + CLOCK_SKEW:
            raise ConfigurationError(f"--at: {at} lies in the future or on no calendar")
    if not changed:
        raise ConfigurationError("nothing to mend", remedy="give --at, --contact-id, --customer or --action")
    if changed.get("action", "") not in {"", *settings.actions}:
        known = ", ".join(sorted(settings.actions))
        raise ConfigurationError(f"--action: no action '{changed['action']}'; known: {known}")
    if "customer_id" in changed:
        states = read_states(feeds, feeds.latest_as_of(), settings).states
        persons = dict(zip(states["customer_id"].to_pylist(), states["person_id"].to_pylist(), strict=True))
        if changed["customer_id"] not in persons:
            raise ConfigurationError(f"--customer: no customer '{changed['customer_id']}' in the feeds")
        changed["person_id"] = persons[changed["customer_id"]]
    return changed


def _renumber(session: Session, row: ContactRow) -> None:
    """Gives a contact the id that its sender, customer and sent id make. Raises ConflictError if one has it."""
    row.client_id = row.client_id or row.contact_id
    own = own_contact_id(row.owner or "", row.customer_id, row.client_id)
    if session.scalar(
        select(ContactRow.day).where(ContactRow.contact_id == own, ContactRow.contact_id != row.contact_id)
    ):
        raise ConflictError(f"contact '{row.client_id}' of this customer is recorded already")
    row.contact_id = own


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
        detail = {"why": why, "report_id": _report_id(kind, row), "reason": row.held_reason}
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
    # An id of its own: that of the report may be blank, and the reason for being set aside.
    held_id = "H" + hashlib.sha256(f"{kind}\x00{getattr(row, KINDS[kind][1])}".encode()).hexdigest()[:9]
    what = row.action if kind == "contact" else f"{row.line_id} {row.disposition}"
    return HeldReport(held_id, kind, _report_id(kind, row), what, row.at, row.reported_at, row.held_reason)


def _report_id(kind: str, row: Any) -> str:
    """Returns the id as its sender gave it."""
    return str(row.attempt_id if kind == "outcome" else row.client_id or row.contact_id)


def _audited(kind: str, row: Any) -> dict[str, str]:
    own = {"customer_id": row.customer_id, "action": row.action} if kind == "contact" else {}
    return {"at": row.at.isoformat(), "report_id": _report_id(kind, row), **own}


def _row_of(kind: str, row: Any) -> tuple[str, dict[str, Any]]:
    """Returns feed and row as the door judges them: by the id that the sender gave."""
    if kind == "contact":
        return "contacts", contact_row(row, row.reported_at) | {"contact_id": _report_id(kind, row)}
    outcome = outcome_row(row.attempt_id, row.line_id, row.disposition, row.order_reference)
    return "outcomes", {**timed("any", row.at, row.reported_at), **outcome}
