"""Draws what happens to customers from outside: drifts, network spells, faults, charges, late bills, new devices ..."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.kit.arrays import Floats, Integers
from features.simulator.world.calendar import Calendar
from features.simulator.world.dice import FORK, Dice
from features.simulator.world.hazards import KINDS, ShockKind
from features.simulator.world.population import Population

TRIP_SEASON = {1: 1.3, 2: 2.0, 7: 2.0, 8: 2.0, 10: 1.2}
STUDENT_SEASON = {6: 1.4, 9: 1.4, 2: 0.8}


@dataclass(frozen=True)
class Shocks:
    """The shocks of one kind: customer row, day, and mark (0 no call, 1 call that solved it, 2 call that did not)."""

    row: Integers
    day: Integers
    mark: Integers


def timing(kind: ShockKind, calendar: Calendar, days: int) -> Floats:
    """Returns the factor on a kind's rate for days 0 .. days-1 (days beyond the data end included)."""
    dates = calendar.dates(np.arange(days))
    month = dates.astype("datetime64[M]")
    if kind.timing != "daily":
        in_month = (dates - month.astype("datetime64[D]")).astype(np.int64)
        return np.asarray(in_month == kind.timing, dtype=np.float64)
    number = month.astype(np.int64) % 12 + 1
    if kind.name == "trip":
        return np.array([TRIP_SEASON.get(m, 0.8) for m in range(1, 13)])[number - 1]
    if kind.name == "device":
        return np.array([STUDENT_SEASON.get(m, 1.0) for m in range(1, 13)])[number - 1]
    if kind.name == "enquiry":
        in_month = (dates - month.astype("datetime64[D]")).astype(np.int64)
        weekday = (np.arange(days) + calendar.first.weekday()) % 7
        return np.where(in_month < 5, 1.5, 0.9) * np.where(weekday == 0, 1.3, 0.95)
    return np.ones(days)


def draw_shocks(dice: Dice, calendar: Calendar, people: Population, rates: dict[str, Floats]) -> dict[str, Shocks]:
    """Returns the shocks of every kind over the simulated span, from each customer's first full day on."""
    return {kind.name: _draw(dice, calendar, people, rates[kind.name], kind) for kind in KINDS}


def _draw(dice: Dice, calendar: Calendar, people: Population, rate: Floats, kind: ShockKind) -> Shocks:
    factor = timing(kind, calendar, calendar.days)
    days = np.flatnonzero(factor > 0)
    forks = people.number // FORK * FORK
    who = people.grid + forks if kind.name == "fault" else people.number
    row_parts, day_parts = [], []
    stream = f"shock.{kind.name}"
    for part in np.array_split(days, max(1, len(days) // 31)):
        draw = dice.uniform(stream, who[:, None], part[None, :])
        level = rate[:, None] * factor[part][None, :]
        r, c = np.nonzero(draw < (-np.expm1(-level) if kind.timing == "daily" else level))
        row_parts.append(r)
        day_parts.append(part[c])
    row, day = np.concatenate(row_parts), np.concatenate(day_parts)
    keep = day > people.activated[row]
    row, day = row[keep], day[keep]
    mark = dice.choice(f"mark.{kind.name}", people.number[row], kind.mark_shares, day)
    return Shocks(row=row, day=day, mark=mark)
