"""What an operator's contact does to a customer: effects by visible features, and past randomised campaigns.

Each action's effect is a sum added to a hazard over the 60 days after the contact. It depends on at most four
visible features and a little noise, never on the risk itself, so the riskiest customer is not the one helped most.
A message does less than a call and costs far less. A contact about nothing, and one too many, annoy: they add to
complaints. Answers to a cause are drawn apart (`answers.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from features.kit.arrays import Floats, Integers
from features.simulator.world.calendar import MOST_DAYS, Calendar
from features.simulator.world.catalogue import FEE, YUAN
from features.simulator.world.contacts.effects import FIELD, EffectSize
from features.simulator.world.dice import Dice
from features.simulator.world.drivers import age, churn_base, need_ratio, upgrade_base
from features.simulator.world.hazards import (
    ANNOYED_BY_CALL,
    ANNOYED_BY_MESSAGE,
    ANSWERS,
    CAMPAIGN_DAY,
    ENOUGH_CONTACTS,
    ENOUGH_DAYS,
    NEEDLESS_DAY,
    NEEDLESS_SHARE,
    UNTREATED_SHARE,
)
from features.simulator.world.population import Population

CARE_ACTIONS = ("service_review", "contract_renewal", "plan_fit_offer", "follow_up_call")
SALES_ACTIONS = ("upgrade_invite", "data_pack_offer")
ANSWER_ACTIONS = tuple(answer.action for answer in ANSWERS)
ACTIONS = CARE_ACTIONS + SALES_ACTIONS + ANSWER_ACTIONS
OFFERS = ("plan_fit_offer", "contract_renewal", "upgrade_invite", "data_pack_offer")
TARGET_OF = (
    dict.fromkeys(CARE_ACTIONS, "churn")
    | dict.fromkeys(SALES_ACTIONS, "upgrade")
    | dict.fromkeys(ANSWER_ACTIONS, "complaint")
)
CHANNELS = {
    "service_review": ("call",), "contract_renewal": ("call",), "plan_fit_offer": ("call", "message"),
    "follow_up_call": ("call",), "upgrade_invite": ("message", "app"), "data_pack_offer": ("message", "app"),
} | {answer.action: answer.channels for answer in ANSWERS}  # fmt: skip
"""How each action is made; the first channel is the one whose effect `effect` states."""
CHEAP_PLAN = 39 * YUAN
WEIGHT = {"call": 1.0, "message": 0.5, "app": 0.4}
"""What a channel does, against a call. Sales go by message or app, so their effect is stated for the first of these."""

CAMPAIGN_SHARE = 0.15
"""Share of the base drawn into each month's campaign; half of it is treated."""
PROPENSITY = 0.5


@dataclass(frozen=True)
class SizedEvents:
    """Contacts with the size of their effect."""

    row: Integers
    day: Integers
    size: Floats


@dataclass(frozen=True)
class Contacts:
    """Past campaign members: row, day, action number, channel (its place), whether treated, and the effect's size.

    The size is what the contact adds to the hazard of the action's target over the days after it.
    """

    row: Integers
    day: Integers
    action: Integers
    channel: Integers
    treated: np.ndarray
    size: Floats

    def effects(self, target: str) -> Iterator[SizedEvents]:
        """Yields the treated contacts that act on a target."""
        wanted = np.isin(self.action, [n for n, name in enumerate(ACTIONS) if TARGET_OF[name] == target])
        keep = np.flatnonzero(wanted & self.treated)
        yield SizedEvents(self.row[keep], self.day[keep], self.size[keep])

    def of(self, places: Integers) -> Contacts:
        """Returns the contacts at some places."""
        return Contacts(**{name: values[places] for name, values in vars(self).items()})


_CAMPAIGNS = {
    "churn": (CAMPAIGN_DAY, CARE_ACTIONS), "upgrade": (CAMPAIGN_DAY + 5, SALES_ACTIONS),
    "complaint": (NEEDLESS_DAY, ANSWER_ACTIONS),
}  # fmt: skip
"""Target -> the day of the month of its campaign, and the actions that take turns; on complaints it is needless."""


def campaign_days(calendar: Calendar, target: str, first: int, end: int) -> list[tuple[int, int]]:
    """Returns (day, action number) of the campaigns on a target within `[first, end)`, beyond the data end too."""
    shift, names = _CAMPAIGNS[target]
    days = [int(day) + shift for day in calendar.month_starts]
    return [(day, ACTIONS.index(names[month % len(names)])) for month, day in enumerate(days) if first <= day < end]


def is_one_too_many(row: Integers, day: Integers, all_rows: Integers, all_days: Integers) -> np.ndarray:
    """Returns for which contacts the customer had ENOUGH_CONTACTS among all of them in the ENOUGH_DAYS before."""
    made = np.sort(all_rows * MOST_DAYS + all_days)
    now = row * MOST_DAYS + day
    before = np.searchsorted(made, now) - np.searchsorted(made, np.maximum(now - ENOUGH_DAYS, row * MOST_DAYS))
    return np.asarray(before >= ENOUGH_CONTACTS)


def effect(dice: Dice, calendar: Calendar, people: Population, action: str, level: EffectSize = FIELD) -> Floats:
    """Returns the hazard that one contact with `action` adds in all over the days after it (negative: prevents).

    The contact is by the action's first channel, on the action's own target; `action` is no answer to a cause.
    """
    noise = 0.25 * dice.normal(f"effect.{action}", people.number)
    years = np.clip((calendar.days - people.activated) / 365, 0.25, 10)
    old = age(people, calendar)
    ratio = need_ratio(people, people.plan)
    if action == "service_review":
        help_ = 0.9 * (people.quality > 1.2) + 0.6 * (people.digital < 0.5) + 0.3 * np.log(years) - 0.35 * (old < 35)
    elif action == "contract_renewal":
        help_ = 1.2 * (people.contract_type > 0) + 0.4 * people.broadband - 0.5 * (old < 30) - 0.1
    elif action == "plan_fit_offer":
        help_ = 1.1 * (ratio > 0.85) - 0.9 * (ratio < 0.3) + 0.4 * (old < 45) + 0.3
    elif action == "follow_up_call":
        help_ = 1.0 * (people.quality > 1.5) + 0.4 * (people.digital < 0.5) + 0.2
    elif action == "upgrade_invite":
        help_ = 1.0 * people.has_5g_device + 0.4 * (old < 45) - 0.5 * (people.quality > 1.5) - 0.2 * (ratio > 0.7)
    else:
        help_ = 0.9 * (ratio > 0.7) - 0.2 + 0.3 * (old < 30)
    if TARGET_OF[action] == "churn":
        floor = level.deepest * level.lasting * churn_base(people, calendar)[0]
        return np.maximum(-0.0055 * level.churn * (help_ + noise), -floor * 28)
    floor = 0.85 * upgrade_base(people, people.plan, calendar) * 0.5
    return np.maximum(0.006 * level.upgrade * (help_ + noise), -floor * 28)


def by_channel(action: str, place: Integers) -> Floats:
    """Returns what a contact by the channels at these places does, against the action's first channel."""
    weights = np.array([WEIGHT[channel] for channel in CHANNELS[action]])
    return np.asarray(weights[place] / weights[0])


def acceptance(calendar: Calendar, people: Population, action: str, place: Integers) -> Floats:
    """Returns the chance that each customer takes the offer of a contact, by need, price and channel; else 0."""
    ratio, fee = need_ratio(people, people.plan), FEE[people.plan]
    if action == "plan_fit_offer":
        liking = 1.2 * (ratio < 0.3) + 0.8 * (ratio > 0.85) + 0.4 * (fee > CHEAP_PLAN)
    elif action == "contract_renewal":
        liking = 0.8 * (people.contract_type > 0) + 0.4 * people.broadband - 0.4 * (age(people, calendar) < 30)
    elif action == "upgrade_invite":
        liking = 1.0 * people.has_5g_device + 0.4 * (ratio > 0.7) - 0.6 * (fee < CHEAP_PLAN)
    elif action == "data_pack_offer":
        liking = 1.2 * (ratio > 0.7) - 0.8 * (ratio < 0.3)
    else:
        return np.zeros(len(people))
    start = np.array([{"call": -3.6, "app": -4.8, "message": -5.2}[channel] for channel in CHANNELS[action]])
    chance: Floats = 1 / (1 + np.exp(-(start[place] + liking)))
    return chance


def annoyance(action: str, place: Integers, level: EffectSize) -> Floats:
    """Returns the complaints that a contact about nothing adds in all, by the places of its channels."""
    added = np.array([ANNOYED_BY_CALL if channel == "call" else ANNOYED_BY_MESSAGE for channel in CHANNELS[action]])
    return np.asarray(level.annoyance * added[place])


def draw_contacts(dice: Dice, calendar: Calendar, people: Population, level: EffectSize = FIELD) -> Contacts:
    """Returns the randomised campaigns of every month: one on churn, one on upgrades, and one about nothing."""
    parts = []
    known = {action: effect(dice, calendar, people, action, level) for action in CARE_ACTIONS + SALES_ACTIONS}
    for target in _CAMPAIGNS:
        is_needless = target == "complaint"
        name, share = ("needless", NEEDLESS_SHARE) if is_needless else (target, CAMPAIGN_SHARE)
        for day, number in campaign_days(calendar, target, 0, calendar.days):
            draw = dice.uniform(f"campaign.{name}", people.number, day)
            row = np.flatnonzero((draw < share) & (people.activated < day - 90) & (people.kind == 0))
            action = ACTIONS[number]
            place = dice.choice(f"campaign.channel.{name}", people.number[row], np.ones(len(CHANNELS[action])), day)
            if is_needless:
                treated, size = draw[row] >= share * UNTREATED_SHARE, annoyance(action, place, level)
            else:
                treated, size = draw[row] < share * PROPENSITY, known[action][row] * by_channel(action, place)
            parts.append(Contacts(row, np.full(len(row), day), np.full(len(row), number), place, treated, size))
    return Contacts(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})
