"""What an operator's contact does to a customer: effects by visible features, and past randomised campaigns.

Each action's effect is a sum added to a hazard over the 60 days after the contact. It depends on at most four
visible features and a little noise, never on the risk itself, so the riskiest customer is not the one helped most.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from features.kit.arrays import Floats, Integers
from features.simulator.world.calendar import Calendar
from features.simulator.world.dice import Dice
from features.simulator.world.drivers import age, churn_base, need_ratio, upgrade_base
from features.simulator.world.hazards import CAMPAIGN_DAY
from features.simulator.world.population import Population

CARE_ACTIONS = ("service_review", "contract_renewal", "plan_fit_offer", "follow_up_call")
SALES_ACTIONS = ("upgrade_invite", "data_pack_offer")
ACTIONS = CARE_ACTIONS + SALES_ACTIONS
TARGET_OF = {action: "churn" if action in CARE_ACTIONS else "upgrade" for action in ACTIONS}

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
    """Past campaign members: row, day, action number, whether treated, and the effect on the action's hazard."""

    row: Integers
    day: Integers
    action: Integers
    treated: np.ndarray
    size: Floats

    def effects(self, target: str) -> Iterator[SizedEvents]:
        """Yields the treated contacts that act on a target."""
        wanted = np.isin(self.action, [n for n, name in enumerate(ACTIONS) if TARGET_OF[name] == target])
        keep = np.flatnonzero(wanted & self.treated)
        yield SizedEvents(self.row[keep], self.day[keep], self.size[keep])


def action_of_month(month: int, target: str) -> int:
    """Returns the number of the action that a month's campaign on a target used."""
    names = CARE_ACTIONS if target == "churn" else SALES_ACTIONS
    return ACTIONS.index(names[month % len(names)])


def campaign_days(calendar: Calendar, target: str, first: int, end: int) -> list[tuple[int, int]]:
    """Returns (day, action number) of the campaigns on a target within `[first, end)`, beyond the data end too."""
    start = calendar.month_starts
    shift = CAMPAIGN_DAY + (5 if target == "upgrade" else 0)
    days = [int(day) + shift for day in start]
    return [(day, action_of_month(month, target)) for month, day in enumerate(days) if first <= day < end]


def effect(dice: Dice, calendar: Calendar, people: Population, action: str) -> Floats:
    """Returns the hazard that one contact with `action` adds in all over the days after it (negative: prevents)."""
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
        floor = 0.85 * churn_base(people, calendar)[0]
        return np.maximum(-0.0055 * (help_ + noise), -floor * 28)
    floor = 0.85 * upgrade_base(people, people.plan, calendar) * 0.5
    return np.maximum(0.006 * (help_ + noise), -floor * 28)


def draw_contacts(dice: Dice, calendar: Calendar, people: Population) -> Contacts:
    """Returns the randomised campaigns of every month: one on churn, one on upgrades."""
    rows, days, actions, treated, sizes = [], [], [], [], []
    known = {action: effect(dice, calendar, people, action) for action in ACTIONS}
    for target in ("churn", "upgrade"):
        for day, number in campaign_days(calendar, target, 0, calendar.days):
            draw = dice.uniform(f"campaign.{target}", people.number, day)
            row = np.flatnonzero((draw < CAMPAIGN_SHARE) & (people.activated < day - 90) & (people.kind == 0))
            rows.append(row)
            days.append(np.full(len(row), day))
            actions.append(np.full(len(row), number))
            treated.append(draw[row] < CAMPAIGN_SHARE * PROPENSITY)
            sizes.append(known[ACTIONS[number]][row])
    return Contacts(*(np.concatenate(part) for part in (rows, days, actions, treated, sizes)))
