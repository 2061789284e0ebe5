"""Who may take which plan: audience, handset, shared lines, and idle lines for plans that only keep a number."""

from __future__ import annotations

import numpy as np

from features.kit.arrays import Flags
from serving.product_fit.catalogue import Catalogue, Plan
from serving.product_fit.rating import Use
from serving.product_fit.settings import FitSettings
from serving.product_fit.use.months import Months


def may_take(plan: Plan, months: Months, catalogue: Catalogue, settings: FitSettings, money_scale: int) -> Flags:
    """Returns whether a plan is open to each customer; what is not known does not open a plan.

    Audience, handset (no 5G plan for a 4G handset, no way back to 4G from a 5G plan that the handset can use) and the
    secondary lines that draw on the present plan decide. A keep-number plan is open to idle lines only.
    """
    people, rules = months.people, settings.audiences
    current = [catalogue.plans[index] if index >= 0 else None for index in range(-1, len(catalogue.plans))]
    handset = people.generation
    holds_same = np.array([held is not None and held.plan_id == plan.plan_id for held in current])
    holds_student = np.array([held is not None and held.audience == "student" for held in current])
    held_generation = np.array([_generation(held) for held in current])
    held_lines = np.array([(held.shared_lines or 0) if held is not None else 0 for held in current])
    position = people.current + 1
    audience = plan.audience or "all"
    belongs = {
        "all": np.ones(months.size, bool),
        "new": (people.days >= 0) & (people.days < rules.new_days),
        "senior": people.age >= rules.senior_age,
        "student": holds_student[position],
    }.get(audience, np.zeros(months.size, bool))
    held_now = held_generation[position]
    most = np.where(handset > 0, handset, held_now)
    least = np.where(handset > 0, np.minimum(handset, held_now), held_now)
    fits_handset = (_generation(plan) <= most) & (_generation(plan) >= least)
    shares = (held_lines[position] == 0) | (people.secondary_lines <= (plan.shared_lines or 0))
    opened: Flags = belongs & ~holds_same[position] & fits_handset & shares
    if plan.only_keeps_number(settings.keep_number, money_scale):
        opened = opened & _is_idle(months.pool, settings)
    return opened


def _generation(plan: Plan | None) -> int:
    return int(plan.generation[0]) if plan is not None and plan.generation else 0


def _is_idle(use: Use, settings: FitSettings) -> Flags:
    """Returns whether a line was hardly used in any of the last months."""
    rules = settings.keep_number
    month = (use.data_kb <= rules.idle_data_mb * 1024) & (use.minutes <= rules.idle_minutes)
    return np.asarray((month & (use.sms <= rules.idle_messages))[:, 1:].all(axis=1))
