"""The feeds: every typed event table of an operator, with its columns, units, key, grain and times (`contracts.yaml`).

Every feed carries, besides the columns declared there:

    event_id      text      the operator's id, or a hash of the declared natural key
    customer_id   text      one subscription (not on reference feeds and on `persons` only as the link)
    event_at      instant   when it happened; for a day's or a month's row the start of that period
    known_at      instant   when the operator's systems knew it
    superseded_at instant   when a newer version or a removal of the same event became known, else NULL
    arrived_at    instant   when this system landed the row (bookkeeping, never used for what was known)

What was known on an as-of date is one condition, `known_before` in `features.feeds.landed.reading`.

Instants are UTC in whole seconds, dates are the operator's civil dates, money is an integer in the currency's
declared scale (CNY: li, 1/1000 yuan).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from features.feeds.schema import Feed, Link
from features.kit.config import load_yaml, parse_data

_DECLARED = Path(__file__).with_suffix(".yaml")
_USUAL: dict[str, dict[str, Any]] = {
    "instant": {"unit": "UTC"}, "money": {"unit": "minor", "low": 0}, "integer": {"low": 0},
}  # fmt: skip
"""What a column of a kind has unless it says otherwise."""


def load_feeds(path: Path = _DECLARED) -> dict[str, Feed]:
    """Returns the declared feeds by name. Raises ConfigurationError naming the file and the key."""
    content = load_yaml(path)
    for name, feed in content.items():
        feed["name"] = name
        for part in (feed, feed["link"]) if "link" in feed else (feed,):
            given = (
                (key, {"kind": own} if isinstance(own, str) else own) for key, own in part.get("columns", {}).items()
            )
            part["columns"] = [{"name": key} | _USUAL.get(own.get("kind", ""), {}) | own for key, own in given]
    feeds: dict[str, Feed] = parse_data(dict[str, Feed], content, source=str(path))
    return feeds


FEEDS: dict[str, Feed] = load_feeds()
"""Every feed by name, in the order in which they land: who, then what, then the catalogue."""

LINKS: dict[str, Link] = {feed.link.name: feed.link for feed in FEEDS.values() if feed.link}
"""The views without numbers and names, by name: always there, empty without their feed."""

CUSTOMER_KINDS, STATUSES, VIP_TIERS = (
    FEEDS["customers"].by_name[name].allowed for name in ("kind", "status", "vip_tier")
)
