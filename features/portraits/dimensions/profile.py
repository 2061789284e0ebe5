"""Profile: who the customer is and how long the customer has been with us."""

from __future__ import annotations

from features.feeds.contracts import CUSTOMER_KINDS, STATUSES, VIP_TIERS
from features.portraits.dimensions.spec import Definition, Dimension

_is = Dimension("profile")

DEFINITIONS: tuple[Definition, ...] = (
    _is.number(
        "tenure_days", "customer", "Days since activation.",
        lambda t: t.days_since_activated_on.max(),
    ),
    _is.category("kind", "customer", "Kind of customer.", lambda t: t.kind.max(), CUSTOMER_KINDS),
    _is.category("status", "customer", "Status as known.", lambda t: t.status.max(), STATUSES),
    _is.category("vip_tier", "customer", "VIP tier.", lambda t: t.vip_tier.max(), VIP_TIERS),
    _is.category("province", "customer", "Province.", lambda t: t.province.max()),
    _is.number("birth_year", "customer", "Year of birth.", lambda t: t.birth_year.max()),
    _is.category(
        "device_generation", "customer", "Newest network generation that the handset can use.",
        lambda t: t.device_generation.max(), ("2G", "3G", "4G", "5G"),
    ),
    _is.number(
        "device_days", "customer", "Days since the present handset was first seen.",
        lambda t: t.days_since_device_since.max(),
    ),
    _is.count(
        "household_lines_count", "household", "Other subscriptions linked to the same account and in use.",
        lambda t: t.count(where=t.is_active),
    ),
    _is.count(
        "household_closed_count_90d", "household",
        "Other subscriptions of the account that ended in 90 days: link or subscription, whichever ended first.",
        lambda t: t.count(where=t.closed_days_ago.between(1, 90)),
    ),
    _is.count(
        "is_ported_in", "number", "1 if the newest number came from another operator.",
        lambda t: t.is_ported_in.cast("int64").max(),
    ),
)  # fmt: skip
