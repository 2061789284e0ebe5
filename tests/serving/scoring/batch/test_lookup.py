"""A stored score is found by its customer as long as nothing that made it has changed, and never otherwise."""

from __future__ import annotations

import shutil
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from serving.scoring.batch.erasure import erase
from serving.scoring.batch.lookup import LOOKUP, Lookups
from serving.scoring.ranks import RankTables
from serving.scoring.settings import load_settings
from tests.serving.scoring.conftest import CUSTOMERS, make_bundle, make_scorer, score_base
from tests.world import AS_OF
from training.bundle import load


@pytest.fixture
def stored(fresh):
    """Returns a scored world, its scorer and the lookups of its home."""
    score_base(fresh.home, "churn", AS_OF, block_rows=128, check_in_child=False)
    return fresh, fresh.scorer, Lookups(fresh.home, load_settings())


def score(world, scorer, found, rows, reasons=3):
    """Returns the whole scores of some rows, as an answer shows them."""
    ranks = RankTables(world.home).get("churn", "v1", AS_OF)
    ids, facts = [world.ids[row] for row in rows], [world.facts[row] for row in rows]
    return scorer.score(ids, world.values[rows], facts, as_of=AS_OF, ranks=ranks, reasons=reasons, stored=found)


@pytest.mark.parametrize("reasons", [0, 1, 3])
def test_everybody_is_found_with_the_score_that_is_worked_out(stored, reasons):
    """Whole scores from the lookup equal live ones but for the instant, for stored and live rows mixed in any order."""
    world, scorer, lookups = stored
    rows = np.random.default_rng(3).permutation(CUSTOMERS)
    lookup = lookups.get(scorer, AS_OF)
    values, facts = world.values[rows], [world.facts[row] for row in rows]
    values[::7, 0] = -7  # these portraits are no longer those that were scored
    found = lookup.find([world.ids[row] for row in rows], values, facts)
    assert found.is_stored.tolist() == [place % 7 != 0 for place in range(CUSTOMERS)]
    scores = score(world, scorer, found, rows, reasons)
    assert [one.stored_at is not None for one in scores] == found.is_stored.tolist()
    live = score(world, scorer, None, rows, reasons)
    for one, other in zip(scores, live, strict=True):
        object.__setattr__(one, "stored_at", None)
        assert one == other


def test_another_portrait_or_customer_is_not_found(stored):
    """One bit of one value, one letter of the facts, an id that is shorter, longer or unknown: scored anew."""
    world, scorer, lookups = stored
    lookup, values, facts = lookups.get(scorer, AS_OF), world.values[5:6].copy(), world.facts[5:6]
    assert lookup.find([world.ids[5]], values, facts).is_stored.all()
    assert not lookup.find([world.ids[6]], values, facts).is_stored.any()
    assert not lookup.find([world.ids[5]], values, [facts[0] + " "]).is_stored.any()
    for other in (world.ids[5][:-1], world.ids[5] + "0", "", "zzz"):
        assert not lookup.find([other], values, facts).is_stored.any()
    place = int(np.isfinite(values[0]).argmax())
    values[0, place] = np.nextafter(values[0, place], np.float32(np.inf))
    assert not lookup.find([world.ids[5]], values, facts).is_stored.any()


def test_another_model_configuration_or_file_is_not_used(stored, monkeypatch):
    """A version without scores, other content of the same version, other reasons, a damaged file: nothing is stored."""
    world, scorer, lookups = stored
    path = next(world.home.scores.glob(f"churn/v1/*/{LOOKUP}"))
    assert lookups.get(scorer, AS_OF) is lookups.get(scorer, AS_OF) is not None
    shutil.rmtree(world.home.bundles / "churn" / "v1")  # a version never changes; its name is not trusted all the same
    for version in ("v1", "v2"):
        folder = make_bundle(world.home, world.features, world.values, version=version, seed=9)
        assert lookups.get(make_scorer(load(folder, check_in_child=False), world.features), AS_OF) is None
    with monkeypatch.context() as patch:
        other = world.scorer
        patch.setitem(vars(other), "configuration", "another")
        assert lookups.get(other, AS_OF) is None
    for content in (path.read_bytes()[:-1], b"", b"{}", b"[]".ljust(5000)):
        path.write_bytes(content)
        assert Lookups(world.home, load_settings()).get(scorer, AS_OF) is None


def test_an_erased_customer_is_gone_and_the_others_stay(stored):
    """Neither the id nor the record is left; everybody else is found as before."""
    world, scorer, lookups = stored
    gone, kept = world.ids[7], [row for row in range(CUSTOMERS) if row != 7]
    (world.home.scores / ".work").mkdir()
    subject: Any = SimpleNamespace(customers_as_of=lambda _: frozenset({gone}), time_zone="Asia/Shanghai")
    assert erase(world.home, subject) == {"tables": 1, "rows": 1}
    assert gone.encode() not in next(world.home.scores.glob(f"churn/v1/*/{LOOKUP}")).read_bytes().split(b"\0")
    assert not (world.home.scores / ".work").exists()
    lookup = lookups.get(scorer, AS_OF)
    assert not lookup.find([gone], world.values[7:8], world.facts[7:8]).is_stored.any()
    found = lookup.find([world.ids[row] for row in kept], world.values[kept], [world.facts[row] for row in kept])
    assert found.is_stored.all()
    assert erase(world.home, subject) == {"tables": 0, "rows": 0}
