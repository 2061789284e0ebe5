"""The oracle: its closed form against many continuations, its separating power, and what actions are worth."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from features.kit.errors import NotFoundError
from features.simulator.oracle.closed_form import probability, state_of
from features.simulator.oracle.oracle import read_action_outcomes, read_causes, read_probabilities
from features.simulator.step import simulate_to
from features.simulator.world.behaviour import NEVER, story_of
from features.simulator.world.calendar import Calendar
from features.simulator.world.contacts import actions
from features.simulator.world.contacts.effects import LEVELS
from features.simulator.world.dice import FORK, Dice
from features.simulator.world.drivers import need_ratio
from features.simulator.world.hazards import KIND_NUMBER, UNTREATED_SHARE
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


@pytest.fixture(scope="module", params=[("field", 11), ("strong", 13)], ids=["field", "strong"])
def continuations(request):
    """240 customers, each with 210 continuations from the same state on the as-of day 150; the state of the first."""
    forks, size, as_of = 210, 240, 150
    level, seed = LEVELS[request.param[0]], request.param[1]
    calendar = Calendar(date(2026, 6, 1), 6)
    dice = Dice(seed, fork_day=as_of)
    counts = {target: np.zeros(size) for target in ("churn", "complaint", "upgrade", "dissatisfaction")}
    state = None
    for start in range(0, forks, 30):
        numbers = np.concatenate([np.arange(size) + fork * FORK for fork in range(start, start + 30)])
        people = make_population(dice, calendar, size, numbers)
        story = story_of(dice, calendar, people, level=level)
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


def level_field(name):
    """Returns who is a customer on day 200, and the state, of 4,000 customers at a level of effects."""
    dice, level = Dice(5), LEVELS[name]
    people = make_population(dice, CALENDAR, 4000, np.arange(4000))
    story = story_of(dice, CALENDAR, people, level=level)
    return (people.kind == 0) & (people.activated < 110) & (story.last_use >= 200), state_of(
        dice, CALENDAR, people, story
    )


def test_strong_effects_are_those_of_the_best_trials():
    """In `strong` a retention call lowers churn by 25-35 % on average over the actions, and harms 10-20 %."""
    who, state = level_field("strong")
    before = probability(state, CALENDAR, "churn", 200)[who]
    changes = [probability(state, CALENDAR, "churn", 200, name)[who] - before for name in actions.CARE_ACTIONS]
    assert 0.25 <= -np.mean([change.mean() for change in changes]) / before.mean() <= 0.35
    assert 0.10 <= np.mean([(change > 0).mean() for change in changes]) <= 0.20


def test_without_effects_no_contact_changes_anything():
    """In `none` each action by each channel leaves every probability as it is, though as many contacts are made."""
    who, state = level_field("none")
    before = {target: probability(state, CALENDAR, target, 200) for target in ("churn", "complaint", "upgrade")}
    for action in actions.ACTIONS:
        for channel in actions.CHANNELS[action]:
            for target, chance in before.items():
                assert np.array_equal(probability(state, CALENDAR, target, 200, action, channel), chance), action
    assert len(state.contacts["row"]) > 1000
    assert who.sum() > 1000


def test_an_answer_helps_soon_after_its_cause_and_annoys_elsewhere(field):
    """Within days of the charge a check takes away complaints, a message less than a call; elsewhere it adds some."""
    people, _, state = field
    mine = state.shocks["kind"] == KIND_NUMBER["charge"]
    day = 1 + int(np.median(state.shocks["day"][mine & (state.shocks["day"] > 190)]))
    fresh = np.zeros(len(people), dtype=bool)
    fresh[state.shocks["row"][mine & (state.shocks["day"] == day - 1)]] = True
    fresh &= people.kind == 0
    before = probability(state, CALENDAR, "complaint", day)
    change = {
        channel: probability(state, CALENDAR, "complaint", day, "charge_check", channel) - before
        for channel in ("call", "message")
    }
    assert fresh.sum() >= 20
    assert change["call"][fresh].mean() < change["message"][fresh].mean() < -0.2 * before[fresh].mean() / 2
    others = (people.kind == 0) & ~fresh & (people.activated < 110)
    assert 0 < change["message"][others].mean() < change["call"][others].mean() < 0.001
    late = probability(state, CALENDAR, "complaint", day + 12, "charge_check")
    assert (late - probability(state, CALENDAR, "complaint", day + 12))[fresh].mean() > change["call"][fresh].mean() / 3


def test_one_contact_too_many_annoys(field):
    """A customer who was contacted twice within sixty days complains more after the third contact, whatever it is."""
    people, story, state = field
    chance = probability(state, CALENDAR, "complaint", 200, "service_review") - probability(
        state, CALENDAR, "complaint", 200
    )
    tired = actions.is_one_too_many(
        np.arange(len(people)), np.full(len(people), 200), state.contacts["row"], state.contacts["day"]
    )
    assert 10 < tired.sum() < len(people) / 5
    assert chance[tired & (people.kind == 0)].min() > 0
    assert len(story.tiring.row) > 10


def test_offers_are_taken_by_need_price_and_channel(field):
    """Who uses up the plan takes data packs more than who uses a third of it; the app sells more than a message."""
    people, _, _ = field
    by = [actions.acceptance(CALENDAR, people, "data_pack_offer", np.full(len(people), place)) for place in (0, 1)]
    ratio = need_ratio(people, people.plan)
    assert by[0][ratio > 0.7].mean() > 3 * by[0][ratio < 0.3].mean()
    assert (by[1] > by[0]).all()
    assert not actions.acceptance(CALENDAR, people, "service_review", np.zeros(len(people), int)).any()


@pytest.mark.parametrize("action", actions.CARE_ACTIONS + actions.SALES_ACTIONS)
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
    needless = np.isin(contacts.action, [actions.ACTIONS.index(name) for name in actions.ANSWER_ACTIONS])
    assert contacts.treated[needless].mean() == pytest.approx(1 - UNTREATED_SHARE, abs=0.03)
    contacts = contacts.of(np.flatnonzero(~needless))
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
    pairs = {(row["action"], row["channel"]) for row in outcomes.select(["action", "channel"]).to_pylist()}
    assert pairs == {(action, channel) for action in actions.ACTIONS for channel in actions.CHANNELS[action]}
    assert set(outcomes["target"].to_pylist()) == {"churn", "complaint", "upgrade"}
    causes = read_causes(tmp_path)
    assert causes.column_names == ["customer_id", "event", "event_at", "cause", "cause_at"]
    assert set(causes["event"].to_pylist()) == {"churn", "complaint"}
    with pytest.raises(NotFoundError, match="no oracle here"):
        read_probabilities(tmp_path / "files", "churn", date(2026, 1, 13))


def test_customers_stay_or_leave_once(field):
    """Who leaves has one way and one last day of use; who stays has neither."""
    _, story, _ = field
    assert np.array_equal(story.way > 0, story.last_use < NEVER)
