"""The whole portrait by the catalogue's sentences, one customer at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.features.portraits.by_sentence import service, use, who
from tests.features.portraits.by_sentence.history import Customer

BY_FEED: tuple[tuple[tuple[str, ...], Callable[[Customer], dict[str, Any]]], ...] = (
    (("customers",), who.profile),
    (("person_links",), who.household),
    (("number_flags",), who.number),
    (("subscriptions",), who.contract),
    (("port_requests",), who.steps),
    (("bills",), who.bills),
    (("usage_daily",), use.days_of_use),
    (("usage_monthly",), use.months_of_use),
    (("pack_orders",), use.packs),
    (("roaming_sessions",), use.roaming),
    (("network_experience",), use.quality),
    (("network_faults",), use.faults),
    (("fixed_services",), use.fixed),
    (("hotline_calls",), service.calls),
    (("channel_contacts",), service.channels),
    (("channel_contacts", "hotline_calls"), service.contacts_of_all_kinds),
    (("tickets",), service.tickets),
    (("surveys",), service.surveys),
    (("contacts",), service.outreach),
)


def portrait_of(one: Customer) -> dict[str, Any]:
    """Returns every feature of a customer; those of a feed of which nothing was known are empty."""
    values: dict[str, Any] = {}
    for feeds, read in BY_FEED:
        found = read(one)
        values |= found if one.everybody.present.intersection(feeds) else dict.fromkeys(found)
    return values


def same(expected: Any, found: Any) -> bool:
    """Tells whether a value is the float32 that the portrait holds, or the same word; both may be empty."""
    if expected is None or found is None or isinstance(expected, str):
        return expected == found
    return bool(np.float32(expected) == np.float32(found))
