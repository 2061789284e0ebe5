"""What reasons and actions need: a fact that can hold, a model that it explains, a consent, an offer that is proven."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

from features.feeds.costs import Board, Item, Present
from features.portraits.costs import fact_stands
from serving.outreach.decision.actions import REVIEW
from serving.outreach.decision.reasons import NO_CAUSE
from serving.outreach.settings import ON_REQUEST, Action, OutreachSettings, load_settings
from serving.scoring.reasons.book import ReasonBook, ReasonSpec, load_book

_FIT = ("plans", "subscriptions", "bills")
_USE = ("usage_monthly", "usage_daily")
"""An offer is proven where the own bill was re-rated from use."""


def costs(below: Board) -> Iterable[Item]:
    """Yields reasons and actions; `below` holds the targets."""
    book, settings = load_book(), load_settings()
    targets = {name: item.stands for (kind, name), item in below.items() if kind == "target"}
    reasons = {code: _reason(code, spec, book, settings, targets) for code, spec in book.reasons.items()}
    for code, stands in reasons.items():
        yield Item("reason", code, stands)
    for name, action in settings.actions.items():
        if action.kind != "none" and name != ON_REQUEST:
            yield Item("action", name, _action(name, action, book, settings, targets, reasons))


@cache
def _facts(present: Present) -> dict[str, bool]:
    return fact_stands(present)


def _reason(
    code: str, spec: ReasonSpec, book: ReasonBook, settings: OutreachSettings,
    targets: dict[str, Callable[[Present], bool]],
) -> Callable[[Present], bool]:  # fmt: skip
    wanted = list(targets) if spec.targets == "all" else [name for name in spec.targets if name in targets]

    def stands(present: Present) -> bool:
        explains = any(targets[name](present) for name in wanted)
        if code == book.fallback:
            return explains
        return _facts(present).get(code, False) and (explains or code in settings.duties)

    return stands


def _action(
    name: str, action: Action, book: ReasonBook, settings: OutreachSettings,
    targets: dict[str, Callable[[Present], bool]], reasons: dict[str, Callable[[Present], bool]],
) -> Callable[[Present], bool]:  # fmt: skip
    codes = [code for code, spec in book.reasons.items() if name in spec.actions]
    codes += [NO_CAUSE] if name == REVIEW and NO_CAUSE not in codes else []
    effects = [target for target in action.effects if target in targets]

    def stands(present: Present) -> bool:
        if settings.purposes[action.purpose].consent == "explicit" and "consents" not in present:
            return False
        if "fit_not_proven" in action.not_when.codes and not _is_proven(present):
            return False
        changes = any(targets[target](present) for target in effects)
        return any(
            reasons[code](present) and (changes or (action.kind == "S" and code in settings.duties)) for code in codes
        )

    return stands


def _is_proven(present: Present) -> bool:
    return set(_FIT) <= present and any(feed in present for feed in _USE)
