"""Kill -9 anywhere in the main job: run again, it ends as if nothing had happened."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.soak, pytest.mark.xdist_group("journey")]


def _lines(csv_path: str) -> list[dict[str, str]]:
    """Returns a list's lines without their random keys."""
    with Path(csv_path).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if name not in {"行号", "line_id"}} for row in rows]


@pytest.mark.parametrize("count", [1, 3, 8, 20, 45, 70])
def test_a_killed_job_completes_when_repeated(count: int, demo: Any, insight: Any, tmp_path: Path) -> None:
    """SIGKILL at the n-th failpoint of a fresh run; the repeated run promotes, lists and claims as an unbroken one."""
    arguments = (
        "run", "--source", "configs/sources/simulator.yaml", "--data", str(demo.home / "simulation" / "files"),
        "--target", "churn", "--threads", "1", "--json", "--home",
    )  # fmt: skip
    unbroken = insight(*arguments, str(tmp_path / "unbroken"))
    log = tmp_path / "hits.log"
    broken = insight(
        *arguments, str(tmp_path / "broken"), INSIGHT_FAILPOINT=f"*:{count}:kill", INSIGHT_FAILPOINT_LOG=str(log)
    )
    assert any(line.startswith("fired:") for line in log.read_text().splitlines()) == (broken.returncode == -9)
    repeated = insight(*arguments, str(tmp_path / "broken"))
    assert repeated.returncode == 0, repeated.stderr[-2000:]
    wanted, found = json.loads(unbroken.stdout), json.loads(repeated.stdout)
    assert found["train"]["targets"]["churn"]["version"] == wanted["train"]["targets"]["churn"]["version"]
    assert found["ingest"]["feeds"] == wanted["ingest"]["feeds"]
    assert _lines(found["outreach"]["csv"]) == _lines(wanted["outreach"]["csv"])
