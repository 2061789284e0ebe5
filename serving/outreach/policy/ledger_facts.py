"""What the ledger knows and the feeds may not know yet: refusals in force, contacts made, persons claimed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from serving.database.tables_outreach import ChangeRow, ClaimDayRow, ContactRow, RefusalRow

HASHED = "#"
"""First character of a person or subscription that the ledger knows by its salted hash only: it was erased."""
EVERYBODY = "*"
"""Stands for a change that may be about anybody."""
_AT_ONCE = 500
"""Names in one query."""
CHANGES_LOCK = 0x1A51648
"""The lock under which PostgreSQL's triggers number a change (migration 0005)."""


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


def read_refusals(session: Session, on: date, of: Sequence[str] | None = None) -> tuple[Refusal, ...]:
    """Returns what the ledger forbids on a day; of everybody, or of some persons and subscriptions."""
    asked = select(RefusalRow).where((RefusalRow.ends_on.is_(None)) | (RefusalRow.ends_on > on))
    rows = (
        row
        for part in _parts(of)
        for row in session.scalars(
            asked
            if part is None
            else asked.where(or_(RefusalRow.person_id.in_(part), RefusalRow.customer_id.in_(part)))
        )
    )
    return tuple(
        {
            r.refusal_id: Refusal(r.code, r.person_id, r.customer_id, r.action, r.ticket_id, r.starts_on, r.ends_on)
            for r in rows
        }.values()
    )


def read_facts(session: Session, on: date, of: Sequence[str] | None = None) -> LedgerFacts:
    """Returns what the ledger adds to the feeds: refusals in force, contacts, and claims from `on` on.

    Args:
        session: The ledger.
        on: The as-of date.
        of: The persons and subscriptions whom it shall be about; None means everybody.
    """
    contacts: list[tuple[str, str, str, date]] = []
    claims: dict[str, date] = {}
    for part in _parts(of):
        met = select(ContactRow.person_id, ContactRow.contact_id, ContactRow.action, ContactRow.day)
        held = select(ClaimDayRow.person_id, func.max(ClaimDayRow.day)).where(ClaimDayRow.day >= on)
        if part is not None:
            met, held = met.where(ContactRow.person_id.in_(part)), held.where(ClaimDayRow.person_id.in_(part))
        contacts += [(row[0], row[1], row[2], row[3]) for row in session.execute(met.order_by(ContactRow.contact_id))]
        claims |= {row[0]: row[1] for row in session.execute(held.group_by(ClaimDayRow.person_id))}
    return LedgerFacts(read_refusals(session, on, of), tuple(contacts), claims)


def newest_change(session: Session) -> int:
    """Returns the number of the ledger's newest change that the policy knows nothing of yet, or knows."""
    return session.scalar(select(func.max(ChangeRow.number))) or 0


def changed_since(session: Session, number: int) -> list[str] | None:
    """Returns the persons and subscriptions of whom the ledger has heard since a change; None may be everybody."""
    names = list(session.scalars(select(ChangeRow.name).where(ChangeRow.number > number)))
    return None if any(name == EVERYBODY or name[:1] == HASHED for name in names) else names


def forget_changes(session: Session, names: Collection[str]) -> None:
    """Takes names out of the changes, and makes whoever keeps a policy read the whole ledger again."""
    if session.get_bind().dialect.name == "postgresql":  # numbers follow the order of the commits, as in the triggers
        session.execute(select(func.pg_advisory_xact_lock(CHANGES_LOCK)))
    number = newest_change(session) + 1  # first: the numbers never go back
    session.merge(ChangeRow(name=EVERYBODY, number=number))
    session.flush()
    for part in _parts(sorted(names)):
        session.execute(delete(ChangeRow).where(ChangeRow.name.in_(part or [])))


def _parts(names: Sequence[str] | None) -> Iterator[Sequence[str] | None]:
    if names is None:
        yield None
        return
    for start in range(0, len(names), _AT_ONCE):
        yield names[start : start + _AT_ONCE]
