"""What the ledger knows and the feeds may not know yet: refusals in force, contacts made, persons claimed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from serving.database.tables_outreach import ClaimDayRow, ContactRow, RefusalRow

HASHED = "#"
"""First character of a person or subscription that the ledger knows by its salted hash only: it was erased."""


@dataclass(frozen=True)
class Refusal:
    """What the ledger forbids: a code for a person or a subscription, for one action or all, for a time or for good."""

    code: str
    person_id: str | None
    customer_id: str | None
    action: str | None
    ticket_id: str | None
    starts_on: date
    ends_on: date | None


@dataclass(frozen=True)
class LedgerFacts:
    """What the ledger knows and the feeds may not know yet.

    Attributes:
        refusals: Everything forbidden.
        contacts: (person_id, contact_id, action, day) of contacts that reached the person.
        claimed_until: Last claimed day of each person with a claim.
    """

    refusals: tuple[Refusal, ...] = ()
    contacts: tuple[tuple[str, str, str, date], ...] = ()
    claimed_until: dict[str, date] = field(default_factory=dict)


def read_refusals(session: Session, on: date) -> tuple[Refusal, ...]:
    """Returns what the ledger forbids on a day."""
    rows = session.scalars(select(RefusalRow).where((RefusalRow.ends_on.is_(None)) | (RefusalRow.ends_on > on)))
    return tuple(
        Refusal(r.code, r.person_id, r.customer_id, r.action, r.ticket_id, r.starts_on, r.ends_on) for r in rows
    )


def read_facts(session: Session, on: date) -> LedgerFacts:
    """Returns what the ledger adds to the feeds: refusals in force, contacts, and claims from `on` on."""
    contacts = session.execute(
        select(ContactRow.person_id, ContactRow.contact_id, ContactRow.action, ContactRow.day).order_by(
            ContactRow.contact_id
        )
    )
    claims = session.execute(
        select(ClaimDayRow.person_id, func.max(ClaimDayRow.day))
        .where(ClaimDayRow.day >= on)
        .group_by(ClaimDayRow.person_id)
    )
    return LedgerFacts(
        refusals=read_refusals(session, on),
        contacts=tuple((person, contact_id, action, day) for person, contact_id, action, day in contacts),
        claimed_until={row[0]: row[1] for row in claims},
    )
