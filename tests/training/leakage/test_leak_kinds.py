"""Each kind of leak that a matrix and its folds can show is found by its name; honest ones give no alarm."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from tests.training.planted_leaks import IN_THE_MATRIX, honest
from training.dataset import duplicates
from training.dataset.prepare import Prepared
from training.dataset.splits import temporal_split
from training.labels.spine import Spine
from training.labels.targets import FoldSettings
from training.leakage import columns, rows, statistics
from training.leakage.audit import audit_matrix, gate
from training.leakage.findings import KINDS, leak
from training.leakage.statistics import smoothness

EMBARGO = 60


def prepared(seed: int = 1) -> Prepared:
    """Returns an honest matrix with temporal folds."""
    data = honest(seed=seed)
    split = temporal_split(data.as_of, data.labels, EMBARGO, FoldSettings(test_windows=2))
    return Prepared(Spine(pa.table({}), (), {}), data, split, np.arange(len(data.labels)), ())


def found(matrix: Prepared) -> dict[str, str]:
    """Returns kind by name."""
    return {one.name: one.kind for one in audit_matrix(matrix, matrix.data.names, EMBARGO, seed=7)}


@pytest.mark.parametrize("kind", sorted(IN_THE_MATRIX))
def test_a_planted_leak_is_found_by_its_kind(kind: str):
    """The planted name with its kind and nothing else; evidence, explanation and remedy are told."""
    matrix, name = IN_THE_MATRIX[kind](prepared(), np.random.default_rng(5))
    leaks = audit_matrix(matrix, matrix.data.names, EMBARGO, seed=7)
    assert [(one.name, one.kind) for one in leaks] == [(name, kind)]
    told = leaks[0].as_dict()
    assert all(told[part] for part in ("evidence", "explanation", "remedy"))


@pytest.mark.parametrize("seed", range(3))
def test_an_honest_matrix_gives_no_alarm(seed: int):
    """A strong column, one of the customer's own that never moves, honest blanks, counts: nothing is named."""
    assert found(prepared(seed)) == {}


@pytest.mark.parametrize(
    ("kind", "module", "limit", "value"),
    [
        ("id_order", statistics, "NEIGHBOURS_ALIKE", 2.0),
        ("target_statistics", statistics, "TOO_SMOOTH", -1e9),
        ("overwritten_snapshot", columns, "AHEAD_UNMOVED", 2.0),
        ("duplicates", duplicates, "MIN_TWINS", 10**9),
    ],
)
def test_without_its_check_the_leak_would_not_be_named(kind, module, limit, value, monkeypatch: pytest.MonkeyPatch):
    """Canary: with the threshold out of reach, no check names this kind."""
    matrix, name = IN_THE_MATRIX[kind](prepared(), np.random.default_rng(5))
    assert found(matrix).get(name) == kind
    monkeypatch.setattr(module, limit, value)
    assert found(matrix).get(name) != kind


def test_ids_that_follow_the_label_are_told_but_stop_nothing():
    """The id is no input of a model: it is named with the remedy, and training goes on."""
    matrix = prepared()
    data = matrix.data
    codes = np.unique(data.customers, return_inverse=True)[1]
    rank = np.argsort(np.argsort(np.bincount(codes, data.labels) > 0, kind="stable"))
    sorted_ids = replace(matrix, data=replace(data, customers=np.array([f"n{k:06d}" for k in rank])[codes]))
    leaks = audit_matrix(sorted_ids, (), EMBARGO, seed=7)
    assert [(one.name, one.kind, one.effect) for one in leaks] == [("customer_id", "id_order", "reported")]
    assert gate(sorted_ids, leaks, portraits_of(sorted_ids)).refused is None


def test_customers_who_merely_look_alike_are_no_duplicates():
    """Few columns make many twins; their labels agree no more than chance."""
    random = np.random.default_rng(3)
    matrix = prepared()
    values = random.integers(0, 3, matrix.data.values.shape).astype(np.float32)
    alike = replace(matrix, data=replace(matrix.data, values=values))
    assert len(duplicates.twins(alike.data).repeated) > 1000
    assert "rows" not in found(alike)


@pytest.mark.parametrize("seed", range(3))
def test_rates_of_earlier_labels_scatter_as_dice_do(seed: int):
    """A group's rate over labels known before is an honest column: its scatter in the judged rows is not too small."""
    random = np.random.default_rng(seed)
    group = random.integers(0, 200, 20_000)
    chance = random.beta(3, 27, 200)
    before, now = random.random(20_000) < chance[group], (random.random(20_000) < chance[group]).astype(np.int8)
    count = np.bincount(group)
    honest_rate, leaking_rate = np.bincount(group, before) / count, np.bincount(group, now) / count
    assert smoothness(honest_rate[group].astype(np.float32), now)[1] > -2
    assert smoothness(leaking_rate[group].astype(np.float32), now)[1] < -6


def test_rates_of_rare_events_are_found_though_many_groups_have_none(monkeypatch: pytest.MonkeyPatch):
    """One row in 25 is positive and one group in six has no event; canary: beside that mass the others look rough."""
    random = np.random.default_rng(4)
    group = np.repeat(random.integers(0, 250, 2000), random.integers(3, 8, 2000))
    labels = (random.random(len(group)) < 0.04).astype(np.int8)
    rate = (np.bincount(group, labels, 250) / np.maximum(np.bincount(group, minlength=250), 1))[group]
    assert (rate == 0).mean() > 0.1
    assert smoothness(rate.astype(np.float32), labels)[1] < -5
    monkeypatch.setattr(statistics, "MASS", 1.0)
    assert smoothness(rate.astype(np.float32), labels)[1] > statistics.TOO_SMOOTH


def portraits_of(matrix: Prepared, **dimensions: str):
    """Returns the feature list of a matrix; a column without a dimension of its own belongs to `rest`."""
    names = [SimpleNamespace(name=name, dimension=dimensions.get(name, "rest")) for name in matrix.data.names]
    return SimpleNamespace(feature_list=SimpleNamespace(features=names))


def test_the_gate_leaves_the_column_out_and_drops_the_copies():
    """What is left has neither the column nor the second copy, and the folds follow."""
    matrix, _ = IN_THE_MATRIX["duplicates"](prepared(), np.random.default_rng(5))
    leaks = (leak("use", "label_copy", "x"), *audit_matrix(matrix, (), EMBARGO, seed=7))
    passed = gate(matrix, leaks, portraits_of(matrix))
    assert passed.refused is None
    assert "use" not in passed.prepared.data.names
    assert len(passed.prepared.data.labels) == len(prepared().data.labels)
    assert max(fold.test.max() for fold in passed.prepared.split.folds) < len(passed.prepared.data.labels)


def test_training_is_refused_if_a_dimension_is_emptied_or_the_folds_overlap():
    """Both refusals say which and why."""
    matrix = prepared()
    passed = gate(matrix, (leak("bill", "missingness", "x"),), portraits_of(matrix, bill="consumption"))
    assert (passed.refused, "consumption" in passed.why) == ("dimension_emptied", True)
    broken, name = IN_THE_MATRIX["split_overlap"](matrix, np.random.default_rng(5))
    passed = gate(broken, audit_matrix(broken, (), EMBARGO, seed=7), portraits_of(broken))
    assert (passed.refused, name in passed.why) == ("split_overlap", True)


def test_a_group_split_that_shares_customers_is_found():
    """Folds by row instead of by customer: the shared customers are counted and one is named."""
    matrix = prepared()
    half = np.arange(len(matrix.data.labels)) % 2 == 0
    fold = replace(matrix.split.folds[-1], train=np.flatnonzero(half), test=np.flatnonzero(~half))
    shuffled = replace(matrix, split=replace(matrix.split, kind="grouped", folds=(fold,)))
    leaks = rows.overlaps(shuffled.data, shuffled.split, EMBARGO)
    assert [one.kind for one in leaks] == ["split_overlap"]
    assert "were learned from, such as 'c0" in leaks[0].evidence


def test_there_are_eleven_kinds_and_each_is_explained():
    """The catalogue is whole, in both languages."""
    assert len(KINDS) == 11
    assert all(kind.explanation.endswith(".") and kind.remedy.endswith(".") and kind.zh for kind in KINDS.values())
