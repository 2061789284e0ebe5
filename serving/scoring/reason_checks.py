"""Whether reasons can be trusted: they stay under small noise, and their feature group does raise the score.

Measured on real portraits with a real model. The facts of a portrait are exact and stay as they are; noise and removal
touch what the model reads, which decides which facts are said and in which order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.kit.arrays import Vectors
from serving.scoring.reasons.book import ReasonBook
from serving.scoring.scorer import PortraitList, Scorer

NOISE = 0.01
MOST = 3
BACKGROUND_ROWS = 40
LEAST_ROWS = 30


@dataclass(frozen=True)
class ReasonFigures:
    """How far the reasons of one model hold."""

    target: str  # whose
    version: str  # which model
    rows: int  # customers with at least one reason besides the fallback
    same_first: float  # share of them whose first reason is the same under noise
    overlap: float  # mean overlap (intersection over union) of their reasons before and under noise
    falls: float  # share whose raw score falls when the first reason's feature group takes other customers' values
    falls_unsaid: float | None  # the same with the group that lowers the score most: what a wrong reason reaches
    unsaid_rows: int  # customers with such a group


def reason_figures(
    scorer: Scorer,
    book: ReasonBook,
    features: PortraitList,
    values: Vectors,
    facts: Sequence[str],
    *,
    noise: float = NOISE,
    rows: int = 300,
    seed: int = 7,
) -> ReasonFigures | None:
    """Returns the figures of a model on some portraits, or None if too few of them have a reason.

    `values` are the portraits, float32 [n, features of the portrait], `facts` theirs, n texts; so many `rows` of them
    are asked. Each number is multiplied by `1 + noise * z`, z standard normal; categories and blanks stay.
    """
    rng = np.random.default_rng(seed)
    codes = scorer.reason_codes(values, facts, most=MOST)
    spoken = [row for row, of_row in enumerate(codes) if of_row != [book.fallback]]
    if len(spoken) < LEAST_ROWS:
        return None
    chosen = np.sort(rng.permutation(spoken)[:rows])
    before = [codes[row] for row in chosen]
    numbers = np.array([not feature.categories for feature in features.features])
    some = values[chosen]
    noisy = np.where(numbers, some * (1 + noise * rng.standard_normal(some.shape)), some).astype(np.float32)
    after = scorer.reason_codes(noisy, [facts[row] for row in chosen], most=MOST)
    others = values[np.sort(rng.permutation(len(values))[:BACKGROUND_ROWS])]
    inputs = set(scorer.bundle.manifest.feature_names)
    at = {feature.name: place for place, feature in enumerate(features.features) if feature.name in inputs}
    groups = {code: [at[name] for name in spec.features if name in at] for code, spec in book.reasons.items()}
    falls = [_falls(scorer, some[row], others, groups[first[0]]) for row, first in enumerate(before)]
    unsaid = _unsaid(scorer, book, groups, some)
    quiet = [_falls(scorer, some[row], others, groups[code]) for row, code in unsaid]
    return ReasonFigures(
        target=scorer.target,
        version=scorer.version,
        rows=len(chosen),
        same_first=round(float(np.mean([a[0] == b[0] for a, b in zip(before, after, strict=True)])), 4),
        overlap=round(float(np.mean([_overlap(a, b) for a, b in zip(before, after, strict=True)])), 4),
        falls=round(float(np.mean(falls)), 4),
        falls_unsaid=round(float(np.mean(quiet)), 4) if quiet else None,
        unsaid_rows=len(quiet),
    )


def _unsaid(scorer: Scorer, book: ReasonBook, groups: dict[str, list[int]], values: Vectors) -> list[tuple[int, str]]:
    """Returns for each customer the code whose group lowers the score most: what must never be said of them."""
    parts = scorer.contributions(values)
    place = {name: column for column, name in enumerate(scorer.bundle.manifest.feature_names)}
    found = []
    specs = {code: spec for code, spec in book.of_target(scorer.target).items() if groups[code]}
    for row in range(len(values)):
        sums = {
            code: float(sum(parts[row, place[name]] for name in spec.features if name in place))
            for code, spec in specs.items()
        }
        lowest = min(sums, key=lambda code: (sums[code], code), default=None)
        if lowest is not None and sums[lowest] < 0:
            found.append((row, lowest))
    return found


def _falls(scorer: Scorer, portrait: Vectors, others: Vectors, group: Sequence[int]) -> bool:
    many = np.repeat(portrait.reshape(1, -1), len(others), axis=0)
    many[:, group] = others[:, group]
    return bool(scorer.rows(many).margins.mean() < scorer.rows(portrait.reshape(1, -1)).margins[0])


def _overlap(first: Sequence[str], second: Sequence[str]) -> float:
    return len(set(first) & set(second)) / len(set(first) | set(second))
