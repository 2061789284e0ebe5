"""One target's champion is followed: nothing before the first, a bad one refused with its reason, a good one taken."""

from __future__ import annotations

from serving.scoring.served import ServedModel
from tests.world import promote
from training.bundle import champion

from .conftest import make_bundle


def test_the_last_good_bundle_keeps_serving(fresh):
    """A damaged champion is refused with its reason while the one before it goes on; a good one is swapped in."""
    bundles = fresh.home.bundles
    pointer = bundles / "churn" / "champion.json"
    pointer.unlink()
    served = ServedModel(bundles, "churn")
    assert not served.refresh()
    assert (champion(bundles, "churn"), served.bundle, served.refused) == (None, None, "")
    promote(fresh.home, "churn", "v1")
    assert served.refresh(check_in_child=False)
    folder = make_bundle(fresh.home, fresh.features, fresh.values, version="v2", seed=9)
    (folder / "model.txt").write_text("tree\n")
    promote(fresh.home, "churn", "v2")
    assert not served.refresh()
    assert "model.txt: changed" in served.refused
    assert served.bundle is not None
    assert served.bundle.manifest.version == "v1"
    make_bundle(fresh.home, fresh.features, fresh.values, version="v3", seed=4)
    promote(fresh.home, "churn", "v3")
    assert served.refresh()
    assert (served.bundle.manifest.version, served.refused) == ("v3", "")
    pointer.write_text("{")
    assert not served.refresh()
    assert "not JSON" in served.refused
