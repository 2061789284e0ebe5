"""Outcomes become feeds: what agents and campaign tools report is landed as contacts, outcomes and tickets.

The ledger is written first, so that an opt-out binds at once; landing follows and may be repeated: rows carry the
time of the report as their knowledge time, so the same row lands once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, inspect, select, update
from sqlalchemy.orm import Session

from features.feeds.landed.reading import Feeds
from features.kit.clock import utc_now
from features.kit.errors import ConflictError
from features.kit.home import Home
from features.kit.runs import hit, run_lock
from serving.database.session import open_database, reading, writing
from serving.database.tables_outreach import AttemptRow, ContactRow, OutreachLineRow
from serving.outreach.feedback.issued import unchanged_reports
from serving.outreach.feedback.outcomes import ImportResult, complaint_ticket, record_reports
from serving.outreach.feedback.reported_rows import contact_row, outcome_row, table_of, timed
from serving.outreach.feedback.returns import Report
from serving.outreach.settings import load_settings


def import_outcomes(home: Home, reports: Sequence[Report]) -> ImportResult:
    """Records reports in the ledger and lands them; landing waits for the next run if another one is writing.

    Raises:
        NotReadyError: If no feeds have landed.
    """
    engine = open_database(home)
    kept, changed = unchanged_reports(home, engine, reports)
    result = record_reports(engine, kept, load_settings(), Feeds.open(home).operator.time_zone)
    result.errors += changed
    hit("outreach.after_import")
    try_landing(home, engine)
    return result


def try_landing(home: Home, engine: Engine | None = None) -> dict[str, int] | None:
    """Lands what is pending, or returns None if another run is writing; the next one lands it then."""
    try:
        with run_lock(home, "feedback"):
            return land_pending(home, engine)
    except ConflictError:
        return None


def land_pending(home: Home, engine: Engine | None = None) -> dict[str, int]:
    """Lands every report that is in the ledger and not yet in the feeds; the caller holds the run lock.

    A report that landing refuses is set aside alone, with the reason; every landing tries it again.

    Returns:
        Feed to rows landed.
    """
    from features.feeds.landing.system_rows import land_rows

    engine = engine or open_database(home)
    with reading(engine) as session:
        pending = _pending(session)
    landed: dict[str, int] = {}
    refused: dict[tuple[Any, str], str] = {}
    arrived = utc_now()
    for feed, waiting in pending.items():
        if waiting:
            found = land_rows(home, feed, table_of([row for _, row in waiting]), arrived_at=arrived).refused
            refused |= {waiting[place][0]: f"{feed}: {reason}" for place, reason in found.items()}
            landed |= {feed: len(waiting) - len(found)} if len(waiting) > len(found) else {}
            hit(f"outreach.after_{feed}")
    owners = [owner for waiting in pending.values() for owner, _ in waiting]
    if owners:
        with writing(engine) as session:
            for table in (ContactRow, AttemptRow):
                done = {key for kind, key in owners if kind is table and (kind, key) not in refused}
                _mark(session, table, sorted(done), landed_at=arrived, held_reason=None)
            for (table, key), reason in refused.items():
                _mark(session, table, [key], held_reason=reason)
    return landed


def _pending(session: Session) -> dict[str, list[tuple[tuple[Any, str], dict[str, Any]]]]:
    """Returns feed -> (table and key of the report, row to land), in landing order.

    A complaint made on the spot is an outcome and a ticket.
    """
    contacts = session.scalars(select(ContactRow).where(*_waiting(ContactRow)).order_by(ContactRow.contact_id))
    rows = session.execute(
        select(AttemptRow, OutreachLineRow)
        .join(OutreachLineRow, OutreachLineRow.line_id == AttemptRow.line_id)
        .where(*_waiting(AttemptRow))
        .order_by(AttemptRow.attempt_id)
    )
    outcomes, tickets = [], []
    for attempt, line in rows:
        owner = (AttemptRow, attempt.attempt_id)
        common = timed(line.customer_id, attempt.at, attempt.reported_at)
        outcome = outcome_row(attempt.attempt_id, line.line_id, attempt.disposition, attempt.order_reference)
        outcomes.append((owner, {**common, **outcome}))
        if attempt.disposition == "complained" and attempt.ticket_id is None:
            ticket = {
                "ticket_id": complaint_ticket(attempt.attempt_id),
                "kind": "complaint",
                "channel": line.channel,
                "status": "open",
                "opened_at": attempt.at,
            }
            tickets.append((owner, {**common, **ticket}))
    talks = [((ContactRow, row.contact_id), contact_row(row, row.reported_at)) for row in contacts]
    return {"contacts": talks, "outcomes": outcomes, "tickets": tickets}


def _waiting(table: Any) -> tuple[Any, ...]:
    return table.landed_at.is_(None), table.dropped_at.is_(None)


def _mark(session: Session, table: Any, keys: list[str], **values: Any) -> None:
    (column,) = inspect(table).primary_key
    for start in range(0, len(keys), 500):
        session.execute(update(table).where(column.in_(keys[start : start + 500])).values(**values))
