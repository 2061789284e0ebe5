"""From lasting, visible traits to base hazards (per day) and shock rates (per day, or chance per month)."""

from __future__ import annotations

import numpy as np

from features.kit.arrays import Floats, Integers
from features.simulator.world.calendar import Calendar
from features.simulator.world.catalogue import ALLOWANCE_KB, IS_5G
from features.simulator.world.dice import Dice
from features.simulator.world.hazards import BROADBAND_RATE, CHARGE_RATE, FAULT_RATE, HORIZON, KINDS, SURVEY_RATE
from features.simulator.world.population import ASSISTED_BELOW, Population


def need_ratio(people: Population, plan: Integers) -> Floats:
    """Returns a month's mean need as a share of a plan's data allowance."""
    ratio: Floats = people.need_kb * 30 / np.maximum(ALLOWANCE_KB[plan], 1)
    return ratio


def age(people: Population, calendar: Calendar) -> Integers:
    """Returns the age in years on the first day."""
    return calendar.first.year - people.birth_year


def churn_base(people: Population, calendar: Calendar) -> tuple[Floats, Floats]:
    """Returns the base hazards a day of leaving on purpose (cancel, port-out, silent) and of leaving in arrears."""
    years = np.clip(calendar.days - people.activated, 90, 3650) / 365
    ratio = need_ratio(people, people.plan)
    score = (
        0.70 * (people.contract_type == 0)
        - 0.60 * people.broadband
        - 0.25 * np.log(years)
        + 0.10 * np.clip(np.log(people.quality), -1.5, 1.5)
        + 0.25 * (ratio < 0.3)
    )
    willing = 0.0038 * np.exp(score)
    broke = 0.0019 * np.exp(0.5 * score + 0.8 * (people.lateness > 0.1))
    return willing / HORIZON, broke / HORIZON


def complaint_base(people: Population, calendar: Calendar) -> Floats:
    """Returns the base hazard a day of a complaint."""
    del calendar
    score = (
        1.65 * np.clip(np.log(people.quality), -2.5, 2.2)
        + 0.50 * people.broadband
        + 0.70 * (people.digital < ASSISTED_BELOW)
        + 0.60 * (need_ratio(people, people.plan) > 0.9)
    )
    rate: Floats = 0.00062 * np.exp(score) / HORIZON
    return rate


def upgrade_base(people: Population, plan: Integers, calendar: Calendar) -> Floats:
    """Returns the base hazard a day of ordering a dearer or a 5G plan, given the plan in force."""
    score = (
        1.30 * np.clip(np.log(need_ratio(people, plan)) + 0.7, -1.5, 1.5)
        + 1.0 * (people.has_5g_device & ~IS_5G[plan])
        - 0.3 * IS_5G[plan]
        + 0.15 * (age(people, calendar) < 30)
    )
    rate: Floats = 0.0058 * np.exp(score) / HORIZON
    return rate


def low_score_base(people: Population) -> Floats:
    """Returns the base hazard a day of answering a survey with 6 or less."""
    low = np.clip(0.16 * np.exp(0.5 * np.log(people.quality)), 0.02, 0.6)
    rate: Floats = SURVEY_RATE / HORIZON * low
    return rate


def shock_rates(people: Population, grid_faults: Floats) -> dict[str, Floats]:
    """Returns per shock kind its intensity a day (daily kinds) or its chance in a month (monthly kinds).

    `grid_faults` is the rate factor of each customer's grid.
    """
    ones = np.ones(len(people))
    ratio = need_ratio(people, people.plan)
    settled = (people.contract_type > 0) | people.broadband
    monthly = {
        "drift": 0.022 * np.where(settled, 0.75, 1.75),
        "spell": 0.030 * np.clip(people.quality, 0.1, 6),
        "fault": FAULT_RATE * grid_faults,
        "broadband": BROADBAND_RATE * people.line * people.broadband,
        "charge": CHARGE_RATE * ones,
        "binge": np.where(ratio > 0.75, 0.06, np.where(ratio > 0.5, 0.03, 0.004)),
        "trip": people.travel,
        "enquiry": 0.020 * people.calls,
        "late": people.lateness,
        "device": np.where(people.has_5g_device, 0.006, 0.010),
        "jump": 0.012 * ones,
    }
    person = people.kind != 2
    return {
        kind.name: np.where(person, monthly[kind.name], 0.0) / (HORIZON if kind.timing == "daily" else 1)
        for kind in KINDS
    }


def grid_factor(dice: Dice, grids: Integers) -> Floats:
    """Returns how often faults strike a grid, 1 on average."""
    factor: Floats = np.exp(0.6 * dice.normal("grid.faults", grids) - 0.18)
    return factor


TRAITS_SEEN_ONLY_BY_EVENTS = ("enquiry", "late", "trip", "fault")
"""Shock kinds whose rate has a part that shows in no feed but through the events themselves."""
