"""A copied home trains into its own folder: MLflow's absolute paths follow, and the original stays byte for byte."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from features.kit.home import Home
from features.kit.homes import moved
from tests.training.aliases import alias_version
from training.registry import tracking


def tree(root: Path) -> dict[str, bytes]:
    """Returns every file with its bytes."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def log(home: Home, version: str) -> None:
    """Registers a version with a bundle of one file."""
    folder = home.bundles / "churn" / version
    folder.mkdir(parents=True)
    (folder / "model.txt").write_text(version)
    tracking.log_training(home, "churn", version, parameters={}, metrics={"auc": 0.8}, tags={}, folder=folder)


def mentions(home: Home, other: Home) -> int:
    """Returns how many rows of a home's database name the folder of a home, as a path or as an address."""
    with closing(sqlite3.connect(home.mlruns / "mlflow.db")) as connection:
        names = (f"{other.mlruns}/", f"{other.mlruns.as_uri()}/")
        return sum(any(name in line for name in names) for line in connection.iterdump())


def original_and_copy(tmp_path: Path) -> tuple[Home, Home]:
    """Returns a home with one version, its name with a blank, and its copy."""
    home, copy = Home(tmp_path / "the home"), Home(tmp_path / "copy of it")
    log(home, "v1")
    assert mentions(home, home) == 3  # the experiment, its run and the version
    shutil.copytree(home.root, copy.root)
    return home, copy


def test_a_copied_home_writes_nothing_into_the_original(tmp_path: Path) -> None:
    """Training in the copy changes no byte of the original; the copy's database names the copy alone."""
    home, copy = original_and_copy(tmp_path)
    before = tree(home.root)
    log(copy, "v2")
    assert tracking.mirror(copy, "churn", "v1")
    assert tree(home.root) == before
    logged = copy.mlruns.glob("artifacts/churn/*/artifacts/bundle/model.txt")
    assert sorted(path.read_text() for path in logged) == ["v1", "v2"]
    assert (mentions(copy, home), mentions(copy, copy)) == (0, 5)
    assert alias_version(copy, "churn") == "v1"


def test_without_the_guard_the_copy_would_write_into_the_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The canary: with the paths left as they were, the copy's training lands in the original."""
    home, copy = original_and_copy(tmp_path)
    before = tree(home.root)
    monkeypatch.setattr(tracking, "follow_folder", lambda _: 0)
    log(copy, "v2")
    assert tree(home.root) != before


def test_a_database_at_its_place_is_not_touched(tmp_path: Path) -> None:
    """In its own folder nothing changes, and a moved one changes once."""
    home = Home(tmp_path / "home")
    assert moved.follow_folder(home.mlruns / "mlflow.db") == 0
    log(home, "v1")
    assert moved.follow_folder(home.mlruns / "mlflow.db") == 0
    home.root.rename(tmp_path / "moved")
    there = Home(tmp_path / "moved").mlruns / "mlflow.db"
    assert moved.follow_folder(there) >= 4
    assert moved.follow_folder(there) == 0
