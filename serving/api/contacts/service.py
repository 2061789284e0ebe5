"""Contacts that a campaign tool made: they count in the caps of the next list at once and become a feed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from features.kit.clock import utc_now
from features.kit.errors import ConflictError
from serving.api.answers import item_error
from serving.api.auth import may_see
from serving.api.contacts.schemas import ContactIn, ContactsRequest
from serving.api.context import Context
from serving.api.scores.service import UNKNOWN
from serving.database.keys import ApiKey
from serving.outreach.lists.feedback import ToldContact, record_contacts
from serving.outreach.policy.policy import PolicyBook

_AHEAD = timedelta(minutes=5)


def record(context: Context, key: ApiKey, request: ContactsRequest) -> dict[str, Any]:
    """Records each contact by itself; telling one again changes nothing (see `ContactsAnswer`).

    Raises:
        NotReadyError: Before the first landing or publish.
    """
    book, zone = context.policy(), context.feeds().operator.time_zone
    items = [_one(context, key, book, zone, one) for one in request.contacts]
    return {"recorded": sum(item["status"] == "recorded" for item in items), "items": items}


def _one(context: Context, key: ApiKey, book: PolicyBook, zone: str, one: ContactIn) -> dict[str, Any]:
    row = book.row_of.get(one.customer_id)
    if row is None or not may_see(key, {name: book.table[name][row].as_py() for name in ("province", "city")}):
        return {"contact_id": one.contact_id, "status": "unknown_customer", "error": UNKNOWN}
    if one.at > utc_now() + _AHEAD:
        error = {"code": "invalid_request", "detail": "at: a contact of the future; tell it once it has been made"}
        return {"contact_id": one.contact_id, "status": "refused", "error": error}
    if one.action not in book.settings.actions:
        known = ", ".join(sorted(book.settings.actions))
        error = {"code": "invalid_request", "detail": f"action: no action '{one.action}'; known: {known}"}
        return {"contact_id": one.contact_id, "status": "refused", "error": error}
    told = ToldContact(
        contact_id=one.contact_id,
        customer_id=one.customer_id,
        at=one.at.replace(microsecond=0),
        action=one.action,
        channel=one.channel,
        campaign=one.campaign,
    )
    try:
        record_contacts(context.engine, [told], {one.customer_id: book.person_ids[row]}, zone)
    except ConflictError as conflict:
        return {"contact_id": one.contact_id, "status": "conflict", "error": item_error(conflict)}
    return {"contact_id": one.contact_id, "status": "recorded", "error": None}
