"""A contacted customer is no plain negative: who may teach, for how many, and what two retrained cycles promise."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from training.bundle import BundleFeature
from training.dataset.dataset import Dataset
from training.labels import own_actions
from training.labels.spine import spine
from training.labels.targets import OwnActions, load_target
from training.model.calibrate import calibrate
from training.model.learner import BoostedTrees
from training.model.modelling import to_learn

AS_OF = date(2026, 3, 10)
OLD = "2020-01-01"


def _target(correction: str, **settings):
    target = load_target("churn")
    return target.model_copy(update={"own_actions": OwnActions(correction=correction, **settings)})


def _contact(customer: str, at: str, arm: str | None, propensity: float | None, action: str = "service_review"):
    return {
        "customer_id": customer, "event_at": at, "contact_id": f"{customer}{at}", "arm": arm,
        "propensity": propensity, "action": action,
    }  # fmt: skip


def _world(world):
    """Ten customers in use; some drawn into campaigns, b and h leave."""
    names = "abcdefghij"
    return world(
        customers=[{"customer_id": one, "event_at": OLD, "kind": "consumer", "activated_on": OLD} for one in names],
        usage_daily=[
            {"customer_id": one, "event_at": f"{day} 10:00", "day": day, "data_kb": 1}
            for one in names
            for day in ("2026-03-01", "2026-03-20", "2026-04-05")
        ],
        terminations=[
            {"customer_id": "b", "event_at": "2026-03-15 04:00", "reason": "cancel", "known_at": "2026-03-16"},
            {"customer_id": "h", "event_at": "2026-03-15 04:00", "reason": "cancel", "known_at": "2026-03-16"},
        ],
        contacts=[
            _contact("a", "2026-03-12 04:00", "treated", 0.5),
            _contact("b", "2026-03-20 04:00", "treated", 0.5),  # after b had left: it changed nothing
            _contact("c", "2026-03-12 04:00", "control", 0.75),
            _contact("d", "2026-03-12 04:00", "control", 0.5),
            _contact("d", "2026-03-22 04:00", "control", 0.5),
            _contact("e", "2026-03-09 10:00", "treated", 0.5),  # before the as-of date: part of the history
            _contact("f", "2026-04-08 16:00", "treated", 0.5),  # the window ended at 16:00 UTC, midnight there
            _contact("g", "2026-03-12 04:00", None, None, "arrears_reminder"),
            _contact("h", "2026-03-12 04:00", "control", 0.5),
            _contact("i", "2026-03-12 04:00", "control", 0.99),
        ],
    )


@pytest.mark.parametrize(
    ("correction", "stands_for"),
    [
        ("ignore", dict.fromkeys("abcdefghij", 1)),
        ("exclude", dict.fromkeys("bcdefhij", 1)),
        ("weight", {"b": 1, "c": 4, "d": 4, "e": 1, "f": 1, "h": 2, "i": 20, "j": 1}),
        ("model", {"a": 0, "b": 1, "c": 4, "d": 4, "e": 1, "f": 1, "h": 2, "i": 20, "j": 1}),
    ],
)
def test_who_may_teach_and_for_how_many(world, correction, stands_for):
    """Treated before the event and within the window is out; a control stands for 1 / (1 - p), at most 20."""
    found = spine(_world(world), _target(correction), [AS_OF])
    assert dict(zip(found.table["customer_id"].to_pylist(), found.table["weight"].to_pylist(), strict=True)) == (
        pytest.approx(stands_for)
    )
    assert found.log[0]["treated"] == 10 - found.table.num_rows


def test_what_was_done_to_the_labels_is_said(world):
    """The counts stand in the notes, with those for whom nobody can stand."""
    assert spine(_world(world), _target("weight"), [AS_OF]).notes == (
        "own contacts may have changed 2 labels: left out, 4 controls stand for them",
        "1 treated rows have no logged propensity: they are left out and nobody stands for them",
    )
    assert spine(_world(world), _target("ignore"), [AS_OF]).notes == ()


def test_only_the_declared_actions_count(world):
    """A target may name the actions that are thought to change its label."""
    found = spine(_world(world), _target("exclude", actions=("arrears_reminder",)), [AS_OF])
    assert found.log[0]["treated"] == 1
    assert "a" in found.table["customer_id"].to_pylist()


def test_the_worked_example_of_a_campaign_that_early_leavers_never_see():
    """100 alike, 10 leave early, half of the rest treated: the weights give .28, leaving out would give .345."""
    labels = np.array([1] * 10 + [0] * 36 + [1] * 9 + [0] * 45)
    treated = np.array([False] * 55 + [True] * 45)
    weight = np.where(treated, 0.0, np.repeat([1.0, 2.0], [10, 90]))
    assert np.average(labels, weights=weight) == pytest.approx(0.28)
    assert labels[~treated].mean() == pytest.approx(19 / 55)


def test_the_common_effect_is_read_from_the_randomised_arms():
    """Odds of 1 to 3 treated and 1 to 1 in control are log(1/3), arms of unequal chance weighted alike."""
    treated = np.repeat([True, False, False], [400, 100, 500])
    chance = np.repeat([0.8, 0.2, np.nan], [400, 100, 500])
    labels = np.concatenate([np.arange(400) % 4 == 0, np.arange(100) % 2 == 0, np.zeros(500)]).astype(np.int8)
    found = own_actions.effect_of(treated, chance, labels)
    assert (found.treated, found.control) == (400, 100)
    assert found.log_odds == pytest.approx(np.log(1 / 3), abs=0.01)
    assert own_actions.effect_of(treated, np.full(1000, np.nan), labels) is None


def _cycle(random, count: int):
    """Returns features and the true log-odds of leaving."""
    values = random.normal(size=(count, 4)).astype(np.float32)
    return values, values[:, 0] + 0.5 * values[:, 1] - 2.5


def _slope(propensity, labels) -> float:
    """Returns the slope of a logistic regression of what happened on the promised log-odds."""
    from sklearn.linear_model import LogisticRegression

    promised = np.log(propensity / (1 - propensity))[:, None]
    return float(LogisticRegression(C=1e6).fit(promised, labels).coef_[0, 0])


def test_two_retrained_cycles_of_an_effective_campaign_stay_calibrated():
    """The riskiest fifth is drawn each cycle, 80 % of it treated and mostly kept: only the correction stays honest."""
    slopes: dict[str, list[float]] = {name: [] for name in ("ignore", "exclude", "weight", "model")}
    for name, found in slopes.items():
        random = np.random.default_rng(11)
        scores_of = None
        for _ in range(3):
            values, logit = _cycle(random, 24_000)
            would = (random.random(len(logit)) < 1 / (1 + np.exp(-logit))).astype(np.int8)
            if scores_of is not None:  # the first cycle has no model yet and contacts nobody
                found.append(_slope(scores_of(values), would))
            score = values[:, 0] if scores_of is None else scores_of(values)
            drawn = (score >= np.quantile(score, 0.8)) & (scores_of is not None)
            treated = drawn & (random.random(len(logit)) < 0.8)
            kept = treated & (random.random(len(logit)) < 0.7)
            data = Dataset(
                values=values, features=tuple(BundleFeature(f"f{k}", "number") for k in range(4)),
                customers=np.arange(len(logit)).astype(str), as_of=np.full(len(logit), np.datetime64("2026-01-01")),
                labels=np.where(kept, 0, would).astype(np.int8), kinds=np.full(len(logit), ""),
                rows=np.arange(len(logit)),
                **own_actions.columns(
                    pa.table({
                        "treated": treated if name != "ignore" else np.zeros(len(logit), bool),
                        "weight": np.where(treated, 0.0, np.where(drawn & (name in ("weight", "model")), 5.0, 1.0))
                        if name != "ignore"
                        else np.ones(len(logit)),
                        "chance": np.where(drawn, np.where(treated, 0.8, 0.2), np.nan),
                    })
                ),
            )  # fmt: skip
            half = np.arange(len(logit)) % 2 == 0
            rows, weights, offset = to_learn(OwnActions(correction=name), data, np.flatnonzero(half))
            model = BoostedTrees(trees=60, learning_rate=0.1, feature_share=1.0, l2=1.0).fit(
                data.values[rows], data.labels[rows], weights, offset
            )
            rest = np.flatnonzero(~half if data.treated is None else ~half & ~data.treated)
            calibration, _ = calibrate(
                model.decision_function(values[rest]), data.labels[rest], "sigmoid",
                None if data.weights is None else data.weights[rest],
            )  # fmt: skip

            def scores_of(values, model=model, calibration=calibration):
                return calibration.propensity(model.decision_function(values))

    last = {name: found[-1] for name, found in slopes.items()}
    for name in ("exclude", "weight", "model"):
        assert last[name] == pytest.approx(1.0, abs=0.15), last
    assert abs(last["ignore"] - 1) > 0.25, last
