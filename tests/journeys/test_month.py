"""The month's run by the command itself, on a home that already serves."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("journey")


@pytest.fixture(scope="module")
def serving(demo: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a copy of the demo's home: champions serve, and a list has been drawn."""
    home = tmp_path_factory.mktemp("month") / "home"
    shutil.copytree(demo.home, home)
    return home


def _arguments(demo: Any, home: Path, month: str) -> tuple[str, ...]:
    return (
        "run", "--source", "configs/sources/simulator.yaml", "--data", str(demo.home / "simulation" / "files"),
        "--home", str(home), "--through", month, "--target", "churn", "--seed", "8", "--threads", "1", "--json",
    )  # fmt: skip


def _ledger(home: Path) -> dict[str, list[Any]]:
    """Returns every row of the outreach tables."""
    with sqlite3.connect(home / "operations.db") as database:
        names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE name LIKE 'outreach%'")]
        tables = [name for name in names if not name.startswith(("ix_", "sqlite_"))]
        return {
            name: database.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall()
            for name in tables
            if database.execute("SELECT type FROM sqlite_master WHERE name = ?", (name,)).fetchone()[0] == "table"
        }


def _champions(home: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in (home / "mlruns" / "bundles").glob("*/champion.json")}


def test_a_month_that_has_not_come_is_refused(demo: Any, serving: Path, insight: Any) -> None:
    """Exit code 3, each problem on stderr, and nothing of the home's models or live portraits moves."""
    before = _champions(serving)
    answer = insight(*_arguments(demo, serving, "202606"))
    assert answer.returncode == 3, answer.stderr[-2000:]
    summary = json.loads(answer.stdout)
    assert {problem["code"] for problem in summary["calendar"]["problems"]} == {"not_delivered", "feed_missing"}
    assert "refused: feed_missing: usage_daily: no row of 2026-06" in answer.stderr
    assert "build" not in summary
    assert _champions(serving) == before


def test_a_month_ends_with_what_a_list_would_gain_and_lose(demo: Any, serving: Path, insight: Any) -> None:
    """A challenger is trained and compared; nobody is claimed, nothing is promoted, the run is on record."""
    champions, ledger = _champions(serving), _ledger(serving)
    answer = insight(*_arguments(demo, serving, "2026-05"))
    summary = json.loads(answer.stdout)
    recommended = summary["train"]["recommended"]
    assert answer.returncode == (4 if recommended else 0), answer.stderr[-2000:]
    assert summary["calendar"]["problems"] == []
    change = summary["preview"]["targets"]["churn"]
    assert change["challenger"] != change["champion"] == demo.summary["train"]["targets"]["churn"]["version"]
    assert change["lines_after"] == change["lines_before"] + change["lines_in"] - change["lines_out"]
    assert change["lines_before"] > 0
    assert (_champions(serving), _ledger(serving)) == (champions, ledger)
    told = json.loads(insight("runs", "--home", str(serving), "--json").stdout)["runs"]
    newest = next(run for run in told if run["command"] == "run --through 202605")
    assert newest["status"] == ("undecided" if recommended else "done")
