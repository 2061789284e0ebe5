"""The oracle: its closed form against many continuations, its separating power, and what actions are worth."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from features.kit.errors import NotFoundError
from features.simulator.oracle.closed_form import probability, state_of
from features.simulator.oracle.oracle import read_action_outcomes, read_causes, read_probabilities
from features.simulator.step import simulate_to
from features.simulator.world import actions
from features.simulator.world.behaviour import NEVER, story_of
from features.simulator.world.calendar import Calendar
from features.simulator.world.dice import FORK, Dice
from features.simulator.world.population import make_population

CALENDAR = Calendar(date(2026, 6, 1), 10)


def happened(story, size: int, target: str, first: int, end: int) -> np.ndarray:
    """Returns who had an event of a target on a day in `[first, end)`."""
    if target == "churn":
        return (story.last_use >= first) & (story.last_use < end)
    events = {"complaint": story.complaints, "upgrade": story.orders, "dissatisfaction": story.low_scores}[target]
    found = np.zeros(size, dtype=bool)
    found[events.row[(events.day >= first) & (events.day < end)]] = True
    return found


def auc(score: np.ndarray, label: np.ndarray) -> float:
    """Returns the area under the ROC curve; the scores have no ties worth counting."""
    rank = np.empty(len(score))
    rank[np.argsort(score, kind="stable")] = np.arange(1, len(score) + 1)
    positives = int(label.sum())
    return (rank[label].sum() - positives * (positives + 1) / 2) / (positives * (len(label) - positives))


@pytest.fixture(scope="module")
def continuations():
    """240 customers, each with 210 continuations from the same state on the as-of day 150; the state of the first."""
    forks, size, as_of = 210, 240, 150
    calendar = Calendar(date(2026, 6, 1), 6)
    dice = Dice(11, fork_day=as_of)
    counts = {target: np.zeros(size) for target in ("churn", "complaint", "upgrade", "dissatisfaction")}
    state = None
    for start in range(0, forks, 30):
        numbers = np.concatenate([np.arange(size) + fork * FORK for fork in range(start, start + 30)])
        people = make_population(dice, calendar, size, numbers)
        story = story_of(dice, calendar, people)
        for target in counts:
            found = happened(story, len(people), target, as_of, as_of + 30)
            counts[target] += found.reshape(30, size).sum(axis=0)
        if state is None:
            state = state_of(dice, calendar, people, story)
    here = (state.customers["activated"] < as_of - 31) & (state.customers["last_use"] >= as_of)
    return calendar, state, counts, forks, as_of, here[:size]


@pytest.mark.parametrize("target", ["churn", "complaint", "upgrade", "dissatisfaction"])
def test_the_closed_form_is_the_mean_of_many_continuations(continuations, target):
    """By tenths of the stated probability, the share of continuations with the event is the stated mean."""
    calendar, state, counts, forks, as_of, here = continuations
    stated = probability(state, calendar, target, as_of)[: len(here)][here]
    seen = counts[target][here] / forks
    assert len(seen) > 100
    for group in np.array_split(np.argsort(stated), 10):
        error = np.sqrt(stated[group].mean() / (forks * len(group)))
        assert seen[group].mean() == pytest.approx(stated[group].mean(), abs=4 * error + 0.04 * stated[group].mean())


@pytest.fixture(scope="module")
def field():
    """6,400 customers over ten months: calendar, people, story, state."""
    dice = Dice(5)
    people = make_population(dice, CALENDAR, 6400, np.arange(6400))
    story = story_of(dice, CALENDAR, people)
    return people, story, state_of(dice, CALENDAR, people, story)


@pytest.mark.parametrize(
    ("target", "low", "high"), [("churn", 0.75, 0.82), ("complaint", 0.75, 0.85), ("upgrade", 0.72, 0.80)]
)
def test_the_best_possible_separation_is_that_of_the_field(field, target, low, high):
    """The oracle's own AUC on what then happened lies in the frozen range (give or take the sample's error)."""
    people, story, state = field
    scores, labels = [], []
    for as_of in range(150, CALENDAR.days - 29, 17):
        cohort = (people.kind == 0) & (people.activated < as_of - 90) & (story.last_use >= as_of)
        label = happened(story, len(people), target, as_of, as_of + 30)
        scores.append(probability(state, CALENDAR, target, as_of)[cohort])
        labels.append(label[cohort])
    found = auc(np.concatenate(scores), np.concatenate(labels))
    assert low - 0.015 <= found <= high + 0.015


def test_the_realised_future_is_never_used(field):
    """Canary: rewriting everything that happens from the as-of day on moves no probability."""
    people, _, state = field
    day = 200
    other = story_of(Dice(5, fork_day=day), CALENDAR, make_population(Dice(5), CALENDAR, 6400, np.arange(6400) + FORK))
    renamed = state_of(Dice(5, fork_day=day), CALENDAR, people, other)
    alive = (renamed.customers["last_use"] >= day) & (state.customers["last_use"] >= day)
    for target in ("churn", "complaint", "upgrade", "dissatisfaction"):
        before = probability(state, CALENDAR, target, day)
        assert np.array_equal(probability(renamed, CALENDAR, target, day)[alive], before[alive])
    assert not np.array_equal(other.last_use, state.customers["last_use"])


def test_a_retention_contact_helps_a_little_and_harms_some(field):
    """`service_review` lowers churn by 5-15 % relative on average and raises it for 10-20 % of customers."""
    people, story, state = field
    who = (people.kind == 0) & (people.activated < 110) & (story.last_use >= 200)
    before = probability(state, CALENDAR, "churn", 200)[who]
    change = probability(state, CALENDAR, "churn", 200, "service_review")[who] - before
    assert 0.05 <= -change.mean() / before.mean() <= 0.15
    assert 0.10 <= (change > 0).mean() <= 0.20


@pytest.mark.parametrize("action", actions.ACTIONS)
def test_ranking_by_risk_is_not_ranking_by_effect(field, action):
    """Contacting the riskiest tenth is worth at most .6 of contacting the tenth whom it helps most."""
    people, story, state = field
    who = (people.kind == 0) & (people.activated < 110) & (story.last_use >= 200)
    target = actions.TARGET_OF[action]
    before = probability(state, CALENDAR, target, 200)[who]
    gain = probability(state, CALENDAR, target, 200, action)[who] - before
    gain = -gain if target == "churn" else gain
    tenth = len(gain) // 10
    by_risk = gain[np.argsort(-before, kind="stable")[:tenth]].sum()
    best = np.sort(gain)[::-1][:tenth].sum()
    assert by_risk <= 0.6 * best


def test_past_campaigns_are_randomised_with_a_logged_propensity(field):
    """Each month at least 10 % of the base is drawn, and half of it treated, whatever the risk."""
    people, story, _ = field
    contacts = story.contacts
    assert contacts.treated.mean() == pytest.approx(actions.PROPENSITY, abs=0.02)
    base = (people.kind == 0) & (people.activated < 150)
    months = [day for day in np.unique(contacts.day) if day >= 150]
    assert len(months) >= 3
    shares = [np.isin(np.flatnonzero(base), contacts.row[contacts.day == day]).mean() for day in months]
    assert min(shares) >= 0.10


def test_the_oracle_can_be_read_for_any_date_and_only_from_a_simulation(tmp_path):
    """Probabilities, causes and action outcomes come back by customer_id; a folder without an oracle is refused."""
    simulate_to(tmp_path, customers=640, months=8, seed=2)
    for as_of in (date(2026, 1, 13), date(2026, 6, 1)):
        table = read_probabilities(tmp_path, "churn", as_of)
        assert table.column_names == ["customer_id", "probability"]
        chance = table["probability"].to_numpy()
        assert 0 < chance.mean() < 0.05
    outcomes = read_action_outcomes(tmp_path, date(2026, 1, 13))
    assert set(outcomes["action"].to_pylist()) == set(actions.ACTIONS)
    causes = read_causes(tmp_path)
    assert causes.column_names == ["customer_id", "event", "event_at", "cause", "cause_at"]
    assert set(causes["event"].to_pylist()) == {"churn", "complaint"}
    with pytest.raises(NotFoundError, match="no oracle here"):
        read_probabilities(tmp_path / "files", "churn", date(2026, 1, 13))


def test_customers_stay_or_leave_once(field):
    """Who leaves has one way and one last day of use; who stays has neither."""
    _, story, _ = field
    assert np.array_equal(story.way > 0, story.last_use < NEVER)
