"""How far a column has moved from its reference: PSI, KS, blanks, unseen categories, values that no longer move.

A reference is plain data. Floats are kept as 101 quantile knots (for KS) and the shares of up to ten bins between the
deciles (for PSI); a category as the shares of its values, of which the rare ones are compared together. Shares are over
the filled values, blanks are apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from features.kit.arrays import Floats, Vectors
from training.evaluation.metrics import Z95

KNOTS = 101
BINS = 10
FLOOR = 1e-4
RARE = 0.01


def number_reference(values: Floats) -> dict[str, Any]:
    """Returns the reference of a number, blanks as NaN. Values in few ascending runs are quickest."""
    filled = _in_order(values)
    if not len(filled):
        return {"missing": 1.0, "knots": [], "edges": [], "shares": []}
    knots = filled[((len(filled) - 1) * np.linspace(0, 1, KNOTS)).astype(np.intp)]
    edges = np.unique(filled[((len(filled) - 1) * (np.arange(1, BINS) / BINS)).astype(np.intp)])
    return {
        "missing": (len(values) - len(filled)) / len(values),
        "knots": knots.tolist(),
        "edges": edges.tolist(),
        "shares": bin_shares(filled, edges).tolist(),
    }


def _in_order(values: Floats) -> Floats:
    """Returns the filled values, ascending."""
    ordered = np.sort(values, kind="stable")  # merges what is in order already; NaN come last
    return ordered[: len(ordered) - int(np.isnan(ordered).sum())]


def category_reference(values: Iterable[str | None] | Counter[str | None]) -> dict[str, Any]:
    """Returns the reference of a category, blanks as None, from its values or their counts."""
    counts = Counter(values)
    total, blank = counts.total(), counts.pop(None, 0)
    names = sorted(name for name in counts if name is not None)
    return {
        "missing": 1.0 - (total - blank) / max(total, 1),
        "categories": names,
        "shares": [counts[name] / max(total - blank, 1) for name in names],
    }


def bin_shares(filled: Floats, edges: Floats) -> Floats:
    """Returns the share of each bin: up to and including its edge; the last one is above all edges."""
    up_to = np.searchsorted(np.sort(filled, kind="stable"), edges, side="right")
    shares: Floats = np.diff(up_to, prepend=0, append=len(filled)) / max(len(filled), 1)
    return shares


def psi(reference: Floats, now: Floats) -> float:
    """Returns the population stability index; an empty bin counts as one in ten thousand.

    Example: shares .5, .5 against .6, .4 give .1 x ln(1.2) + .1 x ln(1.25) = .041.
    """
    first, second = np.maximum(reference, FLOOR), np.maximum(now, FLOOR)
    return float(((second - first) * np.log(second / first)).sum())


def ks(knots: Floats, filled: Floats) -> float:
    """Returns the largest distance between the cumulative distribution that the knots stand for and the values'.

    Where many values are equal the knots repeat: the distribution is read at the last of equal knots.
    """
    if not len(filled) or not len(knots):
        return 0.0
    places, first = np.unique(knots, return_index=True)
    last = np.concatenate([first[1:], [len(knots)]]) - 1
    expected = last / (len(knots) - 1)
    found = np.searchsorted(np.sort(filled, kind="stable"), places, side="right") / len(filled)
    # Between two knots the reference is known to one step only.
    return float(max(np.abs(found - expected).max() - 1.0 / (len(knots) - 1), 0.0))


def compare(reference: dict[str, Any], values: Any) -> dict[str, float]:
    """Returns `psi`, `ks` (numbers), `missing` and `unseen` (categories) of values against a reference.

    `values` are float64 [n], or the values of a category or their counts.
    """
    if "categories" in reference:
        counts = Counter(values)
        total, blank = counts.total(), counts.pop(None, 0)
        filled, known = total - blank, [counts.pop(name, 0) for name in reference["categories"]]
        shares = np.array([*known, counts.total()]) / max(filled, 1)
        expected = np.array([*reference["shares"], 0.0])
        return {
            "psi": psi(_rare_together(expected, expected), _rare_together(shares, expected)) if filled else 0.0,
            "ks": 0.0,
            "missing": 1.0 - filled / max(total, 1),
            "unseen": float(shares[-1]) if filled else 0.0,
        }
    column = np.asarray(values, dtype=np.float64)
    filled_numbers = _in_order(column)
    edges = np.array(reference["edges"])
    comparable = bool(len(filled_numbers)) and bool(reference["shares"])
    return {
        "psi": psi(np.array(reference["shares"]), bin_shares(filled_numbers, edges)) if comparable else 0.0,
        "ks": ks(np.array(reference["knots"]), filled_numbers) if comparable else 0.0,
        "missing": float(np.isnan(column).mean()) if len(column) else 1.0,
        "unseen": 0.0,
    }


def _rare_together(shares: Floats, expected: Floats) -> Floats:
    rare = expected < RARE
    return np.append(shares[~rare], shares[rare].sum())


def equal_share(before: Vectors, now: Vectors) -> float:
    """Returns the share of rows whose value is the same as before, blank or not."""
    if not len(now):
        return 0.0
    same = (before == now) | (np.isnan(before) & np.isnan(now))
    return float(same.mean())


def estimated_auc(propensities: Floats) -> float:
    """Returns the AUC that calibrated propensities promise: a row is a positive with its own propensity.

    Example: propensities .2 and .8 promise .64 / (.64 + .04) = .94: the higher one is the positive sixteen times as
    often as the other way round. Ties count as half.
    """
    values, counts = np.unique(propensities, return_counts=True)
    positives, negatives = values * counts, (1.0 - values) * counts
    below = np.cumsum(negatives) - negatives
    total = positives.sum() * negatives.sum() - (propensities * (1.0 - propensities)).sum()
    # a row is never compared with itself; within a tie the pairs of different rows count as half.
    ties = (positives * negatives - values * (1.0 - values) * counts) / 2.0
    return float((positives * below + ties).sum() / total) if total > 0 else float("nan")


def expected_level(means: Sequence[float], propensities: Floats, *, age: float) -> tuple[float, float]:
    """Returns between which means the mean propensity of another date is expected, at 95 %.

    The means of the reference dates scatter; few of them say little about it, so Student's t of their number decides,
    and an older reference says less. It is never narrower than chance among the customers of one date.

    Example: reference dates with .0200, .0205, .0210 scatter by .0005; a fresh date of 50,000 customers whose
    propensities scatter by .02 may lie .0025 to either side of .0205.

    `means` are those of the reference dates, `propensities` of the date, float64 [n]; `age` counts the days since the
    newest reference date, in spans of the reference dates.
    """
    from scipy.stats import t

    count, centre = len(means), float(np.mean(means))
    most = Z95 * float(np.std(propensities)) / max(len(propensities), 1) ** 0.5 * (1 + 1 / count) ** 0.5
    if count > 1:  # the means scatter by both
        scatter = float(np.std(means, ddof=1)) * (1 + 1 / count) ** 0.5
        most = max(most, float(t.ppf(0.975, count - 1)) * scatter * (1 + age))
    return centre - most, centre + most
