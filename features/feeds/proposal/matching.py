"""How much a view looks like a feed, and which of its columns is which: by names, kinds, and what the file is called.

Confidence is the share of the view's columns that the feed explains (a name that many feeds know counts less), the
share of the feed's needed columns that are there, and the file's name; without a customer, or without the period of a
monthly feed, little of it is left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from features.feeds.contracts import FEEDS
from features.feeds.proposal.seen.columns import ColumnLook
from features.feeds.proposal.seen.personal import is_phone_like
from features.feeds.proposal.seen.views import View
from features.feeds.proposal.words import Words
from features.feeds.schema import Column, Feed, Grain, Kind

GENERIC = ("customer_id", "number", "event_at", "known_at", "event_id")
LEAST_CONFIDENCE = 0.45
"""A view below it is no feed; it is listed with its best guess."""

_UNKNOWN_WEIGHT = 0.3
_FITTING: dict[Kind, tuple[str, ...]] = {
    Kind.TEXT: ("text", "category", "integer", "flag", "number"),
    Kind.CATEGORY: ("category", "text", "flag", "integer"),
    Kind.INTEGER: ("integer", "number", "flag"),
    Kind.MONEY: ("number", "integer", "flag"),
    Kind.NUMBER: ("number", "integer", "flag"),
    Kind.FLAG: ("flag", "category"),
    Kind.INSTANT: ("instant", "date"),
    Kind.DATE: ("date", "instant", "period"),
}


@dataclass(frozen=True)
class Match:
    """What a view is as one feed."""

    feed: Feed
    confidence: float
    columns: dict[str, str]  # contract column (or a common one) -> header
    missing: tuple[str, ...]  # needed columns that no header means
    is_by_number: bool = False  # rows name a number, not a customer


def matches(view: View, words: Words) -> list[Match]:
    """Returns the view as each feed that it may be, the most likely first."""
    named = words.named_feeds(view.title) or words.named_feeds(view.folder)
    known = {column.name: _feeds_that_know(column, words) for column in view.columns}
    found = [_match(view, feed, words, named.get(feed.name, 0.0), known) for feed in FEEDS.values()]
    kept = [match for match in found if match is not None]
    others = max((match.confidence for match in kept if match.feed.name != "customers"), default=0.0)
    if view.lists_customers(words) and others < LEAST_CONFIDENCE:
        kept = [replace(m, confidence=max(0.5, m.confidence)) if m.feed.name == "customers" else m for m in kept]
    return sorted(kept, key=lambda match: (-match.confidence, list(FEEDS).index(match.feed.name)))


def _feeds_that_know(look: ColumnLook, words: Words) -> int:
    return sum(
        any(words.meaning(look.name, feed, column.name) >= 0.9 and fits(look, column) for column in feed.columns)
        for feed in FEEDS.values()
    )


def fits(look: ColumnLook, column: Column) -> bool:
    """Tells whether a column's values can be those of a contract column; an empty column fits everything."""
    return look.kind == "empty" or look.kind in _FITTING[column.kind]


def _match(view: View, feed: Feed, words: Words, named: float, known: dict[str, int]) -> Match | None:
    if feed.name == "attributes":
        return None
    taken: dict[str, str] = {}
    level: dict[str, float] = {}
    wanted = [(_strength(look, feed, c, words), look, c) for look in view.columns for c in feed.columns]
    if (view.customer or view.is_by_row) and not feed.reference:
        taken["customer_id"] = view.customer
    for strength, look, column in sorted(wanted, key=lambda one: -one[0]):
        free = column.name not in taken and look.name not in taken.values()
        if strength and free and fits(look, column) and not (column.name == feed.period and not _dates(feed, look)):
            taken[column.name] = look.name
            level[look.name] = strength
    by_number = _take_times_and_number(view, feed, words, taken)
    explained = _explained(view, taken, level, known)
    spare = {"valid_from", feed.key[0] if named and not feed.reference else ""}  # the row can stand for its id
    needed = [column.name for column in feed.columns if column.required and column.name not in spare]
    missing = tuple(name for name in needed if name not in taken)
    share = 1 - len(missing) / len(needed) if needed else (1.0 if named else 0.5)
    confidence = _confidence(view, feed, words, taken, 0.45 * explained + 0.25 * share + 0.3 * named, by_number)
    if not any(name in feed.by_name for name in taken) and not (feed.name == "customers" and "customer_id" in taken):
        return None
    return Match(feed, round(min(1.0, confidence), 2), taken, missing, by_number)


def _confidence(
    view: View,
    feed: Feed,
    words: Words,
    taken: dict[str, str],
    confidence: float,
    is_by_number: bool,  # noqa: FBT001
) -> float:
    """Returns what is left of the confidence where the feed's owner or period is not in the view."""
    if not feed.reference and "customer_id" not in taken and not is_by_number:
        confidence *= 0.2
    if feed.reference and view.customer and view.customer_share != 0:
        confidence *= 0.3
    if feed.period and feed.period not in taken:
        confidence *= 0.2
    if view.lists_customers(words):
        # One row per customer: rather a list of customers than what they did each day or month.
        confidence = min(1.0, confidence + 0.2) if feed.name == "customers" else confidence
        confidence *= 0.6 if feed.period else 1.0
    return confidence


def _strength(look: ColumnLook, feed: Feed, column: Column, words: Words) -> float:
    """Returns how surely a column is a contract's; less where none of its words is in the closed vocabulary."""
    strength = words.meaning(look.name, feed, column.name)
    known = {*column.allowed, *words.values.get(column.name, {})}
    is_foreign = bool(column.allowed) and look.kind == "category" and not known & set(look.values)
    return strength / 2 if is_foreign else strength


def _dates(feed: Feed, look: ColumnLook) -> bool:
    """Tells whether a column can name the feed's period: whole months for a monthly feed, days for a daily one."""
    if feed.grain is Grain.DAY:
        return look.kind in ("date", "instant")
    firsts = look.kind == "date" and all(value.strip()[-2:] == "01" for value in look.values)
    return look.kind == "period" or firsts


def _take_times_and_number(view: View, feed: Feed, words: Words, taken: dict[str, str]) -> bool:
    """Adds the common columns to `taken`; tells whether rows are known by their number only."""
    free = [look for look in view.columns if look.name not in taken.values()]
    if feed.period and feed.period not in taken:
        named = [look for look in free if _dates(feed, look)]
        if named:
            taken[feed.period] = named[0].name
            free.remove(named[0])
    known = [look for look in free if look.is_time and words.means(look.name, "known_at")]
    if known:
        taken["known_at"] = known[0].name
        free.remove(known[0])
    by_number = False
    if not feed.personal and not feed.reference and "customer_id" not in taken:
        numbers = [c for c in free if words.means(c.name, "number") and is_phone_like(c.name, c.values, words)]
        if numbers:
            taken["number"] = numbers[0].name
            by_number = True
    if feed.grain is Grain.INSTANT:
        times = [look for look in free if look.is_time and look.kind != "period" and look.filled > 0.9]
        named = [look for look in times if words.means(look.name, "event_at")]
        # a link begins with its validity; a time of the change beside it tells the newer of two versions.
        if named or (times and not feed.personal):
            taken["event_at"] = (named or times)[0].name
    ids = [look for look in free if look.is_unique and words.means(look.name, "event_id")]
    if ids and feed.grain is Grain.INSTANT:
        taken["event_id"] = ids[0].name
    return by_number


def _explained(view: View, taken: dict[str, str], level: dict[str, float], known: dict[str, int]) -> float:
    """Returns the share of the view's own columns that the feed explains, rarer names counting more."""
    generic = {header for name, header in taken.items() if name in GENERIC}
    have = total = 0.0
    for look in view.columns:
        if look.name in generic:
            continue
        weight = known[look.name] ** -0.5 if known[look.name] else _UNKNOWN_WEIGHT
        if look.name in level:
            weight = max(weight, _UNKNOWN_WEIGHT)
        total += weight
        have += weight * min(1.0, level.get(look.name, 0.0))
    return have / total if total else 0.0
