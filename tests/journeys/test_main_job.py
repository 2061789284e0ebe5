"""The main job from files to lists, run by the command a newcomer runs."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from features.kit.home import Home

pytestmark = pytest.mark.xdist_group("journey")


def test_the_summary_names_every_figure_a_program_needs(demo: Any) -> None:
    """Per target the AUC with its interval, per feed the rows, the list, the offers, seconds and memory."""
    summary = demo.summary
    assert summary["ingest"]["as_of"] == "2026-06-01"
    assert all({"accepted", "quarantined"} <= set(feed) for feed in summary["ingest"]["feeds"].values())
    churn = summary["train"]["targets"]["churn"]
    assert churn["auc_ci"][0] < churn["auc"] < churn["auc_ci"][1]
    assert churn["auc"] > 0.6
    assert 0.7 < churn["oracle_auc"] < 0.9
    for target in ("complaint", "upgrade", "dissatisfaction"):
        result = summary["train"]["targets"][target]
        assert result["promoted"] or result["reason"]
    assert summary["outreach"]["lines"] > 0
    assert summary["fit"]["reproduced_share"] > 0.9
    assert set(summary["wall_seconds"]) >= {"simulate", "ingest", "build", "publish", "train", "score", "outreach"}
    assert summary["peak_memory_mb"] < 3_000


def test_the_list_holds_reasons_and_no_full_number(demo: Any) -> None:
    """Every line has its key, an action and a masked number; no phone number of the base is in any exported file."""
    path = Path(demo.summary["outreach"]["csv"])
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == demo.summary["outreach"]["lines"]
    text = path.read_text(encoding="utf-8-sig")
    assert not re.search(r"(?<!\d)1[3-9]\d{9}(?!\d)", text)
    assert re.search(r"1\d{2}\*{4}\d{4}", text)


def test_one_customer_can_be_followed_from_file_to_list(demo: Any) -> None:
    """The list's first line is a customer of the files, with a portrait, a score and a claim in the ledger."""
    import sqlite3

    home = Home.at(demo.home)
    with sqlite3.connect(home.operations) as database:
        line_id, customer_id = database.execute(
            "SELECT line_id, customer_id FROM outreach_lines ORDER BY line_id LIMIT 1"
        ).fetchone()
    assert customer_id in (home.simulation / "files" / "customers.csv").read_text(encoding="utf-8")
    facts = pq.read_table(
        next(home.portraits.glob("portrait_v1-*/as_of=2026-06-01/portrait.parquet")),
        filters=[("customer_id", "=", customer_id)],
    )["facts"].to_pylist()
    assert json.loads(facts[0])["class"]
    scored = next((home.scores / "churn").glob("*/as_of=2026-06-01/scores.parquet"))
    assert pq.read_table(scored, filters=[("customer_id", "=", customer_id)]).num_rows == 1
    assert line_id in Path(demo.summary["outreach"]["csv"]).read_text(encoding="utf-8-sig")


@pytest.mark.parametrize("target", ["complaint", pytest.param("churn", marks=pytest.mark.soak)])
def test_a_second_run_changes_nothing(target: str, demo: Any, insight: Any) -> None:
    """Run again, the job lands nothing new, keeps every portrait and replays today's list with the same lines.

    Complaint has too few positives here, so that the run is short; the soak learns a model anew on the way.
    """
    before = Path(demo.summary["outreach"]["csv"]).read_bytes()
    landed = (demo.home / "feeds" / "manifest.json").read_bytes()
    again = insight(
        "run", "--source", "configs/sources/simulator.yaml", "--data", str(demo.home / "simulation" / "files"),
        "--home", str(demo.home), "--target", target, "--threads", "1", "--json",
    )  # fmt: skip
    assert again.returncode == 0, again.stderr[-2000:]
    summary = json.loads(again.stdout)
    assert summary["build"]["built"] == 0
    assert (demo.home / "feeds" / "manifest.json").read_bytes() == landed
    assert summary["outreach"]["list_id"] == demo.summary["outreach"]["list_id"]
    assert Path(summary["outreach"]["csv"]).read_bytes() == before


def test_another_operator_is_kept_out_of_the_home(demo: Any, insight: Any) -> None:
    """A demo of another size refuses the home and says what to do."""
    answer = insight("demo", "--customers", "3000", "--home", str(demo.home), "--no-serve")
    assert answer.returncode == 2
    assert "holds a demo of another size or seed" in answer.stderr
    assert "--fresh" in answer.stderr


def test_nothing_personal_is_said_on_the_way(demo: Any) -> None:
    """No phone number stands in what the command printed."""
    assert not re.search(r"(?<!\d)1[3-9]\d{9}(?!\d)", demo.stderr + json.dumps(demo.summary, ensure_ascii=False))
