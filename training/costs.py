"""What the targets need: each target any of its events, each event its feeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from features.feeds.costs import Board, Item, Present
from training.labels.targets import Target, known_targets, load_target


def costs(_: Board) -> Iterable[Item]:
    """Yields the targets; of one with several events also each event, as `churn (silent)`."""
    for name in known_targets():
        target = load_target(name)
        yield Item("target", name, _supported(target))
        if len(target.events) > 1:
            for event in target.events:
                yield Item("target", f"{name} ({event.name})", _event(target, event.name))


def _supported(target: Target) -> Callable[[Present], bool]:
    return lambda present: bool(target.supported(present))


def _event(target: Target, name: str) -> Callable[[Present], bool]:
    return lambda present: any(event.name == name for event in target.supported(present))
