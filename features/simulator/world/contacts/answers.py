"""Answers to a cause: care soon after a shock takes away part of the complaints that the shock still has in store.

An operator tries such answers at random: a share of the shocks of a kind is drawn, each for one day soon after the
shock shows and for one arm (nobody calls, a call, a message). What an answer takes away depends on how old the matter
is, on the channel and on two visible features of the customer, with some noise; it is never a matter of the customer's
risk. For some it is nothing, or the wrong way. Without a cause, the same contact only annoys (`actions.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.kit.arrays import Floats, Integers
from features.simulator.world.calendar import Calendar
from features.simulator.world.contacts.effects import EffectSize
from features.simulator.world.dice import Dice
from features.simulator.world.drivers import age
from features.simulator.world.hazards import ANSWERS, DELAYS, DRAWN_SHARE, NO_ANSWER, NO_CALL, Answer
from features.simulator.world.population import Population
from features.simulator.world.shocks import Shocks

GROUPS = 12
"""Two by two visible features, and three levels of what nobody sees."""


@dataclass(frozen=True)
class Answered:
    """What the operator did about each shock of one kind, aligned with the shocks.

    Attributes:
        day: The day drawn for it, NO_ANSWER where the shock was not drawn.
        arm: 0 nobody is contacted, else the place of the channel in the answer's, counted from 1.
        share: What of the shock's remaining complaints the contact takes away; 0 where nobody is contacted.
    """

    day: Integers
    arm: Integers
    share: Floats


def group_of(dice: Dice, calendar: Calendar, people: Population) -> Integers:
    """Returns the group of each customer, 0 .. GROUPS - 1, on which the worth of an answer depends."""
    unseen = dice.choice("answer.taste", people.number, (0.3, 0.4, 0.3))
    return np.asarray(unseen + 3 * (people.digital < 0.5) + 6 * (age(people, calendar) < 30))


def taken_away(answer: Answer, level: EffectSize, delays: Sequence[int] | Integers = DELAYS) -> Floats:
    """Returns the share that an answer takes away, [groups, channels, delays]; negative where it does harm.

    `delays` are the days from when the shock shows to the contact.
    """
    group = np.arange(GROUPS)
    assisted, young, unseen = group // 3 % 2, group // 6, group % 3 - 1
    shares = np.empty((GROUPS, len(answer.channels), len(delays)))
    for place, channel in enumerate(answer.channels):
        by_call = channel == "call"
        liking = 0.15 * assisted - 0.45 * young if by_call else 0.10 * young - 0.20 * assisted
        start = (answer.call_share if by_call else answer.message_share) + liking + 0.12 * unseen
        shares[:, place, :] = start[:, None] * np.exp(-np.asarray(delays) / answer.lasting_days)[None, :]
    return np.clip(level.answer * shares, -0.5, 0.9)


def answer_shocks(
    dice: Dice, calendar: Calendar, people: Population, shocks: dict[str, Shocks], level: EffectSize
) -> dict[str, Answered]:
    """Returns what was done about each shock of every answered kind."""
    groups, made = group_of(dice, calendar, people), {}
    for answer in ANSWERS:
        found = shocks[answer.kind]
        number = people.number[found.row]
        drawn = (dice.uniform(f"answer.{answer.kind}", number, found.day) < DRAWN_SHARE) & (people.kind[found.row] == 0)
        delay = dice.choice(f"answer.delay.{answer.kind}", number, np.ones(len(DELAYS)), found.day)
        arm = dice.choice(f"answer.arm.{answer.kind}", number, answer.arm_shares, found.day)
        shares = taken_away(answer, level)[groups[found.row], np.maximum(arm - 1, 0), delay]
        day = found.day + answer.shows_after + np.array(DELAYS)[delay]
        made[answer.kind] = Answered(
            day=np.where(drawn, day, NO_ANSWER),
            arm=np.where(drawn, arm, NO_CALL),
            share=np.where(drawn & (arm > 0), shares, 0.0),
        )
    return made
