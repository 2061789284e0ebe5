"""Contacts that a campaign tool made, in the ledger: the tool's ids belong to its API key and to the customer."""

from __future__ import annotations

from sqlalchemy import Engine, or_, select
from sqlalchemy.orm import Session

from features.kit.clock import civil_date, utc_now
from features.kit.errors import ConflictError
from serving.database.session import writing
from serving.database.tables_outreach import ContactRow, OutreachLineRow
from serving.outreach.feedback.reported_rows import ReportedContact, own_contact_id


def record_contact(engine: Engine, contact: ReportedContact, person_id: str, time_zone: str, *, owner: str) -> bool:
    """Counts a contact in the caps at once; returns whether it was new.

    `owner` is the id of the API key that reports it.

    Raises:
        ConflictError: If the key used the contact_id for another contact of this customer.
    """
    contact_id = own_contact_id(owner, contact.customer_id, contact.contact_id)
    values = {name: value for name, value in contact.__dict__.items() if name != "contact_id"}
    with writing(engine) as session:
        known = session.get(ContactRow, contact_id)
        if known is not None:
            if not _is_same(known, values):
                raise ConflictError(f"contact '{contact.contact_id}' was reported before as another contact")
            return False
        if any(_is_same(row, values) for row in _without_owner(session, contact.contact_id)):
            return False
        session.add(
            ContactRow(
                contact_id=contact_id, owner=owner, client_id=contact.contact_id, person_id=person_id,
                day=civil_date(contact.at, time_zone), reported_at=utc_now(), **values,
            )
        )  # fmt: skip
    return True


def is_of_line(session: Session, row: ContactRow) -> bool:
    """Returns whether a contact is what an agent reported on a line, and not a tool's that has the line's id."""
    line = session.get(OutreachLineRow, row.contact_id)
    return row.client_id is None and line is not None and line.customer_id == row.customer_id


def _without_owner(session: Session, client_id: str) -> list[ContactRow]:
    """Returns the contacts with a tool's id that were recorded before keys owned them."""
    found = session.scalars(
        select(ContactRow).where(
            ContactRow.owner.is_(None), or_(ContactRow.client_id == client_id, ContactRow.contact_id == client_id)
        )
    )
    return [row for row in found if not is_of_line(session, row)]


def _is_same(row: ContactRow, values: dict[str, object]) -> bool:
    return all(getattr(row, name) == value for name, value in values.items())
