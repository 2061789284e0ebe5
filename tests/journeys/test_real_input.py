"""The whole job on real data sets of other people: what can be learned is learned, what cannot is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[3] / "shared" / "data"

pytestmark = [
    pytest.mark.skipif(not DATA.is_dir(), reason="the data sets of ../shared/data are not here"),
    pytest.mark.xdist_group("real_input"),
]


def _run(insight: Any, tmp_path: Path, source: str, folder: str) -> dict[str, Any]:
    answer = insight(
        "run", "--source", f"configs/sources/{source}.yaml", "--data", str(DATA / folder), "--home",
        str(tmp_path / "home"), "--threads", "1", "--json",
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr[-3000:]
    summary: dict[str, Any] = json.loads(answer.stdout)
    summary["stderr"] = answer.stderr
    return summary


def test_ibm_telco_is_learned_without_a_leak(insight: Any, tmp_path: Path) -> None:
    """Churn is learned as well as the data allow, over folds grouped by customer, and no column is thrown out."""
    churn = _run(insight, tmp_path, "ibm_telco", "ibm_telco")["train"]["targets"]["churn"]
    assert churn["folds"] == "grouped"
    assert 0.83 <= churn["auc"] <= 0.86
    assert churn["left_out"] == []


@pytest.mark.soak
def test_the_missingness_leak_of_mathorcup_is_found_and_named(insight: Any, tmp_path: Path) -> None:
    """The two leaking columns are left out and named in JSON and on stderr; the rest is learned honestly."""
    summary = _run(insight, tmp_path, "mathorcup_net", "mathorcup2022")
    dissatisfaction = summary["train"]["targets"]["dissatisfaction"]
    left_out = json.dumps(dissatisfaction["left_out"])
    assert 0.64 <= dissatisfaction["auc"] <= 0.70
    for name in ("redirect_count", "stay_on_2g"):
        assert name in left_out
        assert name in summary["stderr"]


@pytest.mark.soak
def test_megaline_has_too_few_who_left_and_says_so(insight: Any, tmp_path: Path) -> None:
    """34 departures make no model; the job goes on to re-rate the usage, and every offer waits for a bill."""
    summary = _run(insight, tmp_path, "megaline", "megaline")
    churn = summary["train"]["targets"]["churn"]
    assert (churn["promoted"], churn["reason"]) == (False, "too_few_positives")
    assert summary["fit"]["by_status"].get("ok", 0) == 0
    assert summary["fit"]["by_status"]["bill_unknown"] > 0
