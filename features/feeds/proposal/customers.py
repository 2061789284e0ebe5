"""What a list of customers holds besides: plans, departures, answers of a survey, and the operator's own columns.

An answer that is known only later (who left, how satisfied) is never an attribute: it would give itself away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from features.feeds.contracts import FEEDS
from features.feeds.conversion import TRUE_WORDS
from features.feeds.costs import taken_names
from features.feeds.mapping.sources import UNDECIDED, is_free_name
from features.feeds.proposal.feeds import FeedPlan
from features.feeds.proposal.matching import Match
from features.feeds.proposal.seen.columns import ColumnLook
from features.feeds.proposal.seen.personal import is_phone_like, names_an_id
from features.feeds.proposal.seen.views import View
from features.feeds.proposal.selects import select_of, time_of
from features.feeds.proposal.words import Words, english_name, folded
from features.kit.sql import literal, quoted

_TOO_MANY_WORDS = 100
Parts = list[tuple[str, str]]


@dataclass(frozen=True)
class AttributePlan:
    """One column of the operator's own."""

    header: str
    name: str  # its English name
    kind: str  # `number` or `category`


@dataclass
class Answers:
    """Columns of the customers' view that answer a question of later."""

    left: ColumnLook | None = None
    left_on: ColumnLook | None = None
    score: ColumnLook | None = None
    others: tuple[str, ...] = ()

    @property
    def headers(self) -> tuple[str, ...]:
        """Returns the headers of all of them."""
        named = [look.name for look in (self.left, self.left_on, self.score) if look]
        return (*named, *self.others)


def answers_in(view: View, words: Words) -> Answers:
    """Returns the columns that hold answers of later."""

    def known(kind: tuple[str, ...], look: ColumnLook) -> bool:
        return folded(look.name) in {folded(word) for word in kind}

    asked = words.answers
    found = Answers()
    others = []
    for look in view.columns:
        if look.kind == "flag" and known(asked.left, look) and found.left is None:
            found.left = look
        elif look.is_time and known(asked.left_on, look):
            found.left_on = found.left_on or look
        elif look.kind == "integer" and known(asked.score, look) and found.score is None:
            found.score = look
        elif known(asked.left, look) or any(folded(word) in folded(look.name) for word in asked.about_leaving):
            others.append(look.name)
    if found.score is not None:
        interview = {folded(word) for word in asked.same_interview}
        others += [
            look.name for look in view.columns
            if look is not found.score and (any(word in folded(look.name) for word in interview) or _is_tick_box(look))
        ]  # fmt: skip
    found.others = tuple(dict.fromkeys(others))
    return found


def _is_tick_box(look: ColumnLook) -> bool:
    """Tells whether a column is a questionnaire's box: -1 where it is not ticked, one number where it is."""
    return look.kind == "integer" and len(set(look.values)) == 2 and "-1" in look.values


def besides(view: View, match: Match, answers: Answers, *, is_snapshot: bool, words: Words) -> list[FeedPlan]:
    """Returns the further feeds that a list of customers gives."""
    plans = []
    undated = (f"TIMESTAMP '{UNDECIDED}'", "event_at")

    def add(feed: str, parts: Parts, look: ColumnLook, todos: list[str], *, where: str = "", **known: Any) -> None:
        select = select_of(view.name, [(view.customer_sql, "customer_id"), *parts], where)
        why = f"{view.name}.{look.name}"
        plans.append(FeedPlan(FEEDS[feed], (view.name,), select, why=why, todos=todos, **known))

    start = match.columns.get("activated_on") or match.columns.get("event_at")
    plan = next((look for look in view.columns if words.means(look.name, "plan_id")), None)
    if plan is not None and start and not is_snapshot:
        dated = time_of(view.by_name[start])
        parts = [(quoted(plan.name), "plan_id"), (dated, "ordered_at"), (dated, "effective_on")]
        todo = f"only the present plan is known; it is dated at {start}. Is there a table of plan changes?"
        add("subscriptions", [*parts, ("'none'", "contract_type")], plan, [todo], confidence=0.6, known_after="PT0S")
    departure = [("'cancel'", "reason"), ("true", "voluntary")]
    if answers.left_on is not None:
        left = time_of(answers.left_on)
        todo = "every departure is taken as the customer's own wish; if a column says why, map it to `reason`"
        parts, where = [(left, "event_at"), *departure], f"{quoted(answers.left_on.name)} IS NOT NULL"
        add("terminations", parts, answers.left_on, [todo], where=where, confidence=0.9, known_after="P1D")
    elif answers.left is not None:
        yes = next((value for value in answers.left.values if value.lower().rstrip(".") in TRUE_WORDS), "1")
        after = "snapshot_at" if is_snapshot else "the last month"
        todo = f"when did they leave? `{answers.left.name}` has no date: write one some days after {after}"
        if not is_snapshot:
            todo += ", and under `delivered_until` the day up to which departures are known (some months later)"
        parts, where = [undated, *departure], f"{quoted(answers.left.name)} = {literal(yes)}"
        add("terminations", parts, answers.left, [todo], where=where, confidence=0.9, known_after="PT0S")
    if answers.score is not None and is_snapshot:
        todos = ["when were they asked? write a time after snapshot_at"]
        if answers.others:
            todos.append(f"{len(answers.others)} columns of the same interview are left out, they would give it away")
        parts = [undated, (literal(view.name), "survey"), (quoted(answers.score.name), "score")]
        add("surveys", parts, answers.score, todos, confidence=0.9, known_after="PT0S")
    return plans


def attributes_of(
    view: View, match: Match, answers: Answers, words: Words
) -> tuple[list[AttributePlan], dict[str, str]]:
    """Returns the operator's own columns, and each column that is left out with the reason."""
    plans: list[AttributePlan] = []
    left_out: dict[str, str] = {}
    used = set(match.columns.values())
    names = set(taken_names())
    for place, look in enumerate(view.columns, start=1):
        if look.name in used and look.name not in answers.headers:
            continue
        if why := _no_attribute(look, answers, words):
            left_out[look.name] = why
        else:
            name = english_name(look.name, place, words)
            while name in names or not is_free_name(name):
                name += f"_{place}"
            names.add(name)
            kind = "number" if look.kind in ("integer", "number") else "category"
            plans.append(AttributePlan(look.name, name, kind))
    return plans, left_out


def _no_attribute(look: ColumnLook, answers: Answers, words: Words) -> str:
    """Returns why a column is no attribute, or an empty string."""
    reasons = {
        "an answer of later": look.name in answers.headers,
        "one value only": look.kind == "empty" or (look.distinct <= 1 and look.filled == 1),
        "a date": look.is_time or look.kind == "clock",
        "an id": bool(look.damage) or (look.is_unique and names_an_id(look.name, words)),
        "a number": is_phone_like(look.name, look.values, words),
        f"{look.distinct:,} different texts": look.kind == "text",
        f"{look.distinct:,} different words": look.kind == "category" and look.distinct > _TOO_MANY_WORDS,
    }
    return next((why for why, holds in reasons.items() if holds), "")
