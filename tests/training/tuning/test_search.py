"""A search is kept in a file, goes on after a kill, and changes the settings only where they win on later dates."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from typer.testing import CliRunner

from features.kit.cli import create_app
from features.kit.errors import ConfigurationError, DataError
from features.kit.runs import FailpointError
from training.bundle import BundleFeature
from training.dataset.dataset import Dataset
from training.dataset.splits import Fold, grouped_split, temporal_split
from training.evaluation import metrics
from training.labels.targets import load_target
from training.tuning import pictures as tuning_pictures
from training.tuning import search as tune
from training.tuning import study as tune_study
from training.tuning.pictures import HISTORY, SETTINGS
from training.tuning.search import Budget, tuned

DATES = np.array(["2025-11-01", "2026-01-01", "2026-03-02", "2026-05-02"], dtype="datetime64[D]")


def _data(count: int = 2400) -> Dataset:
    random = np.random.default_rng(6)
    values = random.normal(size=(count, 5)).astype(np.float32)
    chance = 1 / (1 + np.exp(1.5 - 1.5 * values[:, 0] * (values[:, 1] > 0) - values[:, 2]))
    return Dataset(
        values=values,
        features=tuple(BundleFeature(f"f{place}", "number") for place in range(5)),
        customers=np.array([f"c{row % 800:04d}" for row in range(count)]),
        as_of=DATES[np.arange(count) * len(DATES) // count],
        labels=(random.random(count) < chance).astype(np.int8),
        kinds=np.full(count, ""),
        rows=np.arange(count),
    )


def _temporal(data: Dataset):
    target = load_target("churn")
    split = temporal_split(
        data.as_of, data.labels, target.embargo_days, target.folds.model_copy(update={"test_windows": 1})
    )
    assert [fold.purpose for fold in split.folds] == ["calibration", "test"]
    return split


def _configured(**settings):
    target = load_target("churn")
    few = {"trees": 20, "leaves": 6, "min_rows_in_leaf": 20, "l2": 1.0, "feature_share": 0.8} | settings
    return target.model_copy(update={"learner": target.learner.model_copy(update=few)})


def test_poor_settings_are_replaced_and_the_gain_is_told_with_its_interval():
    """A single stump learns little; the search finds more and proves it on customers that it did not choose by."""
    data = _data()
    found = tuned(
        _configured(trees=1, leaves=2, row_share=1.0), data, _temporal(data), seed=1, threads=1, budget=Budget(8)
    )
    assert found.facts["changed"]
    low, high = found.facts["gain_ci"]
    assert found.facts["gain"] > found.facts["needed_gain"] == pytest.approx((high - low) / 3.92, abs=2e-4)
    assert found.facts["gain_ci"][0] < found.facts["gain"] < found.facts["gain_ci"][1]
    assert found.target.learner.model_dump().items() >= found.facts["settings"].items()
    assert "8 settings tried" in found.sentence
    assert "the best settings beat the configured ones" in found.sentence
    assert {name: content[:4] for name, content in found.pictures.items()} == {
        HISTORY: b"\x89PNG",
        SETTINGS: b"\x89PNG",
    }


def test_settings_that_do_not_win_are_not_taken_and_it_says_so(monkeypatch: pytest.MonkeyPatch):
    """Whatever the search prefers, the other half of the customers decides: no gain, no change."""
    data = _data()
    target = _configured()
    monkeypatch.setattr(tune, "WORTH_IT", 0.5)
    monkeypatch.setitem(tune_study.SPACE, "trees", (60, 90, False))
    found = tuned(target, data, grouped_split(data.customers.tolist(), data.labels, 3, seed=1), seed=1, threads=1,
                  budget=Budget(4))  # fmt: skip
    assert not found.facts["changed"]
    assert found.target == target
    assert "the configured settings stay" in found.sentence


@pytest.mark.parametrize(("half_width", "outcome"), [(0.9, "changed"), (1.1, "stays")])
def test_a_gain_must_be_larger_than_its_standard_error(
    monkeypatch: pytest.MonkeyPatch, half_width: float, outcome: str
):
    """.02 with an interval of 1.96 times .9 of it wins; with one of 1.96 times 1.1 of it, it may be chance."""
    data = _data()
    wide = 0.02 * 1.96 * half_width
    monkeypatch.setattr(tune, "_gain", lambda *_, **__: metrics.Figure(0.02, 0.02 - wide, 0.02 + wide))
    poor = _configured(trees=1, leaves=2, row_share=1.0)
    found = tuned(poor, data, _temporal(data), seed=1, threads=1, budget=Budget(4))
    assert found.facts["changed"] is (outcome == "changed")


def test_few_events_without_dates_are_judged_on_every_fold_and_many_on_one():
    """Three folds of 20 events are all needed to judge 200; of 900 events the first fold is enough; no row judges twice."""
    data = _data()
    rare = data.labels.copy()
    rare[np.flatnonzero(rare)[60:]] = 0
    for labels, count in ((rare, 3), (data.labels, 1)):
        rows = np.arange(1, 2400)
        folds = tune.folds_by_customer(dataclasses.replace(data, labels=labels), rows, seed=1)
        judged = np.concatenate([fold.test for fold in folds])
        assert (len(folds), len(set(judged))) == (count, len(judged))
        assert set(judged) <= set(rows)
        assert all(set(data.customers[fold.train]).isdisjoint(data.customers[fold.test]) for fold in folds)


def test_few_events_fall_evenly_to_those_who_choose_and_those_who_decide():
    """Of 12 customers with an event 6 choose and 6 decide, whatever the seed."""
    data = _data()
    labels = np.isin(data.customers, [f"c{number:04d}" for number in range(12)]).astype(np.int8)
    data = dataclasses.replace(data, labels=labels)
    fold = Fold("all", "calibration", np.arange(0), np.arange(2400))
    for seed in range(5):
        judges = tune._judges(data, fold, seed)
        assert len(set(data.customers[judges.choose[labels[judges.choose] == 1]])) == 6
        assert set(data.customers[judges.choose]).isdisjoint(data.customers[judges.decide])


def test_a_killed_search_goes_on_where_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two trials end, the third is killed half way; the next run keeps the two and adds what the budget asks for."""
    data = _data(1200)
    split, target, store = _temporal(data), _configured(), tmp_path / "studies.db"

    def search(trials: int):
        return tuned(target, data, split, seed=1, threads=1, budget=Budget(trials), store=store)

    monkeypatch.setenv("INSIGHT_FAILPOINT", "tune.after_trial:2:fail")
    with pytest.raises(FailpointError):
        search(6)
    monkeypatch.delenv("INSIGHT_FAILPOINT")
    (name,) = optuna.get_all_study_names(f"sqlite:///{store}")
    optuna.load_study(study_name=name, storage=f"sqlite:///{store}").ask()
    again = search(4)
    assert (again.facts["trials"], again.facts["from_earlier_runs"]) == (4, 2)
    assert "2 of them in earlier runs" in again.sentence
    states = [trial.state.name for trial in optuna.load_study(study_name=name, storage=f"sqlite:///{store}").trials]
    assert states.count("FAIL") == 1
    assert "RUNNING" not in states
    settled = search(4)
    assert (settled.facts["from_earlier_runs"], settled.target) == (4, again.target)
    other = data.take(np.arange(1199))
    assert tuned(target, other, _temporal(other), seed=1, threads=1, budget=Budget(1), store=store).facts["trials"] == 1


def test_the_time_budget_ends_a_search():
    """A thousand trials are asked for and a moment is given: what is finished counts."""
    data = _data(800)
    found = tuned(_configured(), data, _temporal(data), seed=1, threads=1, budget=Budget(1000, minutes=0.01))
    assert 1 <= found.facts["trials"] < 200


def test_without_time_for_one_trial_the_configured_settings_stay():
    """The time is over before the first trial: that is said, and nothing fails."""
    data = _data()
    target = _configured()
    found = tuned(target, data, _temporal(data), seed=1, threads=1, budget=Budget(1000, minutes=1e-9))
    assert (found.target, found.facts) == (target, {"trials": 0, "changed": False})
    assert "no settings could be tried" in found.sentence


def test_a_budget_without_a_search_is_refused(tmp_path: Path):
    """`--trials` alone would do nothing, so it is an error that names the way."""
    result = CliRunner().invoke(create_app(), ["train", "churn", "--trials", "5", "--home", str(tmp_path)])
    assert (result.exit_code, getattr(result.exception, "remedy", None)) == (1, "add --tune")


def test_a_search_on_a_handful_of_events_is_not_begun():
    """With 12 events 6 would decide: no trial, the configured settings stay, and the sentence gives the number."""
    data = _data()
    labels = np.isin(data.customers, [f"c{number:04d}" for number in range(18)]).astype(np.int8)
    labels[800:] = 0
    data = dataclasses.replace(data, labels=labels)
    target = _configured()
    split = grouped_split(data.customers.tolist(), data.labels, 3, seed=1)
    found = tuned(target, data, split, seed=1, threads=1, budget=Budget(4))
    assert (found.target, found.facts) == (target, {"trials": 0, "changed": False})
    assert found.sentence == "no search: 6 events would decide, 10 are asked; the configured settings stay"


def test_a_file_that_holds_no_studies_is_named(tmp_path: Path):
    """Garbage where the studies should be is one line with the path and the way on, and it is not touched."""
    data, store = _data(800), tmp_path / "studies.db"
    store.write_bytes(b"not a database at all" * 100)
    with pytest.raises(DataError, match=r"studies\.db: cannot be read as studies") as refused:
        tuned(_configured(), data, _temporal(data), seed=1, threads=1, budget=Budget(1), store=store)
    assert "move it away" in refused.value.remedy
    assert store.read_bytes().startswith(b"not a database")


def test_a_cohort_of_no_kind_is_refused():
    """An empty list would make every condition on it meaningless."""
    with pytest.raises(ConfigurationError, match=r"cohort\.kinds"):
        load_target("churn").override({"cohort.kinds": "[]"})


def test_a_pruned_trial_is_drawn_at_its_last_stage_and_the_configured_one_is_marked(monkeypatch: pytest.MonkeyPatch):
    """Three pruned, one whole, one configured: each has its dots; Optuna's own plots leave the pruned ones out."""
    study = optuna.create_study(direction="maximize")
    for number in range(5):
        trial = study.ask({"l2": optuna.distributions.FloatDistribution(0, 1)})
        trial.report(0.6 + number / 100, 1)
        if number < 3:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, 0.7)
    trials = study.trials
    trials[4].user_attrs["configured"] = True
    monkeypatch.setattr(tuning_pictures, "png", lambda figure: figure)
    drawn: Any = tuning_pictures.pictures_of(trials, ("l2",))
    for figure in (drawn[HISTORY], drawn[SETTINGS]):
        dots = [part.get_offsets() for part in figure.axes[0].collections]
        assert [len(part) for part in dots] == [3, 2, 1]
        assert dots[0][:, 1].tolist() == pytest.approx([0.6, 0.61, 0.62])
