"""A column that carries the label is found by a check, with its evidence; clean columns are left alone."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training.bundle import BundleFeature
from training.dataset.dataset import Dataset
from training.leakage import columns as checks
from training.leakage.columns import leaking_columns
from training.leakage.findings import Leak

DATA = Path(__file__).parents[4] / "shared" / "data"
MATHORCUP = DATA / "mathorcup2022" / "net_train.csv"
IBM = DATA / "ibm_telco" / "WA_Fn-UseC_-Telco-Customer-Churn.csv"


def matrix(columns: dict[str, np.ndarray], labels: np.ndarray, customers: np.ndarray | None = None) -> Dataset:
    """Returns a dataset of numbers (floats) and categories (text; empty is blank)."""
    values, features = [], []
    for name, column in columns.items():
        if column.dtype.kind == "f":
            features.append(BundleFeature(name, "number"))
            values.append(column.astype(np.float32))
        else:
            known = tuple(sorted({str(one) for one in column} - {""}))
            codes = {one: code for code, one in enumerate(known)}
            features.append(BundleFeature(name, "category", known))
            values.append(np.array([codes.get(str(one), np.nan) for one in column], dtype=np.float32))
    count = len(labels)
    ids = np.array([f"c{k}" for k in range(count)]) if customers is None else customers
    return Dataset(
        np.column_stack(values), tuple(features), ids, np.full(count, np.datetime64("2026-06-01", "D")),
        labels.astype(np.int8), np.where(labels == 1, "x", ""), np.arange(count),
    )  # fmt: skip


def read(path: Path, label: str, is_positive: Callable[[str], bool], left_out: Callable[[str], bool]) -> Dataset:
    """Returns a CSV file as a dataset, columns as they are."""
    if not path.exists():
        pytest.skip(f"{path} is not there")
    with path.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    labels = np.array([is_positive(row[header.index(label)]) for row in rows])
    columns: dict[str, np.ndarray] = {}
    for at, name in enumerate(header):
        if at and name != label and not left_out(name):
            text = [row[at].strip() for row in rows]
            try:
                columns[name] = np.array([float(one) if one else np.nan for one in text])
            except ValueError:
                columns[name] = np.array(text)
    return matrix(columns, labels, np.array([row[0] for row in rows]))


def audit(data: Dataset, names: tuple[str, ...]) -> tuple[Leak, ...]:
    """Returns the findings on all rows, none of which is judged."""
    return leaking_columns(data, np.arange(len(data.labels)), np.arange(0), names, seed=7)


def found(data: Dataset, *, unproven: bool = True) -> dict[str, str]:
    """Returns kind by column."""
    names = data.names if unproven else ()
    return {leak.name: leak.kind for leak in audit(data, names)}


def _clean(count: int = 4000, seed: int = 1) -> tuple[dict[str, np.ndarray], np.ndarray]:
    random = np.random.default_rng(seed)
    columns = {f"n{k}": random.normal(size=count) for k in range(6)}
    columns["plan"] = np.array(["a", "b", "c", ""])[random.integers(0, 4, count)]
    columns["n5"][random.random(count) < 0.3] = np.nan
    chance = 1 / (1 + np.exp(2.5 - columns["n0"] - columns["n1"] - (columns["plan"] == "b")))
    return columns, random.random(count) < chance


def test_the_two_columns_of_mathorcup_are_found_and_the_one_that_came_with_them():
    """44 % are dissatisfied where redirects and time on 2G are filled, 9 % where they are blank; drops share the fill."""
    survey = ("手机上网整体满意度", "其他，请注明")
    started = []

    def asked_with_the_score(name: str) -> bool:
        if name == "上网质差次数":
            started.append(name)
        return not started or name.startswith(survey)

    data = read(MATHORCUP, survey[0], lambda score: int(score) <= 6, asked_with_the_score)
    assert found(data) == {"2G驻留时长": "missingness", "脱网次数": "missingness", "重定向次数": "missingness"}
    evidence = {leak.name: leak.evidence for leak in audit(data, data.names)}
    assert "44% positive where filled, 9% where blank" in evidence["重定向次数"]
    assert "99.9% of its filled rows are filled in '重定向次数'" in evidence["脱网次数"]


def test_no_column_of_ibm_is_blamed():
    """Tenure and contract rank well for good reasons; nothing is left out."""
    data = read(IBM, "Churn", lambda churn: churn == "Yes", lambda _: False)
    assert "tenure" in data.names
    assert found(data) == {}


@pytest.mark.parametrize("seed", range(5))
def test_clean_columns_are_left_alone(seed: int):
    """Strong but honest columns with honest blanks give no alarm."""
    assert found(matrix(*_clean(seed=seed))) == {}


def test_blanks_that_other_columns_explain_are_left_alone():
    """No internet, so no online backup: the blanks rank well, but another column knows it already."""
    columns, labels = _clean()
    has_internet = np.where(
        labels, np.random.default_rng(2).random(len(labels)) < 0.9, np.random.default_rng(3).random(len(labels)) < 0.5
    )
    columns["internet"] = np.where(has_internet, "yes", "no")
    columns["backup"] = np.where(has_internet, np.random.default_rng(4).normal(size=len(labels)), np.nan)
    assert found(matrix(columns, labels)) == {}


def test_planted_leaks_are_found_each_by_its_check():
    """A value recorded afterwards, twins with leaking blanks, a code given to leavers only: all named, nothing else."""
    columns, labels = _clean()
    random = np.random.default_rng(9)
    filled = np.where(labels, random.random(len(labels)) < 0.8, random.random(len(labels)) < 0.3)
    columns["asked_why"] = np.where(filled, random.normal(size=len(labels)), np.nan)
    columns["asked_when"] = np.where(filled, random.normal(size=len(labels)), np.nan)
    columns["days_to_end"] = np.where(labels, random.normal(5, 1, len(labels)), random.normal(20, 5, len(labels)))
    columns["farewell_code"] = np.where(labels & (random.random(len(labels)) < 0.2), "X9", "none")
    columns["score_after"] = labels * 1.8 + random.normal(size=len(labels))
    assert found(matrix(columns, labels)) == {
        "asked_why": "missingness",
        "asked_when": "missingness",
        "days_to_end": "label_copy",
        "farewell_code": "label_copy",
        "score_after": "label_copy",
    }


def test_a_proven_portrait_may_be_blank_where_nothing_happened():
    """A feature computed from events known before the as-of date is blank for honest reasons, however well that ranks."""
    columns, labels = _clean()
    random = np.random.default_rng(9)
    happened = np.where(labels, random.random(len(labels)) < 0.8, random.random(len(labels)) < 0.3)
    columns["stalls_count_7d"] = np.where(happened, random.normal(size=len(labels)), np.nan)
    assert found(matrix(columns, labels)) == {"stalls_count_7d": "missingness"}
    assert found(matrix(columns, labels), unproven=False) == {}


def test_without_the_check_the_leak_would_pass(monkeypatch: pytest.MonkeyPatch):
    """Canary: with the threshold out of reach, the leaking blanks stay in."""
    columns, labels = _clean()
    columns["asked_why"] = np.where(labels, 1.0, np.nan) + np.zeros(len(labels))
    columns["asked_why"][::7] = 1.0
    data = matrix(columns, labels)
    assert "asked_why" in found(data)
    for limit in ("SUSPICIOUS_BLANKS", "SUSPICIOUS_VALUE", "TOO_GOOD", "PURE_RATE"):
        monkeypatch.setattr(checks, limit, 2.0)
    assert found(data) == {}


def test_a_leaking_column_is_left_out_of_the_matrix():
    """The columns that are named are gone, the others stay in their order."""
    data = matrix(*_clean())
    assert data.without(["n0", "plan"]).names == ("n1", "n2", "n3", "n4", "n5")
    assert data.without(["n0", "plan"]).categories == ()
