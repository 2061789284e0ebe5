"""input-5: an operator that delivers use and bills by month only; ours beside peers on the same months, side by side.

The world is the simulator's, of which customers, bills, months of use and departures are delivered and nothing else.
A peer sees every number of the newest known months as a column of its own, of the same customers on the same dates.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from features.feeds.landed.reading import Feeds
from features.feeds.landing.landing import land
from features.feeds.mapping.sources import load_source
from features.feeds.schema import Kind
from features.journey.journey import Journey
from features.kit.config import config_path
from features.kit.files import write_bytes
from features.kit.home import Home
from features.kit.sql import quoted
from features.kit.terminal.progress import SILENT
from features.portraits.feature_list import definitions
from features.portraits.sources.request import from_months
from features.portraits.step import build
from features.simulator.step import simulate_to
from tests.bench.input_2 import PEERS
from tests.results import figure
from training.benchmark.peers import models
from training.bundle import BundleFeature
from training.dataset.dataset import Dataset
from training.dataset.prepare import Prepared, prepare
from training.evaluation import metrics
from training.labels.history import open_records
from training.labels.spine import labelled
from training.labels.targets import Target, load_target
from training.model.modelling import learn

CUSTOMERS, MONTHS, SEED = 6000, 18, 7
FEEDS = ("customers", "bills", "usage_monthly", "terminations")
NEWEST = 6


def run(home: Home) -> Iterator[dict[str, Any]]:
    """Yields how far ours lies above the best peer, with what ours reached while months filled nothing."""
    del home
    target = load_target("churn").override({"learner.negatives_per_positive": "null"})
    with tempfile.TemporaryDirectory() as folder:
        feeds, prepared = months_only(Path(folder), target)
        wide = in_columns(feeds, prepared.data)
    data, gaps, areas = prepared.data, {}, {}
    by_month = from_months(definitions(), frozenset(FEEDS))
    scores = {
        "ours": _ours(target, data, prepared),
        "ours, months unused": _ours(target, _emptied(data, by_month), prepared),
    }
    for peer in (model for model in models() if model.name in PEERS):
        scores[peer.name] = [
            peer.learn(target, wide, fold.train, 0.0, SEED)(wide.values[fold.test]) for fold in prepared.split.folds
        ]
    for name, found in scores.items():
        tests = [(data.labels[fold.test], data.customers[fold.test]) for fold in prepared.split.folds]
        areas[name] = metrics.over_folds([metrics.auc(one, *test) for one, test in zip(found, tests, strict=True)])
        gaps[name] = metrics.over_folds(
            [metrics.auc_gap(one, ours, *test) for one, ours, test in zip(found, scores["ours"], tests, strict=True)]
        )
    closest = min(PEERS, key=lambda name: gaps[name].value)
    yield figure(
        "input-5", "AUC of ours minus its best peer, months only", round(gaps[closest].value, 4),
        goal="interval reaches 0", met=all(gaps[name].high >= 0 for name in PEERS),
        compared_with=f"{closest}, {gaps[closest].under('ours_minus_it')['ours_minus_it_ci']}; "
        f"{len(data.labels):,} rows, {int(data.labels.sum()):,} positive, {len(prepared.split.folds)} folds",
        rounds=[{"model": name, **areas[name].under("auc"), **gaps[name].under("ours_minus_it")} for name in scores],
    )  # fmt: skip


def months_only(folder: Path, target: Target) -> tuple[Feeds, Prepared]:
    """Returns the landed feeds of such an operator, and the matrix of its training history."""
    simulate_to(folder / "world", customers=CUSTOMERS, months=MONTHS, seed=SEED)
    mapping = yaml.safe_load(config_path("sources/simulator.yaml").read_text(encoding="utf-8"))
    mapping |= {part: {name: mapping[part][name] for name in FEEDS} for part in ("files", "feeds")}
    del mapping["deliveries"]
    write_bytes(folder / "months.yaml", yaml.safe_dump(mapping).encode())
    home, data = Home(folder / "home"), folder / "world" / "files"
    land(load_source(folder / "months.yaml"), data, home, SILENT)
    build(Journey(home=home, source=folder / "months.yaml", data=data, threads=1), SILENT)
    with open_records(home) as records:
        return Feeds.open(home), prepare(home, target, labelled(records, target), seed=SEED)


def in_columns(feeds: Feeds, data: Dataset) -> Dataset:
    """Returns the rows of a matrix with other columns: each number of the newest months, and the customer's record."""
    columns: list[str] = []
    parts = []
    for day in np.unique(data.as_of):
        rows = np.flatnonzero(data.as_of == day)
        keys = pa.table({"place": rows, "customer_id": data.customers[rows].tolist()})
        parts.append(_of_day(feeds, day.astype(object), keys))
        columns = parts[-1].column_names[1:]
    table = pa.concat_tables(parts).sort_by("place")
    kinds = [pa.types.is_string(table.schema.field(name).type) for name in columns]
    values = np.full((table.num_rows, len(columns)), np.nan, dtype=np.float32)
    features = []
    for place, (name, is_text) in enumerate(zip(columns, kinds, strict=True)):
        column = table[name].combine_chunks()
        words = tuple(sorted({word for word in column.to_pylist() if word is not None})) if is_text else ()
        if is_text:
            column = pa.compute.index_in(column, value_set=pa.array(words, pa.string()))
        values[:, place] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        features.append(BundleFeature(name, "category" if is_text else "number", words))
    return replace(data, values=values, features=tuple(features))


def _of_day(feeds: Feeds, day: Any, keys: pa.Table) -> pa.Table:
    """Returns the columns of one date in the order of the keys, `place` first, from what was known on it."""
    asked = [
        f'max({quoted(column.name)}) FILTER (WHERE back = {back}) AS "{feed}_{column.name}_{back}"'
        for feed in ("usage_monthly", "bills")
        for column in feeds.contract(feed).columns
        if column.kind in (Kind.INTEGER, Kind.MONEY, Kind.NUMBER)
        for back in range(1, NEWEST + 1)
    ]  # fmt: skip
    by_feed = {feed: [sql for sql in asked if f'AS "{feed}_' in sql] for feed in ("usage_monthly", "bills")}
    with feeds.connect() as connection:
        connection.register("keys", keys)
        joins = []
        for feed, selected in by_feed.items():
            ranked = (
                f"SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY event_at DESC) AS back "
                f"FROM ({feeds.as_known_sql(feed, day)})"
            )
            joins.append(
                f"LEFT JOIN (SELECT customer_id, {', '.join(selected)} FROM ({ranked}) GROUP BY 1) {feed} USING (customer_id)"
            )
        record = (
            f"SELECT customer_id, DATE '{day}' - activated_on AS tenure, birth_year, kind, city, province, vip_tier, "
            f"device_generation FROM ({feeds.as_known_sql('customers', day)}) "
            "QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY event_at DESC, known_at DESC) = 1"
        )
        sql = f"SELECT * EXCLUDE (customer_id) FROM keys {' '.join(joins)} LEFT JOIN ({record}) USING (customer_id) ORDER BY place"
        return _plain(connection.execute(sql).to_arrow_table())


def _plain(table: pa.Table) -> pa.Table:
    kinds = [
        (f.name, f.type if pa.types.is_string(f.type) or f.name == "place" else pa.float64()) for f in table.schema
    ]
    return table.cast(pa.schema(kinds))


def _ours(target: Target, data: Dataset, prepared: Prepared) -> list[Any]:
    return [
        learn(target, data, fold.train, seed=SEED, threads=1).decision_function(data.values[fold.test])
        for fold in prepared.split.folds
    ]


def _emptied(data: Dataset, names: list[str]) -> Dataset:
    values = data.values.copy()
    values[:, [place for place, name in enumerate(data.names) if name in names]] = np.nan
    return replace(data, values=values)
