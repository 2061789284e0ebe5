"""When a contact would be made, in the operator's own day and hour."""

from __future__ import annotations

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from serving.api.errors import InvalidRequestError
from serving.outreach.policy.policy import PolicyBook


def contact_moment(book: PolicyBook, at: datetime | None) -> tuple[date, time | None]:
    """Returns the operator's day and local time of a contact; without one the day of the policy and no time.

    Raises:
        InvalidRequestError: If the contact would lie before the day that the policy knows.
    """
    if at is None:
        return book.as_of, None
    local = at.astimezone(ZoneInfo(book.operator.time_zone))
    if local.date() < book.as_of:
        raise InvalidRequestError(f"at: {local.date()} is before {book.as_of}, the day of the portraits")
    return local.date(), local.time()
