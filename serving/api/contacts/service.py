"""Contacts that a campaign tool made: they count in the caps of the next list at once and become a feed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from features.kit.clock import utc_now
from features.kit.errors import ConflictError, InsightError, NotReadyError
from serving.api.answers import FAILED, ErrorOut
from serving.api.auth import may_see
from serving.api.contacts.schemas import ContactIn, ContactOut, ContactsAnswer, ContactsRequest
from serving.api.context import Context
from serving.api.customer.portrait import UNKNOWN_CUSTOMER
from serving.api.errors import InvalidRequestError
from serving.database.keys import ApiKey
from serving.outreach.feedback.contacts import record_contact
from serving.outreach.feedback.reported_rows import ReportedContact, contact_row, refused_rows
from serving.outreach.lists.ledger import Batch
from serving.outreach.policy.policy import PolicyBook

_AHEAD = timedelta(minutes=5)
_STATUS: dict[type[InsightError], str] = {
    InvalidRequestError: "refused", ConflictError: "conflict", NotReadyError: FAILED
}  # fmt: skip


def record(context: Context, key: ApiKey, request: ContactsRequest) -> ContactsAnswer:
    """Records each contact by itself; sending one again changes nothing.

    Raises:
        NotReadyError: Before the first landing or publish.
    """
    book, zone, now = context.policy(), context.feeds().operator.time_zone, utc_now()
    refused = refused_rows("contacts", [contact_row(contact, now) for contact in request.contacts], zone, now)
    batch = Batch()

    def write(contact: ContactIn, person_id: str) -> None:
        made = ReportedContact(**contact.model_dump() | {"at": contact.at.replace(microsecond=0)})
        batch.write(partial(record_contact, context.engine, made, person_id, zone, owner=key.key_id))

    items = [_record(key, book, contact, refused.get(place), write) for place, contact in enumerate(request.contacts)]
    return ContactsAnswer(recorded=sum(item.status == "recorded" for item in items), items=items)


def _record(
    key: ApiKey, book: PolicyBook, contact: ContactIn, refused: str | None, write: Callable[[ContactIn, str], None]
) -> ContactOut:
    row = book.row_of.get(contact.customer_id)
    if row is None or not may_see(key, {name: book.table[name][row].as_py() for name in ("province", "city")}):
        return ContactOut(contact_id=contact.contact_id, status="unknown_customer", error=UNKNOWN_CUSTOMER)
    try:
        _check(contact, book, refused)
        write(contact, book.person_of(row))
    except (InvalidRequestError, ConflictError, NotReadyError) as error:
        return ContactOut(contact_id=contact.contact_id, status=_STATUS[type(error)], error=ErrorOut.of(error))
    return ContactOut(contact_id=contact.contact_id, status="recorded", error=None)


def _check(contact: ContactIn, book: PolicyBook, refused: str | None) -> None:
    """Raises InvalidRequestError for a contact that the feed refuses or of the future, or an action nobody knows."""
    if refused is not None:
        reason, _, column = refused.partition(":")
        raise InvalidRequestError(f"{'at' if column == 'event_at' else column}: {reason}; the feed refuses it")
    if contact.at > utc_now() + _AHEAD:
        raise InvalidRequestError("at: a contact of the future; send it once it has been made")
    if contact.action not in book.settings.actions:
        known = ", ".join(sorted(book.settings.actions))
        raise InvalidRequestError(f"action: no action '{contact.action}'; known: {known}")
