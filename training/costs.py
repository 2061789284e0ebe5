"""What the targets need: each target any of its events, each event its feeds."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from features.feeds.costs import Board, Item, Present
from training.labels.targets import Target, known_targets, load_target


def costs(_: Board) -> Iterable[Item]:
    """Yields the targets; of one with several events also each event, as `churn (silent)`."""
    for name in known_targets():
        target = load_target(name)
        yield Item("target", name, partial(_stands, target))
        if len(target.events) > 1:
            for event in target.events:
                yield Item("target", f"{name} ({event.name})", partial(_stands, target, event=event.name))


def _stands(target: Target, present: Present, *, event: str = "") -> bool:
    return any(event in ("", supported.name) for supported in target.supported(present))
