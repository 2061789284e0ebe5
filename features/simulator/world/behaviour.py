"""What happens to the customers of a chunk: shocks from outside, then complaints, plan orders, answers, departures."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from features.kit.arrays import Floats, Integers
from features.simulator.world.calendar import Calendar
from features.simulator.world.catalogue import FEE, IS_5G, PLAN_NUMBER
from features.simulator.world.contacts import actions
from features.simulator.world.contacts.answers import Answered, answer_shocks
from features.simulator.world.contacts.effects import FIELD, EffectSize
from features.simulator.world.dice import Dice
from features.simulator.world.drivers import (
    churn_base,
    complaint_base,
    grid_factor,
    low_score_base,
    shock_rates,
    upgrade_base,
)
from features.simulator.world.hazards import (
    CALL_FACTORS,
    COMPLAINT_ON_CHURN,
    COMPLAINT_ON_COMPLAINT,
    CONTACT_KERNEL,
    CONTRACT_END_RATE,
    CONTRACT_UPGRADE_RATE,
    HORIZON,
    KIND_OF,
    KINDS,
    RENEWAL_SHARE,
    TIRED,
    WORN_OFF,
    Effect,
)
from features.simulator.world.population import Population
from features.simulator.world.shocks import Shocks, draw_shocks

NEVER = 10**6
CANCEL, PORT_OUT, ARREARS, SILENT = 1, 2, 3, 4
LADDER = np.array([PLAN_NUMBER[p] for p in ("L08", "L19", "L39", "L59", "F69", "L88", "F99", "F129", "F169", "F239")])

Matrix = np.ndarray


@dataclass(frozen=True)
class Events:
    """Sparse events: customer row and day, one element each."""

    row: Integers
    day: Integers


@dataclass(frozen=True)
class Contracts:
    """Contract ends by cycle [customers, cycles] (NEVER: none) and whether each was renewed at its end."""

    end: Integers
    renewed: np.ndarray


@dataclass(frozen=True)
class Story:
    """The events of one chunk."""

    shocks: dict[str, Shocks]
    answers: dict[str, Answered]  # of the kinds that care answers
    contacts: actions.Contacts  # the randomised campaigns
    tiring: actions.SizedEvents  # contacts beyond what a customer bears, campaigns and answers alike
    contracts: Contracts
    complaints: Events  # first days of complaints
    low_scores: Events  # days of survey answers of 6 or less
    orders: Events  # plan orders, with the plan ordered
    ordered: Integers  # the plan ordered, per order
    level: EffectSize  # how much contacts do
    last_use: Integers  # the day of the last use of who leaves, else NEVER
    way: Integers  # how the customer leaves (CANCEL ...), 0 if not


def story_of(
    dice: Dice, calendar: Calendar, people: Population, contacts: actions.Contacts | None = None,
    *, level: EffectSize = FIELD,
) -> Story:  # fmt: skip
    """Returns what happens to `people` in the simulated span.

    `contacts` is what the operator did to them; None means the usual randomised campaigns and answers to a cause.
    """
    rates = shock_rates(people, grid_factor(dice, people.grid))
    rates["drift"] = rates["drift"] * level.drift
    shocks = draw_shocks(dice, calendar, people, rates)
    answers: dict[str, Answered] = {}
    tiring = actions.SizedEvents(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    if contacts is None:
        answers = answer_shocks(dice, calendar, people, shocks, level)
        contacts = actions.draw_contacts(dice, calendar, people, level)
        contacts, answers, tiring = _worn_off(contacts, answers, shocks, level)
    contracts = _contracts(dice, calendar, people)
    shape = (len(people), calendar.days)
    day = np.arange(calendar.days)[None, :]
    known = day > people.activated[:, None]
    person = (people.kind != 2)[:, None] & known
    consumer = (people.kind == 0)[:, None] & known

    hazard = np.repeat(complaint_base(people, calendar)[:, None], calendar.days, axis=1)
    _add_shocks(hazard, shocks, "complaint")
    for kind, answered in answers.items():
        take_away(hazard, shocks[kind], answered, kind)
    for effect in (*contacts.effects("complaint"), tiring):
        add_effect(hazard, effect.row, effect.day, Effect(1.0, CONTACT_KERNEL), effect.size)
    np.maximum(hazard, 0, out=hazard)
    complaints = _repeated(dice, "complaint", people, hazard * person, COMPLAINT_ON_COMPLAINT)

    hazard = np.zeros(shape)
    _add_shocks(hazard, shocks, "dissatisfaction")
    hazard += low_score_base(people)[:, None]
    row, when = np.nonzero(dice.uniform("answer.low", people.number[:, None], day) < hazard * person)
    low_scores = Events(row, when)

    willing, broke = (level.lasting * base for base in churn_base(people, calendar))
    hazard = np.zeros(shape)
    _add_shocks(hazard, {k: v for k, v in shocks.items() if k != "late"}, "churn")
    add_effect(hazard, complaints.row, complaints.day, COMPLAINT_ON_CHURN, np.ones(len(complaints.row)))
    hazard += willing[:, None] + contract_hazard(contracts, day)
    for effect in contacts.effects("churn"):
        add_effect(hazard, effect.row, effect.day, Effect(1.0, CONTACT_KERNEL), effect.size)
    in_arrears = np.zeros(shape)
    _add_shocks(in_arrears, {"late": shocks["late"]}, "churn")
    in_arrears += broke[:, None]
    last_use, way = _departures(dice, people, hazard * consumer, in_arrears * consumer)

    orders, ordered = _orders(dice, calendar, people, shocks, contacts, contracts, consumer)
    return Story(
        shocks=shocks, answers=answers, contacts=contacts, tiring=tiring, contracts=contracts, complaints=complaints,
        low_scores=low_scores, orders=orders, ordered=ordered, level=level, last_use=last_use, way=way,
    )  # fmt: skip


def add_effect(
    hazard: Matrix, row: Integers, day: Integers, effect: Effect, size: Floats, *, after: Integers | int = -1
) -> None:
    """Adds `size` x `effect` from each (row, day) on, beyond the days `after` alone; pairs must be unique."""
    for offset, share in enumerate(effect.kernel):
        inside = (day + offset < hazard.shape[1]) & (day + offset > after)
        if share:
            hazard[row[inside], day[inside] + offset] += effect.size * share * size[inside]


def _add_shocks(hazard: Matrix, shocks: dict[str, Shocks], target: str) -> None:
    for kind in KINDS:
        if kind.name in shocks and target in kind.effects:
            found = shocks[kind.name]
            factor = np.array(CALL_FACTORS)[found.mark] if target != "churn" else np.ones(len(found.row))
            add_effect(hazard, found.row, found.day, kind.effects[target], factor)


def _worn_off(
    contacts: actions.Contacts, answers: dict[str, Answered], shocks: dict[str, Shocks], level: EffectSize
) -> tuple[actions.Contacts, dict[str, Answered], actions.SizedEvents]:
    """Returns what contacts and answers do where many came before them, and the contacts that were one too many."""
    called = {kind: np.flatnonzero(each.arm > 0) for kind, each in answers.items()}
    treated = np.flatnonzero(contacts.treated)
    rows = np.concatenate([contacts.row[treated], *(shocks[kind].row[place] for kind, place in called.items())])
    days = np.concatenate([contacts.day[treated], *(answers[kind].day[place] for kind, place in called.items())])
    size = np.where(actions.is_one_too_many(contacts.row, contacts.day, rows, days), WORN_OFF, 1.0) * contacts.size
    worn = {}
    for kind, each in answers.items():
        tired = actions.is_one_too_many(shocks[kind].row, each.day, rows, days)
        worn[kind] = replace(each, share=np.where(tired, WORN_OFF, 1.0) * each.share)
    many = actions.is_one_too_many(rows, days, rows, days)
    row, day = np.unique(np.stack([rows[many], days[many]]), axis=1)  # two on one day annoy once
    tiring = actions.SizedEvents(row, day, np.full(len(row), TIRED * level.annoyance))
    return replace(contacts, size=size), worn, tiring


def take_away(hazard: Matrix, found: Shocks, answered: Answered, kind: str) -> None:
    """Takes from the complaints of one kind's shocks what their answers take away, from the day after a contact on."""
    less = -np.array(CALL_FACTORS)[found.mark] * answered.share
    add_effect(hazard, found.row, found.day, KIND_OF[kind].effects["complaint"], less, after=answered.day)


def contract_hazard(contracts: Contracts, day: Integers) -> Matrix:
    """Returns the extra hazard of leaving a day around contract ends, [customers, days]."""
    rate = CONTRACT_END_RATE / HORIZON
    total = np.zeros((len(contracts.end), day.shape[1]))
    for cycle in range(contracts.end.shape[1]):
        after = day - contracts.end[:, cycle, None]
        total += np.where((after >= -30) & (after < 0), rate / 3, 0)
        level = np.where(after >= 30, 0.3 * rate, rate)
        total += np.where((after >= 0) & ~contracts.renewed[:, cycle, None], level, 0)
    return total


def contract_upgrades(contracts: Contracts, day: Integers) -> Matrix:
    """Returns the extra hazard of an upgrade a day around contract ends, [customers, days]."""
    total = np.zeros((len(contracts.end), day.shape[1]))
    for cycle in range(contracts.end.shape[1]):
        after = day - contracts.end[:, cycle, None]
        total += np.where((after >= -45) & (after < 15), CONTRACT_UPGRADE_RATE / HORIZON, 0)
    return total


def _contracts(dice: Dice, calendar: Calendar, people: Population) -> Contracts:
    ends, renewals = [], []
    end = np.where(people.contract_type > 0, people.contract_end, NEVER)
    for _ in range(4):
        renewed = (dice.uniform("renewal", people.number, end) < RENEWAL_SHARE) & (end < calendar.days)
        ends.append(end)
        renewals.append(renewed)
        end = np.where(renewed, end + people.contract_months * 30, NEVER)
    return Contracts(np.stack(ends, axis=1), np.stack(renewals, axis=1))


def _repeated(dice: Dice, stream: str, people: Population, hazard: Matrix, again: Effect) -> Events:
    """Returns events that raise their own hazard: first one each, then the next after it, and so on."""
    draw = -np.log1p(-dice.uniform(stream, people.number[:, None], np.arange(hazard.shape[1])[None, :]))
    rows, days = [], []
    row, start = np.arange(len(hazard)), np.zeros(len(hazard), dtype=np.int64)
    column = np.arange(hazard.shape[1])[None, :]
    for _ in range(8):
        happens = (draw[row] < hazard[row]) & (column >= start[:, None])
        found = happens.any(axis=1)
        row, day = row[found], happens[found].argmax(axis=1)
        if not len(row):
            break
        rows.append(row)
        days.append(day)
        add_effect(hazard, row, day + 2, again, np.ones(len(row)))
        start = day + 4
    return Events(np.concatenate(rows or [row]), np.concatenate(days or [row]))


def _departures(dice: Dice, people: Population, willing: Matrix, broke: Matrix) -> tuple[Integers, Integers]:
    total = willing + broke
    day = np.arange(total.shape[1])[None, :]
    leaves = -np.log1p(-dice.uniform("leave", people.number[:, None], day)) < total
    last_use = np.where(leaves.any(axis=1), leaves.argmax(axis=1), NEVER)
    row = np.flatnonzero(last_use < NEVER)
    when = last_use[row]
    in_arrears = dice.uniform("leave.arrears", people.number[row], when) * total[row, when] < broke[row, when]
    on_purpose = np.array([CANCEL, PORT_OUT, SILENT])[
        dice.choice("leave.way", people.number[row], (0.55, 0.22, 0.23), when)
    ]
    way = np.zeros(len(people), dtype=np.int64)
    way[row] = np.where(in_arrears, ARREARS, on_purpose)
    return last_use, way


def _orders(
    dice: Dice, calendar: Calendar, people: Population, shocks: dict[str, Shocks], contacts: actions.Contacts,
    contracts: Contracts, consumer: Matrix,
) -> tuple[Events, Integers]:  # fmt: skip
    day = np.arange(calendar.days)[None, :]
    extra = np.zeros((len(people), calendar.days))
    _add_shocks(extra, {k: v for k, v in shocks.items() if k != "device"}, "upgrade")
    device = np.zeros((len(people), calendar.days))
    _add_shocks(device, {"device": shocks["device"]}, "upgrade")
    extra += contract_upgrades(contracts, day)
    for effect in contacts.effects("upgrade"):
        add_effect(extra, effect.row, effect.day, Effect(1.0, CONTACT_KERNEL), effect.size)
    draw = -np.log1p(-dice.uniform("upgrade", people.number[:, None], day))
    plan = people.plan.copy()
    row, start = np.arange(len(people)), np.zeros(len(people), dtype=np.int64)
    rows, days, plans = [], [], []
    for _ in range(4):
        old = plan[row]
        total = upgrade_base(people.take(row), old, calendar)[:, None] + extra[row] + device[row] * ~IS_5G[old][:, None]
        happens = (draw[row] < total) & consumer[row] & (day >= start[:, None]) & (FEE[old] < FEE.max())[:, None]
        found = happens.any(axis=1)
        row, when = row[found], happens[found].argmax(axis=1)
        if not len(row):
            break
        new = _next_plan(dice, people, row, plan[row], when)
        plan[row] = new
        rows.append(row)
        days.append(when)
        plans.append(new)
        start = when + 31
    return Events(np.concatenate(rows or [row]), np.concatenate(days or [row])), np.concatenate(plans or [row])


def _next_plan(dice: Dice, people: Population, row: Integers, old: Integers, day: Integers) -> Integers:
    """Returns the next dearer plan of the ladder, one further with a chance; the dearest stays reachable only once."""
    step = (dice.uniform("upgrade.step", people.number[row], day) < 0.3).astype(np.int64)
    first = np.searchsorted(FEE[LADDER], FEE[old], side="right")
    return np.asarray(LADDER[np.minimum(first + step, len(LADDER) - 1)])
