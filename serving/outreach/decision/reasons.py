"""Which reasons a line shows, and the score that it speaks of."""

from __future__ import annotations

from datetime import date

from serving.outreach.decision.candidates import Candidate, TargetScore
from serving.scoring.reasons.book import ReasonBook

NO_CAUSE = "mixed.no_single_cause"
MOST_REASONS = 3
MOST_PER_DIMENSION = 2


def strongest(candidate: Candidate, target: str | None) -> tuple[str, TargetScore] | None:
    """Returns the score that a line speaks of: the target's own, else the one furthest above its base rate."""
    if target is not None:
        return target, candidate.scores[target]
    ranked = sorted(candidate.scores.items(), key=lambda item: (-(item[1].times_base or 0.0), item[0]))
    return ranked[0] if ranked else None


def shown_codes(
    candidate: Candidate, triggers: tuple[str, ...], target: str | None, book: ReasonBook, on: date
) -> list[str]:
    """Returns at most three codes that a line shows: what its action answers first, then what raises the score.

    Every fact holds on the day; at most two are of one dimension. The fallback alone: nothing is known to speak of.
    """
    spoken = strongest(candidate, target)
    scored = list(spoken[1].reason_codes) if spoken else []
    answered = sorted(triggers, key=lambda code: (code not in scored, triggers.index(code)))
    codes: list[str] = []
    dimensions: list[str] = []
    for code in [*answered, *scored]:
        known = code in book.reasons  # the stored scores may name a reason that the configuration has dropped since
        if not known or code in codes or code == NO_CAUSE or not book.holds(code, candidate.reasons, on):
            continue
        dimension = book.reasons[code].dimension
        if dimensions.count(dimension) < MOST_PER_DIMENSION and len(codes) < MOST_REASONS:
            codes.append(code)
            dimensions.append(dimension)
    return codes or [book.fallback]
