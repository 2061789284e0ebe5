"""Percentile and band come from one table, and a tie lifts nobody."""

from __future__ import annotations

import numpy as np
import pytest

from features.kit.config import parse_config
from features.kit.errors import ConfigurationError, DataError
from features.kit.home import Home
from serving.scoring.ranks import Bands, RankTable, RankTables, percentile_of, scores_folder
from serving.scoring.settings import ScoreSettings
from tests.world import AS_OF

SHARES = {"very_high": 0.01, "high": 0.05, "raised": 0.2}


def table(margins):
    """Returns the rank table of a base."""
    return RankTable.of("churn", "v1", AS_OF, np.array(margins, dtype=np.float64))


def test_a_thousand_different_scores_have_a_thousand_places():
    """The k-th lowest of 1,000 scores has k of 1,000 below it; the table has 1,001 knots."""
    margins = np.random.default_rng(1).permutation(1000) / 7.0
    ranks = table(margins)
    assert ranks.knots.shape == (1001,)
    assert ranks.places(margins).tolist() == np.argsort(np.argsort(margins)).tolist()


@pytest.mark.parametrize("rows", [1, 2, 7, 999, 1000, 1001, 4321])
def test_a_place_never_promises_more_than_is_true(rows):
    """At least `place` tenths of a percent score strictly lower, and less than one tenth more than that do not."""
    margins = np.random.default_rng(rows).normal(size=rows).round(2)
    places = table(margins).places(margins)
    below = np.array([(margins < margin).sum() * 1000 for margin in margins])
    assert (below >= places * rows).all()
    assert (below < (places + 1) * rows).all()


def test_a_tie_lifts_nobody_into_a_band():
    """If everybody has the same score, nobody is in the top 1 %."""
    ranks, bands = table([0.5] * 300), Bands(SHARES)
    assert [bands.names[i] for i in bands.indices(ranks.places(np.array([0.5, 0.4, 0.6])))] == [
        "normal",
        "normal",
        "very_high",
    ]


def test_bands_hold_their_shares():
    """Of 2,000 customers 20 are very high, 80 more high, 300 more raised, the rest normal."""
    margins = np.arange(2000) / 3.0
    bands = Bands(SHARES)
    found = [bands.names[index] for index in bands.indices(table(margins).places(margins))]
    assert {name: found.count(name) for name in bands.names} == {
        "very_high": 20,
        "high": 80,
        "raised": 300,
        "normal": 1600,
    }
    assert found[-1] == "very_high"
    assert percentile_of(985) == 98.5


def test_a_table_comes_back_as_it_was_written(tmp_path):
    """Every knot survives JSON to the last bit; a rewritten table is read again; none is None."""
    home = Home(tmp_path)
    folder, ranks = scores_folder(home, "churn", "v1", AS_OF), table(np.random.default_rng(2).normal(size=5000))
    tables = RankTables(home)
    assert tables.get("churn", "v1", AS_OF) is None
    ranks.save(folder)
    assert tables.get("churn", "v1", AS_OF).knots.tobytes() == ranks.knots.tobytes()
    table([1.0, 2.0]).save(folder)
    assert tables.get("churn", "v1", AS_OF).rows == 2
    assert tables.get("churn", "v2", AS_OF) is None


@pytest.mark.parametrize(
    "content", ["[]", "{}", "nonsense", '{"target":"churn","version":"v1","as_of":"2026-06-01","rows":2,"knots":[1,0]}']
)
def test_a_damaged_table_is_named(tmp_path, content):
    """Nobody is ranked by a table that is not one."""
    (tmp_path / "ranks.json").write_text(content)
    with pytest.raises(DataError, match=r"ranks\.json"):
        RankTable.load(tmp_path)


@pytest.mark.parametrize(
    ("bands", "message"),
    [
        ({"high": 0.05, "very_high": 0.01}, "smallest"),
        ({"normal": 0.2}, "normal"),
        ({"high": 1.5}, "between"),
        ({}, "bands"),
    ],
)
def test_bands_that_make_no_sense_are_refused(bands, message):
    """Bands in the wrong order, a share of the whole base, or a share for what remains: one clear line."""
    content = {
        "bands": bands, "least_known_share": 0.2, "stale_after_hours": 48,
        "reasons": {"most": 3, "most_per_dimension": 2},
    }  # fmt: skip
    with pytest.raises(ConfigurationError, match=message):
        parse_config(ScoreSettings, content, source="serving.yaml")
