"""Kill -9 anywhere in the real month's run on a home that serves: repeated, it ends as if nothing had happened."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from features.feeds.landed.reading import Feeds
from features.kit.home import Home
from tests.results import figure, record

pytestmark = [pytest.mark.soak, pytest.mark.xdist_group("journey")]

DAY = "as_of=2026-06-01"
PLACES = (
    "ingest.before_manifest", "ingest.after_manifest", "month.after_step",
    "build.before_pointer", "publish.after_clear", "publish.after_fill", "publish.before_pointer",
    "publish.after_pointer", "score.before_scores", "score.after_scores", "score.before_pointer", "fit.after_table",
    "bundle.before_manifest", "bundle.before_rename", "bundle.after_rename",
)  # fmt: skip


def _run(insight: Any, data: Path, home: Path, **environment: str) -> Any:
    return insight(
        "run", "--source", "configs/sources/simulator.yaml", "--data", str(data), "--home", str(home),
        "--through", "202605", "--target", "churn", "--seed", "8", "--threads", "1", "--json", **environment,
    )  # fmt: skip


def _state(home: Home, answer: Any) -> dict[str, Any]:
    """Returns what a month's run leaves: landed rows, portraits, scores by their bytes, challenger and preview."""
    assert answer.returncode in (0, 4), answer.stderr[-2000:]
    summary = json.loads(answer.stdout)
    feeds = Feeds.open(home)
    with feeds.connect(personal=True) as database:
        landed = {
            name: database.execute(
                f"SELECT count(*), md5(string_agg(t::VARCHAR, ';')) "
                f"FROM (SELECT * EXCLUDE (arrived_at) FROM {name} ORDER BY ALL) t"
            ).fetchone()
            for name in sorted(feeds.names)
        }
    path = next(home.portraits.glob(f"*/{DAY}/portrait.parquet"))
    portraits = duckdb.sql(f"SELECT * EXCLUDE (built_at) FROM '{path}' ORDER BY customer_id").fetchall()
    champions = {path.parent.name: path.read_bytes() for path in home.bundles.glob("*/champion.json")}
    scores = {str(path.relative_to(home.scores)): path.read_bytes() for path in home.scores.rglob(f"{DAY}/*.parquet")}
    return {
        "landed": landed, "portraits": [tuple(map(repr, row)) for row in portraits], "scores": scores,
        "challengers": summary["train"]["challengers"], "preview": summary["preview"], "champions": champions,
        "ending": (summary["ending"], answer.returncode),
    }  # fmt: skip


@dataclass(frozen=True)
class Month:
    """A home that serves, the month's delivery with rows that it does not know, and how an unbroken run ends."""

    home: Path
    data: Path
    ending: dict[str, Any]


@pytest.fixture(scope="module")
def month(demo: Any, insight: Any, tmp_path_factory: pytest.TempPathFactory) -> Month:
    """Returns the month, with an unbroken run taken."""
    root = tmp_path_factory.mktemp("month_killed")
    shutil.copytree(demo.home / "simulation" / "files", root / "data")
    bills = root / "data" / "bills.csv"
    with bills.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    told = {"known_at": "2026-05-31 20:00:00", "total": "1"}
    late = [row | told for row in rows if row["period"].startswith("2026-04")][:50]
    with bills.open("a", encoding="utf-8", newline="") as file:
        csv.DictWriter(file, list(rows[0])).writerows(late)
    shutil.copytree(demo.home, root / "calm")
    return Month(demo.home, root / "data", _state(Home(root / "calm"), _run(insight, root / "data", root / "calm")))


@pytest.mark.parametrize("place", PLACES)
def test_a_killed_month_ends_like_an_unbroken_one(place: str, month: Month, insight: Any, tmp_path: Path) -> None:
    """SIGKILL in landing, build, publish, score, fit or training: the same rows, portraits, bytes and challenger."""
    home = tmp_path / "home"
    shutil.copytree(month.home, home)
    killed = _run(insight, month.data, home, INSIGHT_FAILPOINT=f"{place}:1:kill")
    assert killed.returncode == -9, killed.stderr[-2000:]
    found = _state(Home(home), _run(insight, month.data, home))
    differing = [name for name, value in month.ending.items() if found[name] != value]
    record("soak", [figure(
        "deliver-2", f"month's run killed at {place} and repeated: what differs", len(differing), goal=0,
        met=not differing, compared_with="an unbroken run on a copy of the same home", rounds=[differing],
    )])  # fmt: skip
    assert differing == []
    assert found["challengers"]
    shutil.rmtree(home)
