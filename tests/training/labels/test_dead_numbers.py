"""A number that is dead already is easy to predict and useless to call: it must not lift the figures."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from features.kit.clock import as_of_grid
from training.bundle import BundleFeature
from training.dataset.dataset import Dataset
from training.dataset.splits import temporal_split
from training.evaluation.evaluate import Judged, evaluate
from training.labels.history import History
from training.labels.spine import Spine, spine
from training.labels.targets import Target, load_target
from training.model.modelling import fit

CUSTOMERS, DEAD_SHARE, LEAVE_SHARE = 900, 0.04, 0.05
SMALL = {"learner.min_rows_in_leaf": "20", "learner.l2": "1", "learner.feature_share": "1"}
GRID = as_of_grid(date(2025, 9, 1), date(2026, 3, 1), 30)
START, END = GRID[0] - timedelta(days=60), GRID[-1] + timedelta(days=62)


def _history(world, *, with_dead: bool) -> tuple[History, int]:
    """Returns use that says nothing about who leaves next month, and how many stopped just before an as-of date.

    Everybody uses the line every day until the last one. Leavers stop at random inside a label window. The dead stop
    on one of the 20 days before an as-of date, so on that date their silence is a fact that nobody has recorded yet.
    """
    random = np.random.default_rng(4)
    last = np.full(CUSTOMERS, END, dtype=object)
    planted = 0
    for customer in range(CUSTOMERS):
        chance = random.random()
        as_of, days = GRID[random.integers(0, len(GRID))], int(random.integers(0, 30))
        if chance < LEAVE_SHARE * len(GRID):
            last[customer] = as_of + timedelta(days=days)
        elif chance < (LEAVE_SHARE + DEAD_SHARE) * len(GRID) and with_dead:
            last[customer] = as_of - timedelta(days=1 + days % 20)
            planted += 1
    history = world(customers=[], usage_daily=[])
    stops = pa.table({"customer_id": [f"c{k:04d}" for k in range(CUSTOMERS)], "last": pa.array(last, pa.date32())})
    history.connection.register("stops", stops)
    history.connection.execute(
        "INSERT INTO customers (event_id, customer_id, event_at, known_at, activated_on, kind) "
        "SELECT customer_id, customer_id, '2024-01-01', '2024-01-01', '2023-01-01', 'consumer' FROM stops"
    )
    history.connection.execute(
        "INSERT INTO usage_daily (event_id, customer_id, day, event_at, known_at, voice_seconds) "
        "SELECT customer_id || day, customer_id, day, day, day + INTERVAL 1 DAY, 60 FROM (SELECT customer_id, "
        f"CAST(unnest(range(TIMESTAMP '{START}', last::TIMESTAMP, INTERVAL 1 DAY)) AS DATE) AS day FROM stops)"
    )
    return history, planted


def _auc(history: History, target: Target) -> tuple[float, int]:
    """Returns the AUC of a model that sees the days since the last known use, and the number of decided rows."""
    rows: Spine = spine(history, target, GRID)
    history.connection.register("spine_rows", rows.table)
    values = history.connection.execute(
        "SELECT any_value(as_of_date - day) FILTER (newest) AS recency FROM (SELECT s.customer_id, s.as_of_date, u.day, "
        "row_number() OVER (PARTITION BY s.as_of_date, s.customer_id ORDER BY u.day DESC) = 1 AS newest "
        "FROM spine_rows s JOIN usage_daily u ON u.customer_id = s.customer_id "
        "AND u.known_at < s.as_of_date::TIMESTAMP - INTERVAL 8 HOUR AND u.day >= s.as_of_date - 40) "
        "GROUP BY as_of_date, customer_id ORDER BY as_of_date, customer_id"
    ).to_arrow_table()["recency"]
    noise = np.random.default_rng(0).random(len(values))
    data = Dataset(
        np.column_stack([values.to_numpy(), noise]).astype(np.float32),
        (BundleFeature("days_since_use", "number"), BundleFeature("noise", "number")),
        np.array(rows.table["customer_id"].to_pylist()),
        rows.as_of,
        rows.labels,
        np.array(rows.table["kind"].to_pylist()),
        np.arange(rows.table.num_rows),
    )
    split = temporal_split(data.as_of, data.labels, target.embargo_days, target.folds)
    fitted = fit(target, data, split, np.arange(len(data.labels)), seed=7, threads=1)
    judged = data.take(fitted.rows)
    figures = evaluate(Judged(judged.customers, judged.labels, judged.kinds, fitted.scores, fitted.propensities))
    return figures["auc"], sum(day["decided"] for day in rows.log)


def test_dead_numbers_leave_training_and_figures(world):
    """Planting dead numbers raises the AUC by nothing: they are decided rows and are taken out."""
    target = load_target("churn").override(SMALL)
    without, decided = _auc(_history(world, with_dead=False)[0], target)
    history, planted = _history(world, with_dead=True)
    with_dead, decided_now = _auc(history, target)
    assert planted > 100
    assert decided_now - decided >= 0.9 * planted
    assert without == pytest.approx(0.5, abs=0.08)
    assert with_dead == pytest.approx(0.5, abs=0.08)


def test_a_definition_that_counts_the_recording_would_be_fooled(world):
    """Canary: dated when the silence is recorded instead of at the last use, the dead lift the AUC far up."""
    target = load_target("churn").override(SMALL)
    silent = target.events[-1]
    recorded = silent.model_copy(update={"sql": f"SELECT customer_id, event_at + 31 AS event_at FROM ({silent.sql})"})
    fooled = target.model_copy(update={"events": (recorded,)})
    history, _ = _history(world, with_dead=True)
    assert _auc(history, fooled)[0] > _auc(history, target)[0] + 0.2
