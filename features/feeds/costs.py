"""What each missing feed costs: the dimensions, features, classes, targets, reasons and actions that fall away.

Every floor says what it can do with which feeds, through the entry-point group `insight.costs`: a function that gets
the items of the floors below it and yields its own. So this floor, which hosts `insight check`, imports none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Literal

from features.feeds.contracts import FEEDS
from features.kit.home import Home

COSTS_GROUP, FORESIGHT_GROUP = "insight.costs", "insight.foresight"
FLOORS = ("features", "training", "serving")

ItemKind = Literal["column", "dimension", "feature", "class", "target", "reason", "action"]
KINDS: tuple[ItemKind, ...] = ("dimension", "feature", "class", "target", "reason", "action")
Present = frozenset[str]


@dataclass(frozen=True)
class Item:
    """Something that the system gives if the right feeds are there; of a feature, whether it is made from months."""

    kind: ItemKind
    name: str
    stands: Callable[[Present], bool]
    is_from_months: Callable[[Present], bool] = lambda _: False


Board = dict[tuple[ItemKind, str], Item]
Contribute = Callable[[Board], Iterable[Item]]


def board(floors: tuple[str, ...] = FLOORS) -> Board:
    """Returns every item of the floors, the lowest floor first."""
    known = {entry.name: entry for entry in entry_points(group=COSTS_GROUP)}
    items: Board = {}
    for floor in floors:
        if floor in known:
            contribute: Contribute = known[floor].load()
            items |= {(item.kind, item.name): item for item in contribute(items)}
    return items


def taken_names() -> frozenset[str]:
    """Returns the names of the portrait's features and other columns, which no attribute of an operator may take."""
    return frozenset(name for kind, name in board(FLOORS[:1]) if kind in ("feature", "column"))


def costs_of(present: Present, items: Board | None = None) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Returns missing feed -> kind -> what falls away for want of it, each with the feeds that it lacks besides.

    An item is charged to a feed without which it cannot stand even if every other feed came, and to each feed that
    would bring it back alone.
    """
    items = board() if items is None else items
    missing = [name for name in FEEDS if name not in present]
    every = frozenset(FEEDS)
    costs: dict[str, dict[str, list[dict[str, Any]]]] = {name: {} for name in missing}
    for item in items.values():
        if item.stands(present) or not item.stands(every):
            continue
        needed = [name for name in missing if not item.stands(every - {name})]
        for name in missing:
            alone = item.stands(present | {name})
            if alone or name in needed:
                also = [] if alone else [needed_feed for needed_feed in needed if needed_feed != name]
                costs[name].setdefault(item.kind, []).append({"name": item.name, "also_needs": also})
    return costs


def foreseen(home: Home) -> dict[str, str]:
    """Returns target -> why landed feeds would give it no model, as the floors above foresee it."""
    found: dict[str, str] = {}
    for entry in entry_points(group=FORESIGHT_GROUP):
        found |= entry.load()(home)
    return found


def totals(present: Present, items: Board) -> dict[str, dict[str, int]]:
    """Returns kind -> how many items stand, and of how many."""
    return {
        kind: {
            "stand": sum(item.stands(present) for item in items.values() if item.kind == kind),
            "of": sum(item.kind == kind for item in items.values()),
        }
        for kind in KINDS
    }
