"""Which reasons a customer gets: the fact holds and the feature group raises the score, strongest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from features.kit.arrays import Flags, Floats
from features.kit.errors import ConfigurationError
from features.portraits.feature_list import definitions
from serving.scoring.reasons.book import ReasonBook

NO_REASON = -1
Codes = npt.NDArray[np.int16]


@dataclass(frozen=True)
class ReasonRows:
    """The reasons of n customers, strongest first.

    Attributes:
        codes: Places in `ReasonPicker.codes`, int16 [n, most]; `NO_REASON` where there is no further one.
        contributions: What each reason's feature group adds to the raw score, float64 [n, most]; 0 for the fallback,
            and where there is no reason.
    """

    codes: Codes
    contributions: Floats


class ReasonPicker:
    """Chooses the reasons of one model: which fact holds, which feature group raises the score, in which order.

    Attributes:
        codes: What `ReasonRows.codes` counts: the codes of the target by name, then the fallback.
    """

    def __init__(self, book: ReasonBook, target: str, inputs: Sequence[str], portrait: Sequence[str]) -> None:
        """Maps feature groups to a model's inputs.

        Args:
            book: All reasons.
            target: The model's target.
            inputs: The model's features in its order.
            portrait: The features of the portrait; one of a former release may lack what groups of this one name.

        Raises:
            ConfigurationError: If a feature group names a feature that no portrait has.
        """
        known = {*portrait, *(definition.feature.name for definition in definitions())}
        at = {name: place for place, name in enumerate(inputs)}
        groups: dict[str, list[int]] = {}
        for code, spec in sorted(book.of_target(target).items()):  # by name, as ties go
            strange = [name for name in spec.features if name not in known]
            if strange and not spec.when:  # another operator lacks the attribute, and so the fact
                raise ConfigurationError(
                    f"reasons.yaml: reasons.{code}.features: no portrait has '{strange[0]}'",
                    remedy="insight catalogue lists the features",
                )
            groups[code] = [at[name] for name in spec.features if name in at]
        self.codes = (*groups, book.fallback)
        self._groups = tuple(groups.values())
        dimensions = [book.reasons[code].dimension for code in groups]
        self._is_same = np.array([[one == other for other in dimensions] for one in dimensions], dtype=bool)
        every = {code: place for place, code in enumerate(book.reasons)}
        self._held_at = np.array([every[code] for code in groups], dtype=np.intp)

    def group_sums(self, contributions: Floats, held: Flags | None = None) -> Floats:
        """Returns what each feature group adds to the raw score, float64 [n, codes without the fallback].

        Added elementwise, in the order of the file, so that a row's sums do not depend on the rows around it. With
        `held`, the facts of these customers, it is 0 for codes of which nobody has the fact.
        """
        parts = np.ascontiguousarray(contributions.T)
        sums = np.zeros((len(self._groups), len(contributions)))
        wanted = np.ones(len(sums), dtype=bool) if held is None else np.asarray(held[:, self._held_at].any(axis=0))
        for row, group in enumerate(self._groups):
            if wanted[row]:
                for place in group:
                    sums[row] += parts[place]
        return sums.T

    def is_possible(self, held: Flags) -> Flags:
        """Returns who has a fact that could be a reason, bool [n]; `held` is `facts_held` of the customers."""
        return np.asarray(held[:, self._held_at].any(axis=1))

    def nothing(self, rows: int, most: int) -> ReasonRows:
        """Returns the reasons of customers of whom nothing could be said: the fallback alone."""
        found = ReasonRows(np.full((rows, most), NO_REASON, dtype=np.int16), np.zeros((rows, most)))
        found.codes[:, 0] = len(self._groups)
        return found

    def pick(self, held: Flags, sums: Floats, *, most: int, most_per_dimension: int) -> ReasonRows:
        """Returns the reasons of customers, strongest first; the fallback alone for whom none raises the score.

        Args:
            held: Whose facts hold: `facts_held` of the customers.
            sums: Their `group_sums`.
            most: The most reasons to return.
            most_per_dimension: The most reasons of one dimension.
        """
        rows, picked = np.arange(len(held)), self.nothing(len(held), most)
        left = np.where(held[:, self._held_at] & (sums > 0), sums, 0.0)
        taken = np.zeros(left.shape, dtype=np.int16)  # of each code's dimension
        for place in range(most if self._groups else 0):
            best = left.argmax(axis=1)  # of equal ones the first by name
            highest = left[rows, best]
            is_one = highest > 0
            if not is_one.any():
                break
            picked.codes[is_one, place] = best[is_one]
            picked.contributions[:, place] = highest
            taken += self._is_same[best] & is_one[:, None]
            left[rows, best] = 0.0
            left[taken >= most_per_dimension] = 0.0
        return picked

    def names(self, codes: Codes) -> list[str]:
        """Returns the codes of one row of `ReasonRows.codes`, strongest first."""
        return [self.codes[place] for place in codes.tolist() if place != NO_REASON]


def facts_held(book: ReasonBook, facts: Sequence[Mapping[str, Any]]) -> Flags:
    """Returns which reasons' facts hold, bool [n, reasons of the book].

    Args:
        book: All reasons.
        facts: The portraits' `facts["reasons"]`, n times code to slot values.
    """
    places = {code: place for place, code in enumerate(book.reasons)}
    held = np.zeros((len(facts), len(places)), dtype=bool)
    for row, of_customer in enumerate(facts):
        for code in of_customer:
            if code in places and book.holds(code, of_customer):
                held[row, places[code]] = True
    return held
