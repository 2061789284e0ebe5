"""The benchmark gives every model the same rows, pairs the differences, and names what it could not run."""

from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

from features.kit.errors import ConfigurationError, DataError
from training.benchmark import compare as benchmark
from training.benchmark import peers as benchmark_peers
from training.benchmark import sets as benchmark_sets
from training.benchmark.peers import OURS, Model
from training.evaluation import metrics
from training.evaluation.metrics import Figure
from training.labels.targets import load_target


def _table(count: int = 900) -> pd.DataFrame:
    random = np.random.default_rng(8)
    usage, plan = random.normal(size=count), random.choice(["a", "b", "c"], count)
    leaves = random.random(count) < 1 / (1 + np.exp(1.5 - usage - 1.5 * (plan == "b")))
    usage[random.random(count) < 0.1] = np.nan
    table = pd.DataFrame(
        {
            "rownames": range(count),
            "usage": usage,
            "plan": plan,
            "months": random.random(count),
            "same": 1,
            "churn": leaves,
        }
    )
    return table.assign(churn=table.churn.map({True: "yes", False: "no"}))


def _data():
    return benchmark_sets.informative(benchmark_sets.table_as_dataset(_table(), label="churn", positive="yes"))


def test_a_table_becomes_a_matrix():
    """Text is coded in alphabetical order, the row number and the column of one value are no features."""
    data = _data()
    assert data.names == ("usage", "plan", "months")
    assert data.features[1].categories == ("a", "b", "c")
    first = _table().iloc[0]
    assert data.take(np.array([0])).values.tolist() == [  # noqa: PD011 - no frame
        pytest.approx([first.usage, "abc".index(first.plan), first.months])
    ]
    assert data.labels[0] == (first.churn == "yes")


def test_a_label_may_be_written_in_capitals_and_must_have_two_values():
    """`Yes` is `yes`; a label without the event is an error, not a set without positives."""
    capital = _table().assign(churn=lambda table: table.churn.str.title())
    shouted = benchmark_sets.table_as_dataset(capital, label="churn", positive="yes")
    assert (
        shouted.labels.tolist()
        == benchmark_sets.table_as_dataset(_table(), label="churn", positive="yes").labels.tolist()
    )
    with pytest.raises(DataError, match="none have the value 'left'"):
        benchmark_sets.table_as_dataset(_table(), label="churn", positive="left")


def test_every_model_is_judged_on_the_same_rows_and_a_better_peer_is_told():
    """A peer that knows the answer is ahead of ours and the verdict says behind; the honest ones are level."""
    data, target = _data(), load_target("churn").override({"learner.min_rows_in_leaf": "20"})
    truth = {row.tobytes(): label for row, label in zip(data.values, data.labels, strict=True)}
    cheat = Model("cheat", lambda *_: lambda values: np.array([float(truth[row.tobytes()]) for row in values]))
    here = [model for model in benchmark_peers.models() if not model.needs] + [cheat]
    public = benchmark_sets.PublicSet("table", "churn", lambda _: data, "made here")
    found = benchmark.compared(public, target, data, here, 0.5, 2, 7)
    lines = {line["model"]: line for line in found["models"]}
    assert (found["rows"], found["features"]) == (900, 3)
    assert lines["cheat"]["auc"] == 1.0
    assert not lines["cheat"]["level"]
    assert lines[OURS]["ours_minus_it"] == 0
    for name in (OURS, "ours, without a search", "LightGBM defaults", "HistGradientBoosting", "logistic regression"):
        assert 0.6 < lines[name]["auc"] < 0.9, name
    assert lines["logistic regression"]["level"] == (lines["logistic regression"]["ours_minus_it_ci"][1] >= 0)
    assert "behind" in benchmark.table_of(found)


def test_the_mean_over_folds_adds_half_widths_in_squares():
    """.80 (.78 to .82) and .84 (.81 to .87) give .82 (.802 to .838)."""
    mean = metrics.over_folds([Figure(0.80, 0.78, 0.82), Figure(0.84, 0.81, 0.87)])
    assert (mean.value, mean.low, mean.high) == pytest.approx((0.82, 0.802, 0.838), abs=1e-3)


def test_what_is_not_there_is_skipped_with_its_remedy():
    """Without the data folder a set is named, not guessed; nothing ran, so nothing is level."""
    result = benchmark.benchmark(None, ["ibm_telco"], seconds=0.1, folds=2)
    assert result["level"] is False
    skipped = {line["what"]: line for line in result["skipped"]}
    assert skipped["ibm_telco"]["remedy"] == "name the folder that holds it with --data"
    assert ("FLAML" in skipped) == (find_spec("flaml") is None)
    assert "bench" in skipped.get("FLAML", {"remedy": "bench"})["remedy"]


def test_an_unknown_set_is_an_error_that_names_the_known_ones():
    """A misspelt name would silently compare nothing."""
    with pytest.raises(ConfigurationError, match="no such set") as caught:
        benchmark.benchmark(None, ["ibm"])
    assert "mlc_churn" in caught.value.remedy


def test_a_set_sorted_by_its_label_is_compared_too(monkeypatch: pytest.MonkeyPatch):
    """The rows that warm the models up come from all over the set; canary: its first rows have one class only."""
    data, target = _data(), load_target("churn").override({"learner.min_rows_in_leaf": "20"})
    ordered = data.take(np.argsort(data.labels, kind="stable"))
    public = benchmark_sets.PublicSet("table", "churn", lambda _: ordered, "made here")
    here = [model for model in benchmark_peers.models() if model.name in (OURS, "LightGBM defaults")]
    assert benchmark.compared(public, target, ordered, here, 0.3, 2, 7)["rows"] == 900
    monkeypatch.setattr(benchmark, "_spread", lambda rows: rows[:100])
    with pytest.raises(ValueError, match="class"):
        benchmark.compared(public, target, ordered, here, 0.3, 2, 7)
