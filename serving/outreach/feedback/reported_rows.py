"""Reports as rows of the feeds they become, and the door: what landing would refuse is refused before it is recorded.

One shape serves both, so the door cannot judge by other rules than landing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from features.kit.clock import civil_date


@dataclass(frozen=True)
class ReportedContact:
    """A contact that a campaign tool made."""

    contact_id: str  # the tool's own id, as the tool gave it
    customer_id: str  # whom
    at: datetime  # when, aware
    action: str
    channel: str | None = None  # how
    campaign: str | None = None  # as part of which campaign, if any


def own_contact_id(owner: str, customer_id: str, client_id: str) -> str:
    """Returns the id under which the ledger and the feeds keep a contact of somebody else's numbering.

    It belongs to who reports and whom: never that of another key, of another customer, of the operator or of a line.

    Example: `spring-17` gives `spring-17@3f1c9a0b52de`.
    """
    digest = hashlib.sha256(f"{owner}\x00{customer_id}\x00{client_id}".encode()).hexdigest()[:12]
    return f"{client_id[:87]}@{digest}"  # at most 100 characters; the digest knows the rest


def timed(customer_id: str, at: datetime, reported_at: datetime) -> dict[str, Any]:
    """Returns whose row it is and when it happened; a sender's clock that is ahead makes no row known before it was."""
    return {"customer_id": customer_id, "event_at": at, "known_at": max(at, reported_at)}


def contact_row(contact: Any, reported_at: datetime) -> dict[str, Any]:
    """Returns the row of feed `contacts` of a reported or recorded contact."""
    same = {name: getattr(contact, name) for name in ("contact_id", "campaign", "action", "channel")}
    return {**timed(contact.customer_id, contact.at, reported_at), **same, "arm": "treated"}


def outcome_row(attempt_id: str, line_id: str, disposition: str, order_reference: str | None) -> dict[str, Any]:
    """Returns the columns of feed `outcomes` that an attempt fills."""
    return {
        "event_id": attempt_id,
        "contact_id": line_id,
        "outcome": disposition,
        "accepted": disposition == "accepted",
        "order_reference": order_reference,
    }


def table_of(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Returns rows as the pyarrow table that landing takes: instants are naive UTC of whole seconds."""
    import pyarrow as pa

    table = pa.Table.from_pylist([{name: _naive(value) for name, value in row.items()} for row in rows])
    text = [pa.field(f.name, pa.string()) if pa.types.is_null(f.type) else f for f in table.schema]
    seconds = [pa.field(f.name, pa.timestamp("s")) if pa.types.is_timestamp(f.type) else f for f in text]
    return table.cast(pa.schema(seconds), safe=False)


def refused_rows(feed: str, rows: Sequence[Mapping[str, Any]], time_zone: str, now: datetime) -> dict[int, str]:
    """Returns place -> why landing would refuse the row, by the very contract of the feed."""
    from features.feeds.landing.system_rows import check_rows

    beyond = {place: "not_a_time:event_at" for place, row in enumerate(rows) if not on_calendar(row["event_at"])}
    places = [place for place in range(len(rows)) if place not in beyond]
    if not places:
        return beyond
    judged = check_rows(feed, table_of([rows[place] for place in places]), time_zone=time_zone, arrived_at=now)
    return beyond | {places[row]: reason for row, reason in judged.items()}


def on_calendar(at: datetime) -> bool:
    """Returns whether an instant has a civil date everywhere: year 1 and year 9999 have hours that have none."""
    try:
        civil_date(at, "Pacific/Kiritimati"), civil_date(at, "Pacific/Pago_Pago")
    except OverflowError:
        return False
    return True


def _naive(value: Any) -> Any:
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value
