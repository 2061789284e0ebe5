"""The true probability of each event given the simulator's state at the as-of date, in closed form.

    P = 1 - exp(-A - B - C)
    A   the deterministic hazard of the window (base, contract end), a renewal still open being a mixture of two
    B   what shocks before the as-of date still add inside the window (their kernels' remaining sums)
    C   shocks inside the window, integrated out: Poisson kinds give sum of intensity x (1 - E exp(-size x kernel sum)),
        kinds drawn once a month give -log(1 - chance + chance x E exp(-size x kernel sum))

The realised future is never used. Only evaluation may read this.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.kit.arrays import Floats
from features.simulator.oracle.answered import AnsweredKind
from features.simulator.world.behaviour import Story
from features.simulator.world.calendar import Calendar
from features.simulator.world.catalogue import FEE, IS_5G
from features.simulator.world.contacts import actions
from features.simulator.world.contacts.answers import GROUPS, group_of
from features.simulator.world.contacts.effects import FIELD, LEVELS, EffectSize
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
    ANSWER_TO,
    ANSWERS,
    CALL_FACTORS,
    COMPLAINT_ON_CHURN,
    COMPLAINT_ON_COMPLAINT,
    CONTACT_KERNEL,
    CONTRACT_END_RATE,
    CONTRACT_UPGRADE_RATE,
    HORIZON,
    KIND_NUMBER,
    KIND_OF,
    KINDS,
    NEEDLESS_SHARE,
    NO_ANSWER,
    RENEWAL_SHARE,
    TARGETS,
    TIRED,
    UNTREATED_SHARE,
    WORN_OFF,
    Effect,
    ShockKind,
)
from features.simulator.world.population import Population
from features.simulator.world.shocks import timing

UPGRADE_REST = 31
ANSWERED = {answer.kind: answer for answer in ANSWERS}


@dataclass(frozen=True)
class State:
    """All that the oracle knows, for customers `number[0..n)`; sparse events carry the customer's row.

    Attributes:
        customers: One element per customer: `number kind activated last_use is_5g is_top churn complaint upgrade
            dissatisfaction` (base hazards a day; upgrade under the first plan), `rate_<kind>`, `effect_<action>`,
            `end_<c>` and `renewed_<c>` per contract cycle.
        shocks: `row kind day mark answered_on share`: the day drawn for an answer, and what it takes away.
        complaints: `row day`.
        orders: `row day base is_5g is_top`: the upgrade base under the plan ordered.
        contacts: `row day action size`, treated only, of the campaigns.
        tiring: `row day size` of contacts that were one too many.
        level: How much contacts do, by its name.
    """

    customers: dict[str, np.ndarray]
    shocks: dict[str, np.ndarray]
    complaints: dict[str, np.ndarray]
    orders: dict[str, np.ndarray]
    contacts: dict[str, np.ndarray]
    tiring: dict[str, np.ndarray]
    level: str = FIELD.name


def state_of(dice: Dice, calendar: Calendar, people: Population, story: Story) -> State:
    """Returns the oracle's state of a chunk."""
    level = story.level
    willing, broke = (level.lasting * base for base in churn_base(people, calendar))
    consumer, person = people.kind == 0, people.kind != 2
    customers = {
        "number": people.number, "kind": people.kind, "activated": people.activated, "last_use": story.last_use,
        "way": story.way, "is_5g": IS_5G[people.plan], "is_top": FEE[people.plan] == FEE.max(),
        "churn": (willing + broke) * consumer, "complaint": complaint_base(people, calendar) * person,
        "upgrade": upgrade_base(people, people.plan, calendar) * consumer,
        "dissatisfaction": low_score_base(people) * person,
    }  # fmt: skip
    rates = shock_rates(people, grid_factor(dice, people.grid))
    rates["drift"] = rates["drift"] * level.drift
    customers |= {f"rate_{name}": rate for name, rate in rates.items()}
    stated = actions.CARE_ACTIONS + actions.SALES_ACTIONS
    customers |= {f"effect_{name}": actions.effect(dice, calendar, people, name, level) for name in stated}
    for name in actions.OFFERS:
        for place in range(len(actions.CHANNELS[name])):
            taken = actions.acceptance(calendar, people, name, np.full(len(people), place))
            customers[f"acceptance_{name}_{place}"] = taken.astype(np.float32)
    customers["group"] = np.where(people.kind == 0, group_of(dice, calendar, people), GROUPS)
    for cycle in range(story.contracts.end.shape[1]):
        customers[f"end_{cycle}"] = story.contracts.end[:, cycle]
        customers[f"renewed_{cycle}"] = story.contracts.renewed[:, cycle]
    parts = [
        (s.row, np.full(len(s.row), KIND_NUMBER[name]), s.day, s.mark, *_answers_of(story, name, len(s.row)))
        for name, s in story.shocks.items()
    ]
    names = ("row", "kind", "day", "mark", "answered_on", "share")
    shocks = {name: np.concatenate(part) for name, part in zip(names, zip(*parts, strict=True), strict=True)}
    ordered = story.ordered
    treated = story.contacts.treated
    return State(
        customers=customers, shocks=shocks, level=level.name, tiring=dict(vars(story.tiring)),
        complaints={"row": story.complaints.row, "day": story.complaints.day},
        orders={
            "row": story.orders.row, "day": story.orders.day, "is_5g": IS_5G[ordered],
            "base": upgrade_base(people.take(story.orders.row), ordered, calendar), "is_top": FEE[ordered] == FEE.max(),
        },
        contacts={
            "row": story.contacts.row[treated], "day": story.contacts.day[treated],
            "action": story.contacts.action[treated], "size": story.contacts.size[treated],
        },
    )  # fmt: skip


def _answers_of(story: Story, kind: str, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the day drawn for an answer to each shock of a kind, and the share that it takes away."""
    answered = story.answers.get(kind)
    if answered is None:
        return np.full(number, NO_ANSWER), np.zeros(number)
    return answered.day, answered.share


def probability(
    state: State, calendar: Calendar, target: str, as_of: int, action: str | None = None, channel: str | None = None
) -> Floats:
    """Returns P(event of `target` in `[as_of, as_of + 30)` | state at `as_of`) per customer.

    Only what lies before day number `as_of` is used of the state. With an `action` every customer is contacted with it
    on that day, by `channel` or the action's first; None means nothing beyond the usual campaigns.
    """
    contact = None if action is None else (action, channel or actions.CHANNELS[action][0])
    return np.asarray(-np.expm1(-_cumulated(state, calendar, target, as_of, contact)))


def _cumulated(state: State, calendar: Calendar, target: str, as_of: int, contact: tuple[str, str] | None) -> Floats:
    if target not in TARGETS:
        raise KeyError(target)
    c = state.customers
    base = c[target].astype(np.float64)
    is_5g, rest = c["is_5g"].astype(bool), np.ones(len(base))
    if target == "upgrade":
        base, is_5g, rest = _plan_state(state, as_of)
    total = HORIZON * base + _contract_part(c, target, as_of)
    for kind in KINDS:
        if target in kind.effects:
            part = _kind_part(state, calendar, kind, target, as_of)
            total += np.where(is_5g, 0, part) if kind.name == "device" else part
    if target == "complaint":
        total += _past(state.complaints, COMPLAINT_ON_COMPLAINT, as_of, len(base), delay=2)
    if target == "churn":
        total += _past(state.complaints, COMPLAINT_ON_CHURN, as_of, len(base))
        intensity = _cumulated(state, calendar, "complaint", as_of, None) / HORIZON
        left = COMPLAINT_ON_CHURN.sums[np.minimum(HORIZON - np.arange(HORIZON), len(COMPLAINT_ON_CHURN.kernel))]
        total += intensity * -np.expm1(-COMPLAINT_ON_CHURN.size * left).sum()
    total += _contact_part(state, calendar, target, as_of, contact)
    who = (c["kind"] != 2) if target in ("complaint", "dissatisfaction") else (c["kind"] == 0)
    return np.where(who, np.maximum(total, 0) * rest, 0.0)


def _plan_state(state: State, as_of: int) -> tuple[Floats, np.ndarray, Floats]:
    """Returns base hazard, generation and the share of the window that is open to a new order, by the plan at D."""
    c, o = state.customers, state.orders
    base, is_5g, is_top = c["upgrade"].astype(np.float64).copy(), c["is_5g"].astype(bool).copy(), c["is_top"].copy()
    rest = np.ones(len(base))
    keep = np.flatnonzero(o["day"] < as_of)
    keep = keep[np.argsort(o["day"][keep], kind="stable")]
    row = o["row"][keep]
    base[row], is_5g[row], is_top[row] = o["base"][keep], o["is_5g"][keep], o["is_top"][keep]
    rest[row] = np.clip((as_of + HORIZON - o["day"][keep] - UPGRADE_REST) / HORIZON, 0, 1)
    return base, is_5g, np.where(is_top, 0.0, rest)


def _past(
    events: dict[str, np.ndarray], effect: Effect, as_of: int, n: int, *, size: object = 1.0, delay: int = 0
) -> Floats:
    """Returns what events before D still add inside the window."""
    age = as_of - events["day"] - delay
    length = len(effect.kernel)
    keep = np.flatnonzero((events["day"] < as_of) & (age < length))
    sums = effect.sums
    left = sums[np.clip(age[keep] + HORIZON, 0, length)] - sums[np.clip(age[keep], 0, length)]
    weight = np.broadcast_to(np.asarray(size), age.shape)[keep]
    return np.bincount(events["row"][keep], weights=effect.size * left * weight, minlength=n).astype(np.float64)


def _kind_part(state: State, calendar: Calendar, kind: ShockKind, target: str, as_of: int) -> Floats:
    if target == "complaint" and kind.name in ANSWERED:
        return _answered_part(state, calendar, kind, as_of)
    effect = kind.effects[target]
    factors = np.array(CALL_FACTORS) if target != "churn" else np.ones(3)
    mine = np.flatnonzero(state.shocks["kind"] == KIND_NUMBER[kind.name])
    found = {name: state.shocks[name][mine] for name in ("row", "day", "mark")}
    rate = state.customers[f"rate_{kind.name}"].astype(np.float64)
    total = _past(found, effect, as_of, len(rate), size=factors[found["mark"]])
    factor = timing(kind, calendar, as_of + HORIZON)[as_of:]
    left = effect.sums[np.minimum(HORIZON - np.arange(HORIZON), len(effect.kernel))]
    survives = np.exp(-effect.size * left[:, None] * factors[None, :]) @ np.array(kind.mark_shares)
    return total + _still_to_come(kind, rate, factor, np.broadcast_to(survives, (len(rate), HORIZON)))


def _still_to_come(kind: ShockKind, rate: Floats, factor: Floats, survives: Floats) -> Floats:
    """Returns what shocks inside the window add, from the survival of each window day, [customers, HORIZON]."""
    if kind.timing == "daily":
        return np.asarray(rate * ((1 - survives) @ factor))
    return -np.asarray(
        sum((np.log(1 - rate + rate * survives[:, s]) for s in np.flatnonzero(factor > 0)), np.zeros(len(rate)))
    )


def _answered_part(state: State, calendar: Calendar, kind: ShockKind, as_of: int) -> Floats:
    """Returns what a kind adds to complaints where care answers some of its shocks at random."""
    answered = AnsweredKind(ANSWERED[kind.name], LEVELS[state.level])
    group, rate = state.customers["group"].astype(np.int64), state.customers[f"rate_{kind.name}"].astype(np.float64)
    found = _before(state.shocks, as_of, len(kind.effects["complaint"].kernel), KIND_NUMBER[kind.name])
    past = answered.past(found, group[found["row"]], as_of)
    total = np.bincount(found["row"], weights=past, minlength=len(rate)).astype(np.float64)
    factor = timing(kind, calendar, as_of + HORIZON)[as_of:]
    survives = np.tensordot(answered.survival(), np.array(kind.mark_shares), axes=(1, 0))  # groups, days
    return np.asarray(total + _still_to_come(kind, rate, factor, survives[group]))


def _before(shocks: dict[str, np.ndarray], as_of: int, length: int, number: int) -> dict[str, np.ndarray]:
    """Returns the shocks of a kind before D that still do something on it."""
    age = as_of - shocks["day"]
    mine = np.flatnonzero((shocks["kind"] == number) & (age > 0) & (age < length))
    return {name: values[mine] for name, values in shocks.items()}


def _contract_part(c: dict[str, np.ndarray], target: str, as_of: int) -> Floats:
    total = np.zeros(len(c["number"]))
    day = as_of + np.arange(HORIZON)[None, :]
    for cycle in range(4):
        end, renewed = c[f"end_{cycle}"].astype(np.int64), c[f"renewed_{cycle}"].astype(bool)
        if target == "upgrade":
            rate = CONTRACT_UPGRADE_RATE / HORIZON
            near = np.flatnonzero((end > as_of - 15) & (end < as_of + HORIZON + 45))
            after = day - end[near, None]
            total[near] += rate * ((after >= -45) & (after < 15)).sum(axis=1)
        elif target == "churn":
            rate = CONTRACT_END_RATE / HORIZON
            near = np.flatnonzero((end < as_of + HORIZON + 30) & (~renewed | (end >= as_of)))
            after = day - end[near, None]
            total[near] += rate / 3 * ((after >= -30) & (after < 0)).sum(axis=1)
            level = np.where(after >= 30, 0.3 * rate, rate) * (after >= 0)
            loss = level.sum(axis=1)
            is_open = end[near] >= as_of
            total[near] += np.where(is_open, -np.log(RENEWAL_SHARE + (1 - RENEWAL_SHARE) * np.exp(-loss)), loss)
    return total


def _contact_part(state: State, calendar: Calendar, target: str, as_of: int, contact: tuple[str, str] | None) -> Floats:
    c = state.customers
    n = len(c["number"])
    total = np.zeros(n)
    effect = Effect(1.0, CONTACT_KERNEL)
    sums = effect.sums
    wanted = [number for number, name in enumerate(actions.ACTIONS) if actions.TARGET_OF[name] == target]
    if not wanted:
        return total
    mine = np.flatnonzero(np.isin(state.contacts["action"], wanted))
    past = {name: state.contacts[name][mine] for name in ("row", "day", "size")}
    total += _past(past, effect, as_of, n, size=past["size"])
    level = LEVELS[state.level]
    if target == "complaint":
        total += _past(state.tiring, effect, as_of, n, size=state.tiring["size"])
        chance = NEEDLESS_SHARE * (1 - UNTREATED_SHARE)
    else:
        chance = actions.CAMPAIGN_SHARE * actions.PROPENSITY
    for day, number in actions.campaign_days(calendar, target, as_of, as_of + HORIZON):
        action = actions.ACTIONS[number]
        left = sums[min(as_of + HORIZON - day, len(CONTACT_KERNEL))]
        sizes = [_size(c, action, place, level) for place in range(len(actions.CHANNELS[action]))]
        survives = sum(np.exp(-size * left) for size in sizes) / len(sizes)
        open_to = (c["activated"] < day - 90) & ((c["kind"] == 0) | (target != "complaint"))
        total -= np.where(open_to, np.log(1 - chance + chance * survives), 0)
    if contact is not None:
        total += _contact_now(state, target, as_of, *contact) * (c["kind"] == 0)
    return total


def _size(c: dict[str, np.ndarray], action: str, place: int, level: EffectSize) -> Floats:
    """Returns what a contact without regard to a cause adds to the action's own target, by the place of its channel."""
    if action in actions.ANSWER_ACTIONS:
        return np.full(len(c["number"]), actions.annoyance(action, np.array([place]), level)[0])
    return np.asarray(c[f"effect_{action}"] * actions.by_channel(action, np.array([place]))[0])


def _contact_now(state: State, target: str, as_of: int, action: str, channel: str) -> Floats:
    """Returns what one contact with every customer on D adds to the hazard of a target inside the window."""
    c, level = state.customers, LEVELS[state.level]
    n, left = len(c["number"]), float(Effect(1.0, CONTACT_KERNEL).sums[HORIZON])
    place = actions.CHANNELS[action].index(channel)
    treated = state.shocks["share"] != 0
    rows = np.concatenate([state.contacts["row"], state.shocks["row"][treated]])
    days = np.concatenate([state.contacts["day"], state.shocks["answered_on"][treated]])
    known = days < as_of
    tired = actions.is_one_too_many(np.arange(n), np.full(n, as_of), rows[known], days[known])
    worth = np.where(tired, WORN_OFF, 1.0)
    added = np.where(tired, TIRED * level.annoyance * left, 0.0) if target == "complaint" else np.zeros(n)
    if actions.TARGET_OF[action] != target:
        return added
    if action not in actions.ANSWER_ACTIONS:
        return np.asarray(added + worth * _size(c, action, place, level) * left)
    answer = ANSWER_TO[action]
    length = len(KIND_OF[answer.kind].effects["complaint"].kernel)
    found = _before(state.shocks, as_of, length, KIND_NUMBER[answer.kind])
    group = c["group"].astype(np.int64)[found["row"]]
    less = AnsweredKind(answer, level).answered_now(found, group, as_of, channel)
    taken = np.bincount(found["row"], weights=less, minlength=n)
    has_cause = np.bincount(found["row"], weights=less != 0, minlength=n) > 0
    return np.asarray(added - worth * taken + np.where(has_cause, 0.0, _size(c, action, place, level) * left))
