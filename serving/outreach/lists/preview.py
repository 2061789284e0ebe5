"""What a list would gain and lose if challengers took over: the choice of a list, run dry for each set of scores.

Nobody is claimed and nothing is written to the ledger. Persons on lists drawn for the day do not count as taken.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from features.journey.journey import Journey
from features.kit.errors import BundleError, NotReadyError
from features.kit.home import Home
from features.kit.terminal.progress import Progress
from serving.database.session import open_database, reading
from serving.database.tables_outreach import ClaimDayRow, OutreachLineRow
from serving.outreach.decision.actions import Option, decide
from serving.outreach.decision.allocate import allocate, in_list_order, shared_capacity
from serving.outreach.decision.candidates import find_scores, read_candidates
from serving.outreach.lists.claim import about, held_of, is_still_true
from serving.outreach.lists.ledger import finished_since, unfinished_lines
from serving.outreach.lists.recheck import stopped_by
from serving.outreach.policy.ledger_facts import read_facts
from serving.outreach.policy.read import read_policy
from serving.outreach.settings import load_settings
from serving.scoring.batch.base import score_targets
from serving.scoring.batch.stored import Scores
from serving.scoring.reasons.book import load_book

EXAMPLES = 20

Choice = Callable[[dict[str, Scores]], list[Option]]


@dataclass(frozen=True)
class ListChange:
    """How one list differs from another."""

    before: int  # new lines of the present list
    after: int  # new lines of the other
    gained: tuple[Option, ...]  # lines only on the other, in its order
    lost: tuple[Option, ...]  # lines only on the present one, in its order
    moved: int  # kept lines that stand elsewhere among the kept ones: the fewest that explain the new order
    changed: int  # kept lines with another action or channel

    def as_dict(self) -> dict[str, Any]:
        """Returns plain values, with the first lines that come and go."""
        return {
            "lines_before": self.before,
            "lines_after": self.after,
            "lines_in": len(self.gained),
            "lines_out": len(self.lost),
            "moved": self.moved,
            "changed": self.changed,
            "first_in": [_line(option) for option in self.gained[:EXAMPLES]],
            "first_out": [_line(option) for option in self.lost[:EXAMPLES]],
        }


def compare(before: Sequence[Option], after: Sequence[Option]) -> ListChange:
    """Returns what the second list gains and loses against the first; a person has at most one line on each.

    Example: from A B C D to C A B E, E comes, D goes and one line (C) has moved.
    """
    place = {option.person_id: number for number, option in enumerate(before)}
    of_person = {option.person_id: option for option in before}
    persons = {option.person_id for option in after}
    kept = [option for option in after if option.person_id in place]
    return ListChange(
        before=len(before),
        after=len(after),
        gained=tuple(option for option in after if option.person_id not in place),
        lost=tuple(option for option in before if option.person_id not in persons),
        moved=len(kept) - _longest_rise([place[option.person_id] for option in kept]),
        changed=sum(
            (option.action, option.channel) != (of_person[option.person_id].action, of_person[option.person_id].channel)
            for option in kept
        ),
    )


def _longest_rise(places: Sequence[int]) -> int:
    """Returns the length of the longest ascending subsequence of distinct places."""
    tails: list[int] = []
    for place in places:
        at = bisect_left(tails, place)
        tails[at : at + 1] = [place]
    return len(tails)


def _line(option: Option) -> dict[str, Any]:
    return {
        "customer_id": option.candidate.customer_id,
        "class": option.candidate.primary_class,
        "action": option.action,
        "channel": option.channel,
        "target": option.target,
    }


def preview(journey: Journey, progress: Progress) -> dict[str, Any]:
    """Returns, per challenger and for all recommended ones together, what the list of the day would gain and lose.

    `{"as_of", "lines", "targets": {target: {"champion", "challenger", ...changes}}, "together": changes or None}`;
    a challenger that must not be loaded or does not fit the portraits is answered with `{"reason": ...}`.

    Raises:
        NotReadyError: If the journey has no as-of date, or its portraits are not built.
    """
    if journey.as_of is None:
        raise NotReadyError("preview: no as-of date", remedy="run `insight ingest` first, or give --as-of")
    home, as_of = journey.home, journey.as_of
    present = _present_scores(home, as_of)
    others: dict[str, Scores] = {}
    targets: dict[str, dict[str, Any]] = {}
    for target, version in sorted(journey.challengers.items()):
        champion = present[target].version if target in present else None
        targets[target] = {"champion": champion, "challenger": version}
        report = score_targets(
            home, [target], as_of, explain=False, threads=journey.threads, progress=progress, version=version
        )[target]
        if isinstance(report, BundleError):
            targets[target]["reason"] = report.message
            continue
        others[target] = Scores(target, version, as_of, report.path.parent)
    if not others:
        return {"as_of": as_of.isoformat(), "lines": None, "targets": targets, "together": None}
    with progress.step("preview: the list now"):
        choose = _dry_choice(home, as_of, journey.capacity, journey.threads)
        now = choose(present)
    for target, scores in others.items():
        with progress.step(f"preview: the list with {target} {scores.version}"):
            targets[target] |= compare(now, choose({**present, target: scores})).as_dict()
    asked = {target: scores for target, scores in others.items() if target in journey.recommended}
    together = compare(now, choose({**present, **asked})).as_dict() if asked else None
    return {"as_of": as_of.isoformat(), "lines": len(now), "targets": targets, "together": together}


def _present_scores(home: Home, as_of: date) -> dict[str, Scores]:
    """Returns the scores of a date that count now, by target; none before the first champion."""
    try:
        return find_scores(home, as_of)[0]
    except NotReadyError:
        return {}


def _dry_choice(home: Home, as_of: date, capacity: int | None, threads: int) -> Choice:
    """Returns the choice of a list as a function of the scores; everything else of the day is read once."""
    settings, book, engine = load_settings(), load_book(), open_database(home)
    with reading(engine) as session:
        facts = replace(read_facts(session, as_of), claimed_until=_claimed_before(session, as_of))
    policy = read_policy(home, engine, as_of, settings, facts=facts, threads=threads)
    zone = policy.operator.time_zone
    with reading(engine) as session:
        lines = [line for line in unfinished_lines(session, as_of, zone) if stopped_by(policy, line, as_of) is None]
        finished = finished_since(session, as_of, zone)
    started = {about(line) for line in lines}
    places = shared_capacity(settings.capacity, capacity)

    def choose(scores: dict[str, Scores]) -> list[Option]:
        candidates = read_candidates(home, as_of, settings, scores, also={one for one, *_ in started})
        decision = decide(candidates, policy, book, started, finished)
        held = [held_of(line, decision.again.get(about(line))) for line in lines if is_still_true(line, decision)]
        chosen, *_ = allocate(
            decision.options, places, lambda option: option.person_id not in facts.claimed_until, held,
            settings.claim.new_share,
        )  # fmt: skip
        return [line for line in in_list_order(chosen, settings.capacity) if isinstance(line, Option)]

    return choose


def _claimed_before(session: Session, as_of: date) -> dict[str, date]:
    """Returns the last claimed day of each person whom a line of an earlier day holds."""
    rows = session.execute(
        select(ClaimDayRow.person_id, func.max(ClaimDayRow.day))
        .join(OutreachLineRow, OutreachLineRow.line_id == ClaimDayRow.line_id)
        .where(ClaimDayRow.day >= as_of, OutreachLineRow.drawn_on < as_of)
        .group_by(ClaimDayRow.person_id)
    )
    return {row[0]: row[1] for row in rows}
