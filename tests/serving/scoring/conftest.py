"""A small world for the tests of scoring: real portraits of 600 customers and one real LightGBM bundle."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from features.kit.errors import BundleError
from features.kit.home import Home
from features.portraits.feature_list import FeatureList
from features.portraits.vector import encode
from serving.scoring.batch.base import ScoreReport, score_targets
from serving.scoring.reasons.book import load_book
from serving.scoring.reasons.writing import ReasonWriter
from serving.scoring.scorer import Scorer
from serving.scoring.settings import load_settings
from tests.world import AS_OF, boosted, promote, write_bundle, write_portraits
from training.bundle import LoadedBundle, load

CUSTOMERS = 600
SKEWED = ("manual_calls_count_30d", "arrears_amount", "data_trend_90d", "poor_network_days_14d", "contract_left_days")


@dataclass(frozen=True)
class World:
    """What the tests share."""

    home: Home
    features: FeatureList
    table: pa.Table
    values: np.ndarray
    facts: list[str]
    ids: list[str]
    bundle: LoadedBundle

    @property
    def scorer(self) -> Scorer:
        """Returns a scorer of the world's bundle."""
        return make_scorer(self.bundle, self.features)


def make_scorer(bundle: LoadedBundle, features: FeatureList) -> Scorer:
    """Returns a scorer with the shipped configuration."""
    book = load_book()
    return Scorer(bundle, features, settings=load_settings(), book=book, writer=ReasonWriter(book))


def score_base(home: Home, target: str, as_of: date, **options: Any) -> ScoreReport:
    """Returns the report of one target scored by itself, `options` as of `score_targets`; raises what refuses it."""
    report = score_targets(home, [target], as_of, **options)[target]
    if isinstance(report, BundleError):
        raise report
    return report


def make_features() -> FeatureList:
    """Returns the real feature list with a few provinces."""
    return FeatureList.declared().with_values({"province": ("Beijing", "Jiangsu", "Sichuan")})


def make_portraits(features: FeatureList, *, seed: int = 5, rows: int = CUSTOMERS) -> pa.Table:
    """Returns portraits with numbers, categories, missing values, and facts that fit the numbers."""
    rng = np.random.default_rng(seed)
    instant = datetime(2026, 5, 31, 16, tzinfo=UTC).replace(tzinfo=None)
    columns: dict[str, pa.Array] = {
        "customer_id": pa.array([f"{700000 + row:09d}" for row in range(rows)]),
        "as_of_date": pa.array([AS_OF] * rows),
        "event_timestamp": pa.array([instant] * rows, type=pa.timestamp("us")),
        "created_timestamp": pa.array([instant] * rows, type=pa.timestamp("us")),
        "built_at": pa.array([instant] * rows, type=pa.timestamp("us")),
    }
    numbers: dict[str, np.ndarray] = {}
    for feature in features.features:
        unknown = rng.random(rows) < 0.15
        if feature.kind == "category":
            codes = rng.integers(0, len(feature.categories), rows)
            words = [None if miss else feature.categories[code] for code, miss in zip(codes, unknown, strict=True)]
            columns[feature.name] = pa.array(words, type=pa.string())
        else:
            counts = "count" in feature.name
            drawn = rng.poisson(2, rows).astype(float) if counts else rng.normal(1, 1, rows)
            numbers[feature.name] = np.where(unknown, np.nan, drawn).astype(np.float32)
            columns[feature.name] = pa.array(numbers[feature.name], mask=unknown)
    facts = [_facts({name: float(column[row]) for name, column in numbers.items()}) for row in range(rows)]
    columns |= {
        "primary_class": pa.array(["self_served"] * rows),
        "also_classes": pa.array([""] * rows),
        "facts": pa.array(facts),
    }
    return pa.table(columns)


def _facts(row: dict[str, float]) -> str:
    reasons: dict[str, dict] = {}
    if row["manual_calls_count_30d"] >= 3:
        reasons["calls.frequent"] = {"n": int(row["manual_calls_count_30d"])}
    if row["arrears_amount"] > 1.5:
        reasons["bill.arrears"] = {"amount": int(row["arrears_amount"] * 10_000), "days": 12}
    if row["data_trend_90d"] < 0.5:
        reasons["usage.falling"] = {"pct": 41}
    if row["poor_network_days_14d"] > 1:
        reasons["network.poor_quality"] = {"n": 6}
    if row["contract_left_days"] < 0.4:
        reasons["contract.ending"] = {"date": "2026-06-20"}
    return orjson.dumps(
        {"class": "self_served", "missing": [], "reasons": reasons}, option=orjson.OPT_SORT_KEYS
    ).decode()


def train(values: np.ndarray, features: FeatureList, *, seed: int = 3, trees: int = 40) -> str:
    """Returns the text of a small LightGBM model whose risk grows with the skewed features."""
    rng = np.random.default_rng(seed)
    at = [features.names.index(name) for name in SKEWED]
    signs = np.array([0.6, 0.8, -1.2, 0.9, -0.7])
    logit = (np.nan_to_num(values[:, at]) @ signs) - 1.5
    labels = (rng.random(len(values)) < 1 / (1 + np.exp(-logit))).astype(np.float64)
    return boosted(
        values, labels, features, seed=seed, trees=trees, categorical_feature=list(features.category_indices)
    )


def make_bundle(
    home: Home, features: FeatureList, values: np.ndarray, *, target: str = "churn", version: str = "v1", seed: int = 3
) -> Path:
    """Writes a bundle and returns its folder."""
    return write_bundle(home, features, values, train(values, features, seed=seed), target=target, version=version)


def save_portraits(home: Home, features: FeatureList, table: pa.Table) -> None:
    """Writes the world's portraits in several row groups."""
    write_portraits(home, features, {AS_OF: table}, row_group_size=250)


def build_world(root: Path) -> World:
    """Returns a fresh world in a folder."""
    home, features = Home(root), make_features()
    table = make_portraits(features)
    save_portraits(home, features, table)
    values = encode(table, features)
    folder = make_bundle(home, features, values)
    promote(home, "churn", "v1")
    facts, ids = table.column("facts").to_pylist(), table.column("customer_id").to_pylist()
    return World(home, features, table, values, facts, ids, load(folder, check_in_child=False))


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> World:
    """Returns the shared world; tests only read it."""
    return build_world(tmp_path_factory.mktemp("scoring"))


@pytest.fixture
def fresh(world, tmp_path) -> World:
    """Returns a copy of the world that a test may change."""
    import shutil

    shutil.copytree(world.home.root, tmp_path / "home")
    return replace(world, home=Home(tmp_path / "home"))
