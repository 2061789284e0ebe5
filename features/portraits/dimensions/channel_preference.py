"""Channel preference: how the customer likes to get things done."""

from __future__ import annotations

from features.portraits.dimensions.spec import Definition, Dimension
from features.portraits.dimensions.windows import count, ratio, recency, within

_is = Dimension("channel_preference")
_TOUCHES = "channel_contacts"
_ALL = "touches"
SELF_SERVICE = ("app", "web", "ivr", "message")
CHANNELS = ("app", "web", "hall", "ivr", "message", "call")

DEFINITIONS: tuple[Definition, ...] = (
    _is.count(
        "app_contacts_count_30d", _TOUCHES, "Touches in the app in 30 days.",
        lambda t: count(t, 30, t.channel == "app"),
    ),
    _is.count(
        "hall_visits_count_90d", _TOUCHES, "Visits to a hall in 90 days.",
        lambda t: count(t, 90, t.channel == "hall"),
    ),
    _is.count(
        "self_service_contacts_count_90d", _TOUCHES, "Touches in app, web, IVR and message in 90 days.",
        lambda t: count(t, 90, t.channel.isin(SELF_SERVICE)),
    ),
    _is.count(
        "failed_self_service_count_30d", _TOUCHES, "Self-service attempts that failed in 30 days.",
        lambda t: count(t, 30, t.channel.isin(SELF_SERVICE) & ~t.succeeded),
    ),
    _is.number("channel_recency_days", _TOUCHES, "Days since the newest touch in any channel but calls.", recency),
    _is.count(
        "assisted_contacts_count_180d", _ALL, "Manual calls and hall visits in 180 days.",
        lambda t: count(t, 180, t.is_assisted),
    ),
    _is.number(
        "assisted_share_180d", _ALL, "Share of manual calls and hall visits among all contacts in 180 days.",
        lambda t: ratio(count(t, 180, t.is_assisted), count(t, 180)),
    ),
    _is.number(
        "self_service_share_90d", _ALL, "Share of self-service among all contacts in 90 days.",
        lambda t: ratio(count(t, 90, ~t.is_assisted), count(t, 90)),
    ),
    _is.category(
        "preferred_channel", _ALL, "Channel used most in 180 days; a tie goes to the one named first.",
        lambda t: t.channel.max(where=within(t, 180, t.is_preferred)), CHANNELS,
    ),
)  # fmt: skip
