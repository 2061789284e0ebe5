"""Which reasons a customer gets: the fact holds and the feature group raises the score, strongest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from features.kit.arrays import Floats
from features.kit.errors import ConfigurationError
from features.portraits.feature_list import definitions
from serving.scoring.reasons.book import ReasonBook


class ReasonPicker:
    """Chooses the reasons of one model: which fact holds, which feature group raises the score, in which order."""

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
        self._book = book
        known = {*portrait, *(definition.feature.name for definition in definitions())}
        at = {name: place for place, name in enumerate(inputs)}
        groups: dict[str, list[int]] = {}
        for code, spec in book.of_target(target).items():
            strange = [name for name in spec.features if name not in known]
            if strange and not spec.when:  # another operator lacks the attribute, and so the fact
                raise ConfigurationError(
                    f"reasons.yaml: reasons.{code}.features: no portrait has '{strange[0]}'",
                    remedy="insight catalogue lists the features",
                )
            groups[code] = [at[name] for name in spec.features if name in at]
        self._codes = {code: row for row, code in enumerate(groups)}
        width = max((len(group) for group in groups.values()), default=0)
        nothing = len(inputs)  # the place of the mean score, which is set to 0 before adding
        self._places = np.full((len(groups), max(width, 1)), nothing, dtype=np.intp)
        for row, group in enumerate(groups.values()):
            self._places[row, : len(group)] = group

    def group_sums(self, contributions: Floats) -> Floats:
        """Returns what each feature group adds to the raw score, float64 [n, codes].

        Added elementwise, in the order of the file, so that a row's sums do not depend on the rows around it.
        """
        parts = contributions.copy()
        parts[:, -1] = 0.0
        gathered = np.take(parts, self._places, axis=1)
        sums = gathered[:, :, 0].copy()
        for column in range(1, gathered.shape[2]):
            sums += gathered[:, :, column]
        return sums

    def held(self, facts: Mapping[str, Any]) -> list[str]:
        """Returns the codes of this target whose fact holds.

        Args:
            facts: The portrait's `facts["reasons"]`: code to slot values.
        """
        return [code for code in facts if code in self._codes and self._book.holds(code, facts)]

    def pick(self, held: Sequence[str], sums: Floats, *, most: int, most_per_dimension: int) -> list[str]:
        """Returns one customer's reason codes, strongest first; the fallback alone if none raises the score.

        Args:
            held: The codes whose fact holds.
            sums: The customer's row of `group_sums`, float64 [codes].
            most: The most reasons to return.
            most_per_dimension: The most reasons of one dimension.
        """
        raising = sorted((-float(sums[self._codes[code]]), code) for code in held if sums[self._codes[code]] > 0)
        picked: list[str] = []
        of_dimension: dict[str, int] = {}
        for _, code in raising:
            dimension = self._book.reasons[code].dimension
            if len(picked) < most and of_dimension.get(dimension, 0) < most_per_dimension:
                picked.append(code)
                of_dimension[dimension] = of_dimension.get(dimension, 0) + 1
        return picked or [self.fallback]

    @property
    def fallback(self) -> str:
        """Returns the code for no single cause."""
        return self._book.fallback
