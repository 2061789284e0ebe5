"""A running process swaps to a good champion and keeps the last good one when the next is bad."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from features.kit.errors import BundleError, NotReadyError
from serving.scoring.kernel.kernel import Kernel
from serving.scoring.models import Models
from serving.scoring.reasons.book import load_book
from serving.scoring.reasons.writing import ReasonWriter
from serving.scoring.settings import load_settings
from tests.world import promote

from .conftest import make_bundle


def models_of(home) -> Models:
    """Returns the models of a home, loaded."""
    book = load_book()
    models = Models(home, settings=load_settings(), book=book, writer=ReasonWriter(book))
    models.refresh(check_in_child=False)
    return models


def test_a_new_champion_serves_after_a_refresh_and_a_rollback_too(fresh):
    """v1 -> v2 -> v1; each scorer names its version and scores with its bits."""
    models = models_of(fresh.home)
    first = models.scorer("churn", fresh.features)
    margins = first.rows(fresh.values).margins
    make_bundle(fresh.home, fresh.features, fresh.values, version="v2", seed=9)
    assert models.refresh(check_in_child=False) == []
    promote(fresh.home, "churn", "v2")
    assert models.refresh(check_in_child=False) == ["churn"]
    second = models.scorer("churn", fresh.features)
    assert (first.version, second.version) == ("v1", "v2")
    assert second.rows(fresh.values).margins.tobytes() != margins.tobytes()
    promote(fresh.home, "churn", "v1")
    models.refresh(check_in_child=False)
    assert models.scorer("churn", fresh.features).rows(fresh.values).margins.tobytes() == margins.tobytes()


@pytest.mark.parametrize("damage", ["model", "pointer", "missing"])
def test_the_last_good_model_keeps_serving(fresh, damage):
    """A damaged, missing or unreadable champion changes nothing but the state, which says why."""
    models = models_of(fresh.home)
    folder = make_bundle(fresh.home, fresh.features, fresh.values, version="v2", seed=9)
    promote(fresh.home, "churn", "v2")
    if damage == "model":
        model = folder / "model.txt"
        model.write_bytes(model.read_bytes()[:-200])
    elif damage == "pointer":
        (fresh.home.bundles / "churn" / "champion.json").write_text("{")
    else:
        promote(fresh.home, "churn", "v3")
    assert models.refresh() == []
    assert models.scorer("churn", fresh.features).version == "v1"
    (state,) = models.states()
    assert state.manifest.version == "v1"
    assert state.refused
    models.probe("churn")


def test_a_champion_for_other_portraits_waits_for_them(fresh):
    """A model trained on another feature list does not serve today's portraits; the old one does, and the state says so."""
    models = models_of(fresh.home)
    other = replace(fresh.features, identity="portrait_v9-00000000")
    models.scorer("churn", fresh.features)
    make_bundle(fresh.home, other, fresh.values, version="v2", seed=9)
    promote(fresh.home, "churn", "v2")
    models.refresh(check_in_child=False)
    assert models.scorer("churn", fresh.features).version == "v1"
    assert models.scorer("churn", fresh.features).version == "v1"
    assert "portrait_v9-00000000" in models.states()[0].refused
    assert models.scorer("churn", other).version == "v2"
    promote(fresh.home, "churn", "v1")
    models.refresh(check_in_child=False)
    assert models.scorer("churn", fresh.features).version == "v1"
    assert models.states()[0].refused == ""


def test_no_model_is_not_ready(fresh):
    """A target without a champion, or whose only champion is bad, raises; it never invents a score."""
    models = models_of(fresh.home)
    with pytest.raises(NotReadyError, match="no model serves 'upgrade'"):
        models.scorer("upgrade", fresh.features)
    with pytest.raises(NotReadyError, match="no model serves 'upgrade'"):
        models.probe("upgrade")
    with pytest.raises(BundleError):
        models.scorer("churn", replace(fresh.features, identity="portrait_v9-00000000"))
    (fresh.home.bundles / "churn" / "v1" / "model.txt").write_text("tree")
    bad = models_of(fresh.home)
    assert bad.targets == ()
    with pytest.raises(NotReadyError, match=r"model\.txt"):
        bad.scorer("churn", fresh.features)


def test_the_probe_predicts_a_golden_row(fresh, monkeypatch):
    """Readiness is a real prediction: with a kernel that went wrong, or golden rows of another model, it fails."""
    models = models_of(fresh.home)
    models.probe("churn")
    with monkeypatch.context() as patch, pytest.raises(NotReadyError, match="golden row"):
        patch.setattr(Kernel, "margins", lambda _, values: np.zeros(len(values)))
        models.probe("churn")
    golden = fresh.home.bundles / "churn" / "v1" / "golden.json"
    golden.write_text(golden.read_text().replace('"margins": [\n    ', '"margins": [\n    1', 1))
    with pytest.raises(NotReadyError, match="golden row"):
        models.probe("churn")


def test_the_watcher_follows_the_pointer(fresh):
    """A promotion is served without anybody asking, and the watcher ends when told."""
    models = models_of(fresh.home)
    make_bundle(fresh.home, fresh.features, fresh.values, version="v2", seed=9)
    models.watch(0.02)
    promote(fresh.home, "churn", "v2")
    deadline = time.monotonic() + 30
    while models.states()[0].manifest.version != "v2" and time.monotonic() < deadline:
        time.sleep(0.02)
    models.stop()
    assert models.states()[0].manifest.version == "v2"
