"""Finds columns that leak together: twins of one leak, each of which hides behind the others.

What one event wrote came from one table, so its columns share a word of their names, their blanks, or nearly their
values. Such a group is judged as one: how well its columns rank together, and what they add to all the others. Every
model here is a ridge regression over ranks and blanks, solved from sums of products that are made once: a few
milliseconds a group, learned on one half of the customers and judged on the other.

A guilty group loses its strongest columns until the rest is unsuspicious. If that takes half of it, the others came
with them and go, too; if it takes less, the rest of the group is honest. Of a group that is only just suspicious a
quarter decides: fewer twins must go until so little is left.

Twins that share no sign at all are not told from honest columns. Where everything that is left ranks too well together,
its strongest columns are reported for a person to judge; the ceiling of the AUC stops such a model.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.sparse.csgraph import connected_components
from scipy.stats import rankdata

from features.kit.arrays import Flags, Floats, Vectors
from training.evaluation import metrics
from training.leakage.trial import MIN_ROWS, Trial

TOGETHER_TOO_GOOD = 0.95
TOGETHER_SUSPICIOUS, TOGETHER_GAIN = 0.90, 0.12
UNSUSPICIOUS = 0.85
ALL_TOO_GOOD = 0.97
MOST, MOST_IF_WEAK = 0.5, 0.25
SAME_BLANKS, SAME_VALUES = 0.95, 0.9
RIDGE = 0.01
AS_GOOD = 0.01
STRENGTH_GAP = 0.03
SHORT_WORD = 3
WORDS = re.compile(r"[^\W\d_]+|\d+")


@dataclass(frozen=True)
class Group:
    """Columns that may have one source."""

    places: frozenset[int]
    sign: str  # what they share, in words
    is_vague: bool = False  # a sign that honest columns may well share


@dataclass
class Sketch:
    """Sums of products of a matrix, from which the ranking of any of its columns together follows.

    A column is three regressors: its rank, the square of it, and whether it is blank.
    """

    trial: Trial
    known: dict[frozenset[int], float] = field(default_factory=dict)

    def together(self, places: Collection[int], *, only_blanks: bool = False) -> float:
        """Returns the AUC of some columns together: the mean over both halves, each learned on the other one."""
        key = frozenset(places) if not only_blanks else frozenset(-1 - place for place in places)
        if key not in self.known:
            self.known[key] = self._together(sorted(places), only_blanks=only_blanks)
        return self.known[key]

    def strength(self, place: int) -> float:
        """Returns how well one column ranks by itself, by its order or by the ridge."""
        return max(self.trial.alone(place), self.together([place]))

    def _together(self, places: list[int], *, only_blanks: bool) -> float:
        count = len(self.trial.part.features)
        at = [2 * count + place for place in places]
        if not only_blanks:
            at = [*places, *(count + place for place in places), *at]
        varying = self._regressors[:, at].any(axis=0)
        chosen = np.array(at, dtype=np.intp)[varying]
        if not len(chosen):
            return 0.5
        areas = []
        for half, (products, hits) in zip((self.trial.half, ~self.trial.half), self._sums, strict=True):
            ridge = RIDGE * half.sum() * np.eye(len(chosen))
            weights = np.linalg.solve(products[np.ix_(chosen, chosen)] + ridge, hits[chosen])
            scores = self._regressors[np.ix_(~half, chosen)] @ weights
            areas.append(metrics.area(scores, self.trial.part.labels[~half]))
        return float(np.mean(areas))

    @cached_property
    def ranks(self) -> Vectors:
        """Returns each column's ranks with mean 0 and spread 1; 0 where it is blank or never changes."""
        result = np.zeros(self.trial.part.values.shape, dtype=np.float32)
        for place, feature in enumerate(self.trial.part.features):
            column = self.trial.part.values[:, place]
            known = ~np.isnan(column)
            scores = self.trial.rates(column) if feature.kind == "category" else column
            result[known, place] = _standard(rankdata(scores[known]))
        return result

    @cached_property
    def blanks(self) -> Vectors:
        """Returns whether each value is blank with mean 0 and spread 1; 0 in a column that is (nearly) never so."""
        blank = np.isnan(self.trial.part.values)
        often = np.minimum(blank.sum(axis=0), (~blank).sum(axis=0)) >= MIN_ROWS
        result: Vectors = _standard(blank) * often
        return result

    @cached_property
    def _regressors(self) -> npt.NDArray[np.float32]:
        squares = np.where(self.ranks == 0, 0, _standard(self.ranks**2))
        return np.column_stack([self.ranks, squares, self.blanks]).astype(np.float32)

    @cached_property
    def _sums(self) -> list[tuple[Floats, Floats]]:
        labels = self.trial.part.labels
        sums = []
        for half in (self.trial.half, ~self.trial.half):
            rows = self._regressors[half]
            sums.append(((rows.T @ rows).astype(np.float64), rows.T @ (labels[half] - labels[half].mean())))
        return sums


def worst_group(sketch: Sketch, without: Collection[int]) -> tuple[frozenset[int], str]:
    """Returns the columns of the group that gives the label away most, and the evidence; nothing if none does."""
    left = frozenset(range(len(sketch.trial.part.features))) - frozenset(without)
    suspects = [group for group in groups(sketch, left) if sketch.together(group.places) >= TOGETHER_SUSPICIOUS]
    # Two leaks hide behind each other, too. But honest families may rank so well: only where all together cannot be
    # true is each of them held against what none of them is part of.
    hidden = frozenset[int]()
    if sketch.together(left) >= ALL_TOO_GOOD:
        hidden = frozenset().union(*(group.places for group in suspects))
    guilty: list[tuple[float, float, Group]] = []
    for group in suspects:
        area, beside = sketch.together(group.places), left - hidden - group.places
        gain = sketch.together(beside | group.places) - sketch.together(beside)
        if area >= TOGETHER_TOO_GOOD or gain >= TOGETHER_GAIN:
            guilty.append((area, float(np.mean([sketch.strength(place) for place in group.places])), group))
    if not guilty:
        return frozenset(), ""
    best = max(area for area, _, _ in guilty)
    area, _, worst = max((one for one in guilty if one[0] >= best - AS_GOOD), key=lambda one: one[1])
    named = _culprits(sketch, worst)
    return named, (
        f"with {len(worst.places) - 1} others ({worst.sign}) ranks with AUC {area:.3f}, all other columns with "
        f"{sketch.together(left - worst.places):.3f}: each hides behind the others"
    )


def strongest_of_all(sketch: Sketch, without: Collection[int]) -> tuple[frozenset[int], str]:
    """Returns the columns that carry a ranking of everything left that is too good, and the evidence; else nothing."""
    left = frozenset(range(len(sketch.trial.part.features))) - frozenset(without)
    area = sketch.together(left)
    if area < ALL_TOO_GOOD:
        return frozenset(), ""
    named = _culprits(sketch, Group(left, "", is_vague=True))
    return named, (
        f"all {len(left)} columns rank together with AUC {area:.3f}, without the {len(named)} strongest with "
        f"{sketch.together(left - named):.3f}"
    )


def groups(sketch: Sketch, left: frozenset[int]) -> list[Group]:
    """Returns the groups among some columns, each once; what would hold all of them is none."""
    names = {place: sketch.trial.part.features[place].name for place in left}
    found: dict[frozenset[int], Group] = {}
    for group in (*_by_name(names), *_alike(sketch.blanks, left, SAME_BLANKS, "blank in the same rows"),
                  *_alike(sketch.ranks, left, SAME_VALUES, "nearly equal in order")):  # fmt: skip
        if 1 < len(group.places) < len(left):
            known = found.get(group.places)
            found[group.places] = group if known is None or known.is_vague else known
    return list(found.values())


def _culprits(sketch: Sketch, group: Group) -> frozenset[int]:
    """Returns the columns without which the rest of a guilty group is unsuspicious, and those that came with them."""
    order = sorted(group.places, key=lambda place: (-sketch.strength(place), place))
    taken = 1
    while taken < len(order) and sketch.together(order[taken:]) >= UNSUSPICIOUS:
        taken += 1
    is_weak = sketch.together(group.places) < TOGETHER_TOO_GOOD
    if taken < (MOST_IF_WEAK if is_weak else MOST) * len(order):
        return frozenset(order[:taken])
    if taken > 1 and not group.is_vague:
        return group.places
    while taken < len(order) and (sketch.strength(order[taken - 1]) - sketch.strength(order[taken]) <= STRENGTH_GAP):
        taken += 1
    return frozenset(order[:taken])


def _by_name(names: dict[int, str]) -> Iterator[Group]:
    """Yields the columns whose names begin or end alike, a number at the end of a word aside."""
    keys: dict[tuple[str, str], set[int]] = {}
    for place, name in names.items():
        words = WORDS.findall(name.lower())
        parts = [("begin with", "_".join(words[:count])) for count in (1, 2, 3) if len(words) > count]
        parts += [("end with", "_".join(words[-count:])) for count in (1, 2) if len(words) > count]
        parts += [("are, without figures,", "_".join(word for word in words if not word.isdigit()))]
        if not name.isascii():  # no blanks between words
            parts += [("begin with", name[:count]) for count in (2, 3, 4) if len(name) > count]
            parts += [("end with", name[-count:]) for count in (2, 3, 4) if len(name) > count]
        for key in parts:
            keys.setdefault(key, set()).add(place)
    for (how, word), places in keys.items():
        is_vague = word.isascii() and not word.isdigit() and len(word) < SHORT_WORD
        yield Group(frozenset(places), f"names {how} '{word}'", is_vague)


def _alike(columns: Vectors, left: frozenset[int], limit: float, sign: str) -> Iterator[Group]:
    """Yields the columns that a chain of correlations beyond a limit joins."""
    places = np.array(sorted(left), dtype=np.intp)
    if len(places) < 2:
        return
    chosen = columns[:, places]
    close = np.abs(chosen.T @ chosen) / len(chosen) >= limit
    _, codes = connected_components(close, directed=False)
    for code in np.flatnonzero(np.bincount(codes) > 1):
        yield Group(frozenset(places[codes == code].tolist()), sign)


def _standard(values: npt.NDArray[np.generic] | Flags) -> Vectors:
    """Returns columns with mean 0 and spread 1; 0 where nothing changes."""
    centred = np.asarray(values, dtype=np.float32)
    if not len(centred):
        return centred
    centred = centred - centred.mean(axis=0)
    spread = centred.std(axis=0)
    result: Vectors = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)
    return result
