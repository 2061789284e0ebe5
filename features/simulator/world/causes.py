"""The true cause of each complaint and departure, drawn in proportion to what each cause adds to the hazard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.kit.arrays import Integers
from features.simulator.world.behaviour import NEVER, Events, Story, add_effect, contract_hazard, take_away
from features.simulator.world.calendar import MOST_DAYS, Calendar
from features.simulator.world.dice import Dice
from features.simulator.world.drivers import churn_base, complaint_base, need_ratio
from features.simulator.world.hazards import (
    CALL_FACTORS,
    COMPLAINT_ON_CHURN,
    COMPLAINT_ON_COMPLAINT,
    KIND_NUMBER,
    KINDS,
)
from features.simulator.world.population import Population

REASON_OF_KIND = {
    "drift": "usage.falling", "spell": "network.poor_quality", "fault": "network.grid_fault",
    "broadband": "broadband.fault", "charge": "bill.unknown_charge", "binge": "bill.jump", "trip": "roaming.bill_shock",
    "enquiry": "calls.frequent", "late": "bill.arrears",
}  # fmt: skip
BASE, COMPLAINT, CONTRACT = -1, -2, -3
SEEN_BEFORE_END, BILLED_AFTER = 60, 22
"""Days before its end on which a contract counts as ending, and after a binge's start on which its bill is out."""


@dataclass(frozen=True)
class Causes:
    """Per event: the cause number (a shock kind, or BASE, COMPLAINT, CONTRACT), its reason code and its day."""

    number: Integers
    reason: np.ndarray
    day: Integers


def find_causes(
    dice: Dice, calendar: Calendar, people: Population, story: Story, events: Events, target: str
) -> Causes:
    """Returns the cause of each event of a target ("complaint" or "churn")."""
    numbers, weights, days = [], [], []
    on = COMPLAINT_ON_COMPLAINT if target == "complaint" else COMPLAINT_ON_CHURN
    sources = [
        (number, story.shocks[kind.name].row, story.shocks[kind.name].day, kind.effects[target],
         np.array(CALL_FACTORS)[story.shocks[kind.name].mark] if target == "complaint" else 1.0)
        for number, kind in enumerate(KINDS) if target in kind.effects
    ]  # fmt: skip
    delay = 2 if target == "complaint" else 0
    sources.append((COMPLAINT, story.complaints.row, story.complaints.day + delay, on, 1.0))
    shape = (len(people), calendar.days)
    answered = {KIND_NUMBER[kind]: kind for kind in story.answers} if target == "complaint" else {}
    for number, row, day, effect, factor in sources:
        hazard = np.zeros(shape)
        add_effect(hazard, row, day, effect, np.broadcast_to(np.asarray(factor, dtype=np.float64), row.shape))
        if kind := answered.get(number):
            take_away(hazard, story.shocks[kind], story.answers[kind], kind)
        numbers.append(number)
        weights.append(np.maximum(hazard[events.row, events.day], 0))
        seen = day + (BILLED_AFTER if number == KIND_NUMBER["binge"] else 0)
        days.append(_latest(row, seen, events))
    base = (
        complaint_base(people, calendar)
        if target == "complaint"
        else story.level.lasting * sum(churn_base(people, calendar))
    )
    numbers.append(BASE)
    weights.append(np.asarray(base)[events.row])
    days.append(np.full(len(events.row), -1))
    if target == "churn":
        hazard = contract_hazard(story.contracts, np.arange(calendar.days)[None, :])
        ends = story.contracts.end[events.row]
        numbers.append(CONTRACT)
        weights.append(hazard[events.row, events.day])
        ended = np.where(ends <= events.day[:, None] + 30, ends, -NEVER).max(axis=1)
        days.append(ended - SEEN_BEFORE_END)
    share = np.cumsum(np.stack(weights, axis=1), axis=1)
    draw = dice.uniform(f"cause.{target}", people.number[events.row], events.day) * share[:, -1]
    pick = np.minimum((draw[:, None] >= share).sum(axis=1), len(numbers) - 1)
    number = np.array(numbers)[pick]
    day = np.stack(days, axis=1)[np.arange(len(pick)), pick]
    return Causes(number, _reason(people, events, number, target, day), day)


def _latest(row: Integers, day: Integers, events: Events) -> Integers:
    """Returns the day of each event's customer's last shock up to the event, -1 if none."""
    if not len(row):
        return np.full(len(events.row), -1)
    key = np.sort(row * MOST_DAYS + day)
    place = np.searchsorted(key, events.row * MOST_DAYS + events.day, side="right") - 1
    found = key[np.maximum(place, 0)]
    return np.where((place >= 0) & (found // MOST_DAYS == events.row), found % MOST_DAYS, -1)


def _contract_reason(people: Population, events: Events, seen: Integers) -> np.ndarray:
    """Returns the reason of a departure around a contract's end, which was seen coming from day `seen` on."""
    since_end = events.day - seen - SEEN_BEFORE_END
    discounted = (people.discount[events.row] > 0) & (since_end <= 90)
    later = np.where(discounted, "contract.discount_ended", "mixed.no_single_cause")
    return np.where(since_end <= 30, "contract.ending", later)


def _reason(people: Population, events: Events, number: Integers, target: str, day: Integers) -> np.ndarray:
    names = np.array([REASON_OF_KIND.get(kind.name, "mixed.no_single_cause") for kind in KINDS], dtype="U32")
    reason = np.where(number >= 0, names[np.maximum(number, 0)], "mixed.no_single_cause")
    reason = np.where(number == COMPLAINT, "service.recent_complaint", reason)
    reason = np.where(number == CONTRACT, _contract_reason(people, events, day), reason)
    quality = people.quality[events.row]
    ratio = need_ratio(people, people.plan)[events.row]
    lasting = np.where(quality > 4.0, "network.poor_quality", "mixed.no_single_cause")
    if target == "churn":
        lasting = np.where(ratio < 0.3, "usage.idle_allowance", lasting)
    return np.where(number == BASE, lasting, reason)
