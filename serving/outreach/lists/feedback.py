"""Outcomes become feeds: what agents and campaign tools report is landed as contacts, outcomes and tickets.

The ledger is written first, so that an opt-out binds at once; landing follows and may be repeated: rows carry the
time of the report as their knowledge time, so the same row lands once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from features.feeds.landed.reading import Feeds
from features.kit.clock import civil_date, utc_now
from features.kit.errors import ConflictError, DataError
from features.kit.home import Home
from features.kit.runs import hit, run_lock
from serving.database.session import open_database, reading, writing
from serving.database.tables_outreach import AttemptRow, ContactRow, OutreachLineRow
from serving.outreach.lists.outcomes import ImportResult, complaint_ticket, record_reports
from serving.outreach.lists.returns import Report
from serving.outreach.settings import load_settings


@dataclass(frozen=True)
class ReportedContact:
    """A contact that a campaign tool made.

    Attributes:
        contact_id: The tool's own id.
        customer_id: Whom.
        at: When, aware.
        action: What.
        channel: How.
        campaign: As part of which campaign, if any.
    """

    contact_id: str
    customer_id: str
    at: datetime
    action: str
    channel: str | None = None
    campaign: str | None = None


def import_outcomes(home: Home, reports: Sequence[Report]) -> ImportResult:
    """Records reports in the ledger and lands them; landing waits for the next run if another one is writing.

    Raises:
        NotReadyError: If no feeds have landed.
    """
    engine = open_database(home)
    result = record_reports(engine, reports, load_settings(), Feeds.open(home).operator.time_zone)
    hit("outreach.after_import")
    try_landing(home, engine)
    return result


def record_contacts(
    engine: Engine, contacts: Sequence[ReportedContact], persons: dict[str, str], time_zone: str
) -> int:
    """Counts contacts that a campaign tool made in the caps at once; returns how many were new.

    Args:
        engine: The operational database.
        contacts: What was sent.
        persons: customer_id to person_id of everybody contacted.
        time_zone: The operator's.

    Raises:
        ConflictError: If a contact_id was used for another contact.
        DataError: If a customer is unknown; nothing is recorded then.
    """
    now = utc_now()
    new = 0
    with writing(engine) as session:
        for contact in contacts:
            if contact.customer_id not in persons:
                raise DataError(f"contact '{contact.contact_id}': unknown customer '{contact.customer_id}'")
            known = session.get(ContactRow, contact.contact_id)
            if known is not None:
                if any(getattr(known, name) != value for name, value in contact.__dict__.items()):
                    raise ConflictError(f"contact '{contact.contact_id}' was told before as another contact")
                continue
            day = civil_date(contact.at, time_zone)
            values = {**contact.__dict__, "person_id": persons[contact.customer_id], "day": day, "reported_at": now}
            session.add(ContactRow(**values))
            new += 1
    return new


def try_landing(home: Home, engine: Engine | None = None) -> dict[str, int] | None:
    """Lands what is pending, or returns None if another run is writing; the next one lands it then."""
    try:
        with run_lock(home, "feedback"):
            return land_pending(home, engine)
    except ConflictError:
        return None


def land_pending(home: Home, engine: Engine | None = None) -> dict[str, int]:
    """Lands every report that is in the ledger and not yet in the feeds; the caller holds the run lock.

    Returns:
        Feed to rows landed.
    """
    from features.feeds.landing.system_rows import land_rows

    engine = engine or open_database(home)
    with reading(engine) as session:
        contacts, outcomes, tickets = _pending_contacts(session), *_pending_outcomes(session)
    landed = {}
    arrived = utc_now()
    for feed, rows in (("contacts", contacts), ("outcomes", outcomes), ("tickets", tickets)):
        if rows:
            land_rows(home, feed, _table(rows), arrived_at=arrived)
            landed[feed] = len(rows)
            hit(f"outreach.after_{feed}")
    if landed:
        with writing(engine) as session:
            _mark(session, ContactRow, ContactRow.contact_id, [row["contact_id"] for row in contacts], arrived)
            _mark(session, AttemptRow, AttemptRow.attempt_id, [row["event_id"] for row in outcomes], arrived)
    return landed


def _pending_contacts(session: Session) -> list[dict[str, Any]]:
    rows = session.scalars(select(ContactRow).where(ContactRow.landed_at.is_(None)).order_by(ContactRow.contact_id))
    return [
        {
            "customer_id": row.customer_id,
            "event_at": row.at,
            "known_at": row.reported_at,
            "contact_id": row.contact_id,
            "campaign": row.campaign,
            "action": row.action,
            "channel": row.channel,
            "arm": "treated",
        }
        for row in rows
    ]


def _pending_outcomes(session: Session) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Returns the pending rows of outcomes, and of tickets for complaints made on the spot."""
    rows = session.execute(
        select(AttemptRow, OutreachLineRow)
        .join(OutreachLineRow, OutreachLineRow.line_id == AttemptRow.line_id)
        .where(AttemptRow.landed_at.is_(None))
        .order_by(AttemptRow.attempt_id)
    )
    outcomes, tickets = [], []
    for attempt, line in rows:
        common = {"customer_id": line.customer_id, "event_at": attempt.at, "known_at": attempt.reported_at}
        outcomes.append(
            {
                **common,
                "event_id": attempt.attempt_id,
                "contact_id": line.line_id,
                "outcome": attempt.disposition,
                "accepted": attempt.disposition == "accepted",
                "order_reference": attempt.order_reference,
            }
        )
        if attempt.disposition == "complained" and attempt.ticket_id is None:
            tickets.append(
                {
                    **common,
                    "ticket_id": complaint_ticket(attempt.attempt_id),
                    "kind": "complaint",
                    "channel": line.channel,
                    "status": "open",
                    "opened_at": attempt.at,
                }
            )
    return outcomes, tickets


def _table(rows: list[dict[str, Any]]) -> Any:
    import pyarrow as pa

    naive = [{name: _naive(value) for name, value in row.items()} for row in rows]
    table = pa.Table.from_pylist(naive)
    text = [pa.field(f.name, pa.string()) if pa.types.is_null(f.type) else f for f in table.schema]
    seconds = [pa.field(f.name, pa.timestamp("s")) if pa.types.is_timestamp(f.type) else f for f in text]
    return table.cast(pa.schema(seconds))


def _naive(value: Any) -> Any:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def _mark(session: Session, table: Any, column: Any, ids: list[str], at: datetime) -> None:
    for start in range(0, len(ids), 500):
        session.execute(update(table).where(column.in_(ids[start : start + 500])).values(landed_at=at))
