"""What MLflow shows of a home: training runs with few figures and their tables, and artifacts wherever the home lies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from features.kit.home import Home
from serving.home import decisions
from training.registry import tracking

METRICS = {
    "auc": 0.8, "auc_ci": [0.7, 0.9], "rows": 10, "lift_ci": [None, 2.0],
    "by_class": {"loyal": {"auc": 0.7, "rows": 6}, "new": {"rows": 4, "note": "too few"}},
    "by_slice": {"province": {"Jiangsu": {"rows": 9, "observed_expected": 1.1}}},
}  # fmt: skip


def client_of(home: Home) -> Any:
    """Returns a client as a data scientist would open it: MLflow's own, on the file in the home."""
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{home.mlruns / 'mlflow.db'}")


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Returns a home with one recorded training."""
    home = Home(tmp_path_factory.mktemp("logged") / "home")
    folder = home.bundles / "churn" / "v1"
    folder.mkdir(parents=True)
    (folder / "model.txt").write_text("trees")
    tracking.log_training(home, "churn", "v1", parameters={"trees": 3}, metrics=METRICS, tags={}, folder=folder)
    return home


def test_an_experiment_is_training_runs_and_figures_of_groups_are_a_table(logged: Home, tmp_path: Path) -> None:
    """MLflow's kind of training; the figures of the whole as metrics, one row a group in the table, none twice."""
    client = client_of(logged)
    experiment = client.get_experiment_by_name("churn")
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.metrics == {"auc": 0.8, "auc_low": 0.7, "auc_high": 0.9, "rows": 10.0}
    table = json.loads(Path(client.download_artifacts(run.info.run_id, tracking.GROUPS, str(tmp_path))).read_text())
    groups = [row[table["columns"].index("group")] for row in table["data"]]
    assert groups == ["by_class.loyal", "by_class.new", "by_slice.province.Jiangsu"]
    client.delete_experiment_tag(experiment.experiment_id, tracking.KIND)  # a home from before the tag
    tracking._experiment_of.cache_clear()
    tracking.mirror(logged, "churn", None)
    assert client.get_experiment_by_name("churn").tags[tracking.KIND] == tracking.TRAINING


@pytest.mark.parametrize("guard", ["on", "off"])
def test_artifacts_are_found_after_a_home_was_moved(
    logged: Home, guard: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `insight home move` a download works with the old folder gone; where the paths stay behind it does not."""
    home = Home(tmp_path / "elsewhere" / "home")
    home.root.parent.mkdir()
    shutil.copytree(logged.root, home.root)
    aside = logged.root.rename(logged.root.with_name("gone"))
    try:
        if guard == "off":
            monkeypatch.setattr(decisions, "follow_folder", lambda _: 0)
        decisions.move(home, "moved to another disk")
        client = client_of(home)
        (run,) = client.search_runs([client.get_experiment_by_name("churn").experiment_id])
        (tmp_path / "out").mkdir()
        if guard == "on":
            got = client.download_artifacts(run.info.run_id, "bundle/model.txt", str(tmp_path / "out"))
            assert Path(got).read_text() == "trees"
        else:
            with pytest.raises(Exception, match="Failed to download artifacts"):
                client.download_artifacts(run.info.run_id, "bundle/model.txt", str(tmp_path / "out"))
    finally:
        aside.rename(logged.root)
