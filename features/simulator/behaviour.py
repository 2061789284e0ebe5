"""What happens to the customers of a chunk: leaving, plan orders, late payment, calls, complaints, contacts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.simulator.calendar import Calendar
from features.simulator.catalogue import ALLOWANCE_KB, FEE, PLAN_NUMBER
from features.simulator.dice import Dice, Real, Whole
from features.simulator.population import Population

NEVER = 10**6
CANCEL, PORT_OUT, ARREARS, SILENT = 1, 2, 3, 4


@dataclass(frozen=True)
class Story:
    """The events of one chunk. Sparse events are (row, day) pairs; matrices are [customers, days or months].

    Attributes:
        last_use: The day of the last use of who leaves, else NEVER.
        way: How the customer leaves (CANCEL ...), 0 if not.
        recorded: The day on which the departure is recorded, else NEVER.
        decline: Factor on use per day, [n, days].
        stalls: Expected stalls a day, [n, days].
        orders: Plan orders (row, day, plan).
        plan: The plan in force per month, [n, months].
        calls: Manual calls (row, day, topic, is_resolved).
        complaints: Complaints (row, day, topic).
    """

    last_use: Whole
    way: Whole
    recorded: Whole
    decline: Real
    stalls: Real
    orders: tuple[Whole, Whole, Whole]
    plan: Whole
    calls: tuple[Whole, Whole, Whole, np.ndarray]
    complaints: tuple[Whole, Whole, Whole]


def tell(dice: Dice, calendar: Calendar, people: Population) -> Story:
    """Returns what happens to `people` in the simulated span."""
    n, days = people.number, calendar.days
    day = np.arange(days)[None, :]
    who = n[:, None]
    ratio = people.need_kb * 30 / np.maximum(ALLOWANCE_KB[people.plan], 1)
    hazard = 0.011 / 30 * np.exp(0.5 * (people.quality > 2) + 1.6 * (people.lateness > 0.1) - 0.6 * people.broadband)
    to_end = people.contract_end[:, None] - day
    leaving = hazard[:, None] * np.where((to_end < 20) & (to_end > -40), 3.0, np.where(to_end > 60, 0.6, 1.2))
    onset_draw = dice.uniform("decline", who, day) < 0.02 / 30
    since = _days_since(onset_draw)
    leaving = leaving + np.where((since >= 10) & (since < 70), 0.005, 0.0)
    decline = 1 - 0.6 * np.clip(since / 20, 0, 1) * (since < 80)
    can = (day > people.activated[:, None] + 30) & (people.kind == 0)[:, None]
    leaves = (dice.uniform("leave", who, day) < leaving) & can
    last_use = np.where(leaves.any(axis=1), leaves.argmax(axis=1), NEVER)
    left = last_use < NEVER
    late = np.where(people.lateness > 0.1, 3.0, 0.8)
    draw = dice.uniform("leave.way", n) * (0.5 + 0.35 * late + 0.15)
    way = np.where(draw < 0.35, CANCEL, np.where(draw < 0.5, PORT_OUT, np.where(draw < 0.65, SILENT, ARREARS)))
    way = np.where(left, way, 0)
    delay = np.select([way == CANCEL, way == PORT_OUT, way == ARREARS], [1, 2, 75], 90)
    orders = _orders(dice, calendar, people, ratio, last_use)
    stalls = np.minimum(0.05 * people.quality[:, None] * np.ones((1, days)), 3)
    calls, complaints = _service(dice, calendar, people, last_use)
    return Story(
        last_use=last_use, way=way, recorded=np.where(left, last_use + delay, NEVER), decline=decline, stalls=stalls,
        orders=orders, plan=_plans(calendar, people, orders), calls=calls, complaints=complaints,
    )  # fmt: skip


def _days_since(events: np.ndarray) -> Whole:
    day = np.arange(events.shape[1])[None, :]
    last = np.maximum.accumulate(np.where(events, day, -NEVER), axis=1)
    return day - last


def _orders(
    dice: Dice, calendar: Calendar, people: Population, ratio: Real, last_use: Whole
) -> tuple[Whole, Whole, Whole]:
    day = np.arange(calendar.days)[None, :]
    hazard = 0.01 / 30 * np.exp(0.8 * np.clip(np.log(ratio), -1.5, 1.5) + 0.7 * people.has_5g_device)
    wants = dice.uniform("upgrade", people.number[:, None], day) < hazard[:, None]
    wants &= (day > people.activated[:, None] + 30) & (day < last_use[:, None]) & (people.kind == 0)[:, None]
    row = np.flatnonzero(wants.any(axis=1))
    when = wants[row].argmax(axis=1)
    ladder = np.argsort(FEE, kind="stable")
    ladder = ladder[~np.isin(ladder, [PLAN_NUMBER[p] for p in ("S29", "Y39", "C50", "M05", "L98")])]
    pick = np.searchsorted(FEE[ladder], FEE[people.plan[row]], side="right")
    keep = pick < len(ladder)
    return row[keep], when[keep], ladder[pick[keep]]


def _plans(calendar: Calendar, people: Population, orders: tuple[Whole, Whole, Whole]) -> Whole:
    plan = np.repeat(people.plan[:, None], calendar.months, axis=1)
    row, day, new = orders
    month = calendar.month_of[day] + 1
    after = np.arange(calendar.months)[None, :] >= month[:, None]
    plan[row] = np.where(after, new[:, None], plan[row])
    return plan


def _service(
    dice: Dice, calendar: Calendar, people: Population, last_use: Whole
) -> tuple[tuple[Whole, Whole, Whole, np.ndarray], tuple[Whole, Whole, Whole]]:
    day = np.arange(calendar.days)[None, :]
    alive = (day > people.activated[:, None]) & (day < last_use[:, None]) & (people.kind != 2)[:, None]
    start = 0.042 / 30 * people.quality**0.7
    first = (dice.uniform("call", people.number[:, None], day) < start[:, None]) & alive
    row, when = np.nonzero(first)
    again = np.minimum(dice.uniform("call.again", people.number[row], when) ** -0.6, 8).astype(np.int64)
    rows, whens = np.repeat(row, again), np.repeat(when, again)
    step = np.arange(len(rows)) - np.repeat(np.cumsum(again) - again, again)
    topic = np.repeat(
        dice.choice("call.topic", people.number[row], (35, 20, 8, 15, 10, 2, 1, 2, 2, 2, 2, 1), when), again
    )
    whens = whens + step * 2
    good = whens < np.minimum(calendar.days, last_use[rows])
    rows, whens, topic, step = rows[good], whens[good], topic[good], step[good]
    resolved = dice.uniform("call.resolved", people.number[rows], whens) < 0.7
    complains = dice.uniform("complain", people.number[rows], whens) < np.where(resolved, 0.03, 0.15)
    complaint = (rows[complains], whens[complains], topic[complains])
    return (rows, whens, topic, resolved), complaint
