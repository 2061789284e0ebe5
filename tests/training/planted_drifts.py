"""Six drifts to plant in a copy of a home: three in the portraits, one in a feed, one that froze, one in the scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.feeds.landed.manifest import read_manifest, switch_manifest
from features.kit.home import Home
from features.portraits.reading import Portraits
from training import bundle
from training.monitor.reference import read_reference

STOPPED = "hotline_calls"


@dataclass(frozen=True)
class Planted:
    """What was planted: alarm kind -> name."""

    names: dict[str, str]


def plant(home: Home, as_of: date, target: str) -> Planted:
    """Plants all six at once, in inputs of the target's model, and returns what must be alarmed.

    A unit changed (bills in another unit), an export that loses values, a category renamed, a view that was not
    computed anew, a feed that stopped, and scores that moved as a whole.
    """
    folder = bundle.champion(home.bundles, target)
    assert folder is not None
    usual = read_reference(folder)["features"]
    inputs = list(usual)
    portraits = Portraits.open(home)
    path = portraits.path(as_of)
    table = pq.read_table(path, partitioning=None)
    before = portraits.read([day for day in portraits.as_of_dates() if day < as_of][-1])
    numbers = [name for name in inputs if pa.types.is_floating(table.schema.field(name).type)]
    texts = [name for name in inputs if not pa.types.is_floating(table.schema.field(name).type)]
    filled = {name: table[name].null_count / table.num_rows < 0.2 for name in inputs}
    moving = [name for name in numbers if filled[name] and _moves(table, name, usual)]
    shifted, blanked, frozen = moving[0], moving[1], moving[2]
    renamed = next(name for name in texts if filled[name])
    table = _changed(table, shifted, lambda values: [None if v is None else 10 * v + 1 for v in values])
    table = _changed(table, blanked, lambda values: [None if k % 5 < 2 else v for k, v in enumerate(values)])
    table = _changed(table, renamed, lambda values: ["renamed" if k % 4 == 0 else v for k, v in enumerate(values)])
    old = dict(zip(before["customer_id"].to_pylist(), before[frozen].to_pylist(), strict=True))
    ids = table["customer_id"].to_pylist()
    table = _changed(table, frozen, lambda values: [old.get(one, v) for one, v in zip(ids, values, strict=True)])
    pq.write_table(table, path)
    _stop(home, as_of)
    _move_scores(home, target, folder.name, as_of)
    names = {"shift": shifted, "missing": blanked, "unseen": renamed, "stuck": frozen, "scores": target}
    return Planted(names | {"feed": STOPPED})


def alarmed(report: dict[str, Any], planted: Planted) -> dict[str, bool]:
    """Returns by planted drift whether an alarm names it."""
    found = {(alarm["kind"], alarm["name"]) for one in report["targets"].values() for alarm in one["alarms"]}
    feed_kinds = ("lost_feed", "stuck_feed", "thin_feed")
    return {
        kind: any((one, name) in found for one in (feed_kinds if kind == "feed" else (kind,)))
        for kind, name in planted.names.items()
    }


def _moves(table: pa.Table, name: str, usual: dict[str, Any]) -> bool:
    """Returns whether a number has many values, moves from date to date and keeps its distribution."""
    values = table[name].to_numpy(zero_copy_only=False)
    reference = usual[name]
    return (
        len(np.unique(values[~np.isnan(values)])) > 200
        and reference["equal_share"] < 0.5
        and reference["usual"]["psi"] < 0.1
        and reference["usual"]["missing"] < 0.05
    )


def _changed(table: pa.Table, name: str, change: Callable[[list[Any]], list[Any]]) -> pa.Table:
    place = table.column_names.index(name)
    return table.set_column(place, name, pa.array(change(table[name].to_pylist()), table.schema.field(name).type))


def _stop(home: Home, as_of: date) -> None:
    """Takes the months from two before the date on out of one feed."""
    manifest = read_manifest(home)
    assert manifest is not None
    feed = manifest.feeds[STOPPED]
    months = sorted(part.month for part in feed.parts if part.month < f"{as_of:%Y-%m}")
    parts = tuple(part for part in feed.parts if part.month < months[-1])
    feeds = manifest.feeds | {STOPPED: feed.model_copy(update={"parts": parts})}
    switch_manifest(home, manifest.model_copy(update={"feeds": feeds}))


def _move_scores(home: Home, target: str, version: str, as_of: date) -> None:
    folder = home.scores / target / version / f"as_of={as_of}"
    table = pq.read_table(folder / "scores.parquet", partitioning=None)
    margins = table["margin"].to_numpy()
    moved = pa.array(margins + 2.0 * margins.std())
    pq.write_table(table.set_column(table.column_names.index("margin"), "margin", moved), folder / "scores.parquet")
