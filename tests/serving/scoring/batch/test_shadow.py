"""A challenger scores beside the champion: the difference is told, and nothing of it is served."""

from __future__ import annotations

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from features.kit.cli import create_app
from serving.scoring.batch.shadow import compare
from serving.scoring.batch.stored import Scores
from tests.serving.scoring.conftest import CUSTOMERS, make_bundle, score_base
from tests.world import AS_OF


@pytest.fixture
def beside(fresh):
    """Returns a world whose challenger is another model."""
    make_bundle(fresh.home, fresh.features, fresh.values, version="v2", seed=9)
    (fresh.home.bundles / "churn" / "challenger.json").write_bytes(orjson.dumps({"version": "v2"}))
    return fresh


def test_the_difference_is_reported_and_never_served(beside):
    """The champion's files are byte-equal with and without a challenger; the pointer names the champion."""
    report = score_base(beside.home, "churn", AS_OF, check_in_child=False)
    served = [(report.path.parent / name).read_bytes() for name in ("scores.parquet", "ranks.json")]
    assert (report.shadow["challenger"], report.shadow["champion"], report.version) == ("v2", "v1", "v1")
    assert report.shadow["rows"] > 0.9 * CUSTOMERS
    assert 0 < report.shadow["mean_absolute_difference"] < 0.5
    folder = beside.home.scores / "churn" / "v2" / f"as_of={AS_OF}"
    assert sorted(path.name for path in folder.iterdir()) == ["shadow.json", "shadow.parquet"]
    rows = pq.read_table(folder / "shadow.parquet", partitioning=None).to_pylist()
    mine = pq.read_table(report.path, partitioning=None)["propensity"].to_pylist()
    assert [row["champion_propensity"] for row in rows] == mine
    assert Scores.current(beside.home, "churn").version == "v1"
    (beside.home.bundles / "churn" / "challenger.json").unlink()
    without = score_base(beside.home, "churn", AS_OF, check_in_child=False)
    assert without.shadow is None
    assert served == [(without.path.parent / name).read_bytes() for name in ("scores.parquet", "ranks.json")]


def test_a_damaged_challenger_leaves_the_champion_alone(beside):
    """The champion's scores are written, and the report says why the challenger has none."""
    (beside.home.bundles / "churn" / "v2" / "model.txt").write_text("tree")
    report = score_base(beside.home, "churn", AS_OF, check_in_child=False)
    assert report.path.exists()
    assert report.shadow["rows"] == 0
    assert "model.txt: changed since it was written" in report.shadow["reason"]


def test_the_command_tells_the_difference_in_one_line(beside):
    """`insight score` prints it below the champion's line and carries it in --json."""
    arguments = ["score", "--home", str(beside.home.root), "--reasons", "none"]
    said = CliRunner().invoke(create_app(), arguments).stdout
    assert "  in its shadow v2: mean " in said
    told = orjson.loads(CliRunner().invoke(create_app(), [*arguments, "--json"]).stdout)
    assert told["targets"]["churn"]["shadow"]["challenger"] == "v2"


def test_the_figures_of_the_difference():
    """Four customers by hand: two change places, and the one at the top stays."""
    found = compare(
        *(np.array(row) for row in ([0.1, 0.2, 0.3, 0.4], [0.2, 0.1, 0.3, 0.8], [1, 2, 3, 4], [2, 1, 3, 4]))
    )
    assert found == {
        "rows": 4, "champion_mean": 0.25, "challenger_mean": 0.35, "mean_difference": 0.1,
        "mean_absolute_difference": 0.15, "largest_difference": 0.4, "rank_correlation": 0.8,
        "same_in_top_5_percent": 1.0,
    }  # fmt: skip
