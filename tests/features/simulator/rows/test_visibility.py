"""State that no feed shows costs at most .01 AUC: the oracle against itself, knowing only what the feeds can show."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from features.simulator.oracle.closed_form import State, probability, state_of
from features.simulator.world.behaviour import story_of
from features.simulator.world.calendar import Calendar
from features.simulator.world.contacts import actions
from features.simulator.world.dice import Dice
from features.simulator.world.drivers import TRAITS_SEEN_ONLY_BY_EVENTS
from features.simulator.world.hazards import KIND_NUMBER
from features.simulator.world.population import make_population

CALENDAR = Calendar(date(2026, 6, 1), 12)
UNSEEN_DAYS = 4


@pytest.fixture(scope="module")
def world():
    """8,192 customers over a year: story and state."""
    dice = Dice(13)
    people = make_population(dice, CALENDAR, 8192, np.arange(8192))
    story = story_of(dice, CALENDAR, people)
    return people, story, state_of(dice, CALENDAR, people, story)


def seen(state: State, as_of: int) -> State:
    """Returns the state as the feeds show it on day `as_of`.

    Rates that show only through their events become the mean rate of all customers with as many events before; a
    change of habit within the last days is not seen yet; whether a contact worked is not seen, only whom it went to.
    """
    customers = dict(state.customers)
    for name in TRAITS_SEEN_ONLY_BY_EVENTS:
        mine = (state.shocks["kind"] == KIND_NUMBER[name]) & (state.shocks["day"] < as_of)
        count = np.minimum(np.bincount(state.shocks["row"][mine], minlength=len(customers["number"])), 6)
        rate = customers[f"rate_{name}"].astype(np.float64)
        group = count * 4 + np.digitize(np.minimum(as_of - customers["activated"], as_of), [60, 120, 200])
        group = np.where(rate > 0, group, -1)
        for value in np.unique(group):
            rate[group == value] = rate[group == value].mean()
        customers[f"rate_{name}"] = rate
    fresh = np.isin(state.shocks["kind"], [KIND_NUMBER["drift"], KIND_NUMBER["jump"]])
    keep = ~(fresh & (state.shocks["day"] >= as_of - UNSEEN_DAYS))
    mean = np.zeros(len(actions.ACTIONS))
    for number in range(len(mean)):
        mine = state.contacts["action"] == number
        mean[number] = state.contacts["size"][mine].mean() if mine.any() else 0
    return replace(
        state,
        customers=customers,
        shocks={name: values[keep] for name, values in state.shocks.items()},
        contacts=state.contacts | {"size": mean[state.contacts["action"]]},
    )


def auc(score: np.ndarray, label: np.ndarray) -> float:
    """Returns the area under the ROC curve, ties counted half."""
    _, place, size = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(size) - (size - 1) / 2)[place]
    positives = int(label.sum())
    return (rank[label].sum() - positives * (positives + 1) / 2) / (positives * (len(label) - positives))


@pytest.mark.parametrize("target", ["churn", "complaint", "upgrade"])
def test_hidden_state_costs_little(world, target):
    """Knowing only what the feeds can show, the best possible AUC falls by at most .01."""
    people, story, state = world
    full, partial, labels = [], [], []
    for as_of in range(190, CALENDAR.days - 29, 17):
        cohort = (people.kind == 0) & (people.activated < as_of - 90) & (story.last_use >= as_of)
        events = {"complaint": story.complaints, "upgrade": story.orders}.get(target)
        label = (story.last_use >= as_of) & (story.last_use < as_of + 30)
        if events is not None:
            label = np.zeros(len(people), dtype=bool)
            label[events.row[(events.day >= as_of) & (events.day < as_of + 30)]] = True
        full.append(probability(state, CALENDAR, target, as_of)[cohort])
        partial.append(probability(seen(state, as_of), CALENDAR, target, as_of)[cohort])
        labels.append(label[cohort])
    known, best = (auc(np.concatenate(part), np.concatenate(labels)) for part in (partial, full))
    assert best - known <= 0.01
