"""Columns that leak together are named together, whatever each of them tells alone; honest families are left alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.bench.input_3 import named_in
from tests.training.leakage.test_leakage import matrix
from tests.training.planted_leaks import honest, with_twins
from training.dataset.dataset import Dataset
from training.leakage import columns, groups
from training.leakage.columns import leaking_columns
from training.leakage.outcome_names import is_outcome_like


@pytest.fixture(scope="module")
def clean() -> Dataset:
    """Returns an honest matrix."""
    return honest(seed=1, customers=800)


@pytest.mark.parametrize(
    "form",
    [
        {"count": 5, "noise": 1.0},
        {"count": 20, "noise": 1.5, "named": "拆机后第{}项"},
        {"count": 12, "noise": 1.5, "blanks": True, "named": ""},
    ],
    ids=["names", "Chinese names", "only blanks"],
)
def test_twins_of_one_leak_are_all_named(clean: Dataset, form: dict[str, Any]):
    """Each ranks with AUC .68 to .76 and adds little beside its twins; together they are the label."""
    data, twins = with_twins(clean, seed=3, **form)
    assert named_in(data) == twins


def test_without_the_judgement_of_groups_no_twin_is_named(clean: Dataset, monkeypatch: pytest.MonkeyPatch):
    """Canary: column by column each twin hides behind the others."""
    data, twins = with_twins(clean, 5, seed=3, noise=1.0)
    monkeypatch.setattr(columns, "worst_group", lambda *_: (frozenset(), ""))
    monkeypatch.setattr(groups, "ALL_TOO_GOOD", 2.0)
    assert not named_in(data) & twins


def test_a_second_leak_that_hides_behind_the_first_is_found_after_it(clean: Dataset, monkeypatch: pytest.MonkeyPatch):
    """Two tables wrote after the outcome; canary: with one round only the worse of them is named."""
    data, first = with_twins(clean, 5, seed=3, noise=1.0, named="exit_{}")
    data, second = with_twins(data, 5, seed=4, noise=1.1, named="visit_{}")
    assert named_in(data) == first | second
    monkeypatch.setattr(columns, "ROUNDS", 1)
    assert named_in(data) & (first | second) in (first, second)


def wide_months(seed: int = 1, count: int = 3000) -> Dataset:
    """Returns use by month, a column each: who left in month 9 used nothing then, months 6 to 8 are honest."""
    random = np.random.default_rng(seed)
    active, fall = random.normal(size=count), random.gamma(1.0, 1.0, count) * (random.random(count) < 0.35)
    left = random.random(count) < 1 / (1 + np.exp(4.5 - 5 * fall + 0.5 * active))
    wide: dict[str, np.ndarray] = {"tenure": random.gamma(2, 400, count)}
    for month in (6, 7, 8, 9):
        level = active - fall * {6: 0.0, 7: 0.3, 8: 1.0, 9: 0.9}[month]
        for number, name in enumerate(("calls_in", "calls_out", "data_2g", "data_3g", "recharge", "roaming", "texts")):
            uses = (random.random(count) < 0.3 + 0.1 * number) & ~((month == 9) & left & (random.random(count) < 0.9))
            wide[f"{name}_{month}"] = np.where(uses, np.exp(level + 0.5 * random.normal(size=count)), 0.0)
    return matrix(wide, left)


def test_the_month_after_the_outcome_goes_and_the_months_before_it_stay():
    """A number at the end of a name is a sign, too; columns of one kind of use are no leak for having a ninth month."""
    data = wide_months()
    assert named_in(data) == {name for name in data.names if name.endswith("_9")}


def test_twins_without_any_sign_are_reported_for_a_person(clean: Dataset):
    """Own names, no blanks, own noise: nothing is left out, the strongest are named."""
    data, twins = with_twins(clean, 12, seed=3, noise=1.0, named="")
    leaks = leaking_columns(data, np.arange(len(data.labels)), np.arange(0), (), seed=7)
    assert twins <= {leak.name for leak in leaks}
    assert {leak.effect for leak in leaks} == {"reported"}


def test_names_of_outcomes_are_known():
    """English and Chinese; time that is left is no outcome."""
    outcomes = {"left_later", "hasLeft", "Churn Reason", "cancelled_on", "是否离网", "投诉次数"}
    others = {"days_left", "contract_left_days", "tenure", "套餐", "left_data_mb"}
    assert {name for name in outcomes | others if is_outcome_like(name)} == outcomes


def test_a_column_called_like_an_outcome_is_reported_and_left_out_where_it_ranks_well(clean: Dataset):
    """A complaint model that is given who left later: a weak one stands there to be looked at, a strong one goes."""
    random = np.random.default_rng(5)
    for share, effect in ((0.3, "reported"), (0.8, "column_left_out")):
        left = (random.random(len(clean.labels)) < np.where(clean.labels == 1, share, 0.06)).astype(np.float32)
        data = replace(clean, values=clean.values.copy(), features=(
            replace(clean.features[0], name="left_later"), *clean.features[1:],
        ))  # fmt: skip
        data.values[:, 0] = left
        leaks = leaking_columns(data, np.arange(len(data.labels)), np.arange(0), data.names, seed=7)
        assert [(leak.name, leak.effect) for leak in leaks] == [("left_later", effect)]
