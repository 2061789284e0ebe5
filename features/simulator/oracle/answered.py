"""What shocks of an answered kind still do inside the window, in closed form, when some of them are answered at random.

A shock's future is a mixture: nobody answers it, or a contact on one of three days by one of the arms takes away a
share of what remains from the next day on. What was seen before the as-of date is known; what was not seen yet is
integrated out. Only the wearing off by contacts still to come inside the window is left out (a rare second contact).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.kit.arrays import Floats, Integers
from features.simulator.world.contacts.answers import GROUPS, taken_away
from features.simulator.world.contacts.effects import EffectSize
from features.simulator.world.hazards import CALL_FACTORS, DELAYS, DRAWN_SHARE, HORIZON, KIND_OF, Answer

FACTORS = np.array(CALL_FACTORS)


@dataclass(frozen=True)
class AnsweredKind:
    """One kind of shock with the trial of its answer, at one level of effects."""

    answer: Answer
    level: EffectSize

    def _between(self, first: Integers | int, end: Integers | int) -> Floats:
        """Returns what a shock does on the days `[first, end)` after it, 0 where the end lies before the first."""
        effect = KIND_OF[self.answer.kind].effects["complaint"]
        sums, last = effect.sums * effect.size, len(effect.kernel)
        return np.asarray(np.maximum(sums[np.clip(end, 0, last)] - sums[np.clip(first, 0, last)], 0.0))

    def outcomes(self) -> tuple[Floats, Integers, Floats]:
        """Returns the chances, contact days after the shock, and shares taken away [groups + 1, outcomes] of a trial.

        The last group are customers whom no trial draws. The first outcome is that nobody is contacted.
        """
        shares = taken_away(self.answer, self.level)  # groups, channels, delays
        arms = self.answer.arm_shares
        chances, days, taken = [1 - DRAWN_SHARE], [-1], [np.zeros(GROUPS)]
        for place, delay in enumerate(DELAYS):
            for arm, share in enumerate(arms):
                chances.append(DRAWN_SHARE * share / len(DELAYS))
                days.append(self.answer.shows_after + delay)
                taken.append(np.zeros(GROUPS) if arm == 0 else shares[:, arm - 1, place])
        untouched = np.zeros((1, len(taken)))
        return np.array(chances), np.array(days), np.concatenate([np.stack(taken, axis=1), untouched])

    def survival(self) -> Floats:
        """Returns E exp(-what a shock on window day s still does inside it) by mark, [groups + 1, marks, HORIZON]."""
        chances, contact, taken = self.outcomes()
        end = (HORIZON - np.arange(HORIZON))[:, None]
        whole, after = self._between(0, end), self._between(contact[None, :] + 1, end)
        after = np.where(contact >= 0, after, 0.0)
        left = whole[None] - taken[:, None, :] * after[None]  # groups, days, outcomes
        worth = np.exp(-FACTORS[None, :, None, None] * left[:, None])
        mixed: Floats = (worth * chances).sum(axis=-1)
        mixed[GROUPS] = np.exp(-FACTORS[:, None] * whole[None, :, 0])
        return mixed

    def past(self, shocks: dict[str, np.ndarray], group: Integers, as_of: int) -> Floats:
        """Returns what each shock before D still adds inside the window. `group` is that of each shock's customer."""
        age = as_of - shocks["day"]
        seen = shocks["answered_on"] < as_of
        whole = self._between(age, age + HORIZON) * FACTORS[shocks["mark"]]
        return np.asarray(np.where(seen, whole * (1 - shocks["share"]), self._open(shocks, group, age)))

    def _open(self, shocks: dict[str, np.ndarray], group: Integers, age: Integers) -> Floats:
        """Returns the same for shocks that nobody was drawn for so far: a mixture of what may still be done."""
        chances, contact, taken = self.outcomes()
        factor = FACTORS[shocks["mark"]]
        survives, weight = np.zeros(len(age)), np.zeros(len(age))
        for place, (chance, day) in enumerate(zip(chances, contact, strict=True)):
            possible = (day < 0) | (day >= age)
            after = self._between(np.maximum(age, day + 1), age + HORIZON) if day >= 0 else 0.0
            left = self._between(age, age + HORIZON) - taken[group, place] * after
            survives += np.where(possible, chance * np.exp(-factor * left), 0.0)
            weight += np.where(possible, chance, 0.0)
        whole = self._between(age, age + HORIZON) * factor
        return np.asarray(np.where(group == GROUPS, whole, -np.log(survives / weight)))

    def answered_now(self, shocks: dict[str, np.ndarray], group: Integers, as_of: int, channel: str) -> Floats:
        """Returns what a contact on D about each shock before it takes away inside the window, 0 where none can be."""
        age = as_of - shocks["day"]
        delay = age - self.answer.shows_after
        place = self.answer.channels.index(channel)
        every = taken_away(self.answer, self.level, np.arange(HORIZON + 1))
        is_fresh = (delay >= 1) & (delay <= HORIZON) & ~((shocks["answered_on"] < as_of) & (shocks["share"] != 0))
        share = every[np.minimum(group, GROUPS - 1), place, np.clip(delay, 0, HORIZON)]
        less = share * self._between(age + 1, age + HORIZON) * FACTORS[shocks["mark"]]
        return np.asarray(np.where(is_fresh & (group < GROUPS), less, 0.0))
