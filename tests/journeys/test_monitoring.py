"""The monitoring of a whole home: quiet on the operator's own day, and every planted drift rings in one run."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from features.kit.home import Home
from tests.training.planted_drifts import alarmed, plant

pytestmark = pytest.mark.xdist_group("journey")


def test_six_planted_drifts_ring_in_one_run(demo: Any, insight: Any, tmp_path: Path) -> None:
    """Exit code 0 and no alarm before; 3 and all six named after; the other two files are there, whole."""
    home = Home(tmp_path / "home")
    shutil.copytree(
        demo.home, home.root, ignore=shutil.ignore_patterns("simulation", "mlflow.db", "*.db-shm", "*.db-wal")
    )
    targets = [name for name, one in demo.summary["train"]["targets"].items() if one["promoted"]]
    assert targets
    pointer = json.loads((home.scores / targets[0] / "current.json").read_text())
    day = date.fromisoformat(pointer["as_of"])
    arguments = ("monitor", "--as-of", str(day), "--target", targets[0], "--home", str(home.root), "--json")
    quiet = insight(*arguments)
    assert quiet.returncode == 0, quiet.stdout[-3000:] + quiet.stderr[-1000:]
    planted = plant(home, day, targets[0])
    loud = insight(*arguments)
    assert loud.returncode == 3, loud.stderr[-2000:]
    report = json.loads(loud.stdout)
    assert alarmed(report, planted) == dict.fromkeys(planted.names, True)
    assert report["targets"][targets[0]]["recommendation"]["code"] == "fix_feeds"
    assert Path(report["files"]["html"]).read_text().count("data:image/png") >= 2
    assert "insight_monitor_alarms" in Path(report["files"]["gauges"]).read_text()


def test_a_day_without_portraits_is_an_error_with_its_remedy(demo: Any, insight: Any) -> None:
    """Exit code 2, one line, and what to run."""
    answer = insight("monitor", "--as-of", "2019-01-01", "--home", str(demo.home))
    assert answer.returncode == 2
    assert f"insight build --home {demo.home} --as-of 2019-01-01" in answer.stderr
