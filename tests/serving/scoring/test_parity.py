"""Offline = online = batch = one customer at a time, to the last bit, on 1,000 customers, against slow code of its own."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
import orjson
import pyarrow as pa
import pytest

from features.kit.home import Home
from features.portraits.vector import encode
from features.store.offline import point_in_time_join
from features.store.online.online import OnlinePortraits
from features.store.publish import publish
from serving.scoring.batch.stored import Scores
from serving.scoring.ranks import RankTables
from tests.serving.scoring.conftest import score_base
from tests.world import AS_OF, promote

from .conftest import make_bundle, make_features, make_portraits, make_scorer, save_portraits
from .slow import walk

ROWS = 1000


def calibrated(knots: dict, margin: float) -> float:
    """Returns the propensity of a raw score in plain Python."""
    x, y = knots["scores"], knots["propensities"]
    at = min(max(bisect_right(x, margin) - 1, 0), len(x) - 2)
    slope = (y[at + 1] - y[at]) / (x[at + 1] - x[at])
    return min(max(y[at] + slope * (min(max(margin, x[0]), x[-1]) - x[at]), y[0]), y[-1])


@pytest.mark.xdist_group("feast")
def test_every_road_leads_to_the_same_bits(tmp_path):
    """A customer's propensity is one number, whether trained on, served online, scored in the batch or by hand."""
    from training.bundle import load

    home, features = Home(tmp_path), make_features()
    table = make_portraits(features, seed=8, rows=ROWS)
    save_portraits(home, features, table)
    folder = make_bundle(home, features, encode(table, features))
    promote(home, "churn", "v1")
    publish(home, AS_OF)
    ids = table.column("customer_id").to_pylist()
    spine = pa.table({"customer_id": ids, "as_of_date": pa.array([AS_OF] * ROWS)})
    joined = point_in_time_join(home, spine, "churn_v1")
    offline_names = [name for name in joined.table.column_names if name in features.names]

    report = score_base(home, "churn", AS_OF, explain=False, block_rows=333, check_in_child=False)
    batch = Scores.current(home, "churn").read().to_pylist()
    bundle = load(folder, check_in_child=False)
    scorer, ranks = make_scorer(bundle, features), RankTables(home).get("churn", "v1", AS_OF)
    live = OnlinePortraits.open(home)
    portraits = live.read(ids)
    text, knots = (folder / "model.txt").read_text(), orjson.loads((folder / "calibration.json").read_bytes())

    assert report.rows == ROWS
    assert joined.unmatched == 0
    offline = np.column_stack([_floats(joined.table, name, features) for name in offline_names])
    place = [features.names.index(name) for name in offline_names]
    for row, (customer_id, portrait) in enumerate(zip(ids, portraits, strict=True)):
        assert portrait is not None
        assert portrait.values[place].tobytes() == offline[row].tobytes()
        (single,) = scorer.score([customer_id], portrait.values[None, :], [portrait.facts], as_of=AS_OF, ranks=ranks)
        assert single.propensity == batch[row]["propensity"]
        assert (single.percentile, single.band) == (batch[row]["percentile"], batch[row]["band"])
        if row % 5 == 0:
            margin = walk(text, portrait.values)
            assert margin == batch[row]["margin"]
            assert calibrated(knots, margin) == single.propensity
    live.close()


def _floats(table: pa.Table, name: str, features) -> np.ndarray:
    """Returns a column as float32 in plain Python: a category is its place in the dictionary."""
    feature = features.features[features.names.index(name)]
    values = table.column(name).to_pylist()
    if feature.kind == "category":
        values = [None if value is None else feature.categories.index(value) for value in values]
    return np.array([np.nan if value is None else value for value in values], dtype=np.float32)
