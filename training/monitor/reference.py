"""What was usual when a model was made, as plain data in its bundle: `reference.json`, hashed like every other file.

It is taken from the newest as-of dates that the model learned from: the whole base, as it is scored. Beside each
column's distribution stands how much those dates differed among themselves, so that a season does not ring the bell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from features.feeds.landed.reading import Feeds
from features.kit.arrays import Rows, Vectors
from features.kit.clock import instant_of
from features.kit.errors import NotReadyError
from features.kit.files import read_json
from features.kit.sql import timestamp
from features.portraits.dimensions.spec import Feature
from features.portraits.vector import encode
from training.bundle import verify
from training.dataset.dataset import only
from training.knots import Calibration
from training.labels.history import Records
from training.model.learner import BoostedTrees
from training.monitor.drift import category_reference, compare, equal_share, estimated_auc, number_reference

FILE = "reference.json"
FORMAT_VERSION = 1
DATES = 6
MAX_ROWS = 20_000
FEED_DAYS = 70
Pair = tuple[Rows, Rows]
FeedState = dict[str, dict[str, float]]


def reference_of(
    records: Records,
    last: date,
    names: Sequence[str],
    model: BoostedTrees,
    calibration: Calibration,
    *,
    threads: int = 1,
) -> bytes:
    """Returns the content of `reference.json`.

    `last` is the newest as-of date that the model learned from, `names` are its inputs in its order.
    """
    portraits = records.portraits
    days = [day for day in portraits.as_of_dates() if day <= last][-DATES:]
    inputs = only(portraits.feature_list, list(names))
    tables = [sampled(portraits.read(day, ["customer_id", *names])) for day in days]
    codes = [encode(table, inputs) for table in tables]
    margins = [model.booster_.predict(values, raw_score=True, num_threads=threads) for values in codes]
    pairs = [in_both(earlier, later) for earlier, later in pairwise(tables)]
    features = {}
    for place, feature in enumerate(inputs.features):
        make = partial(_feature_reference, tables, codes, pairs, place, feature)
        features[feature.name] = records.once(("reference", *days, feature.name), make)
    propensities = [calibration.propensity(scores) for scores in margins]
    promised = [estimated_auc(one) for one in propensities]
    levels = [float(one.mean()) for one in propensities]
    content = {
        "format_version": FORMAT_VERSION,
        "as_of": [day.isoformat() for day in days],
        "rows": sum(table.num_rows for table in tables),
        "features": features,
        "scores": _with_usual(margins, is_number=True)
        | {"estimated_auc": [min(promised), max(promised)], "mean_propensity": levels},
        "feeds": feed_reference(
            [records.once(("feeds", day), partial(feed_state, records.feeds, day)) for day in days]
        ),
    }
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY)


def _feature_reference(
    tables: Sequence[pa.Table], codes: Sequence[Vectors], pairs: Sequence[Pair], place: int, feature: Feature
) -> dict[str, Any]:
    columns, is_number = [column_of(table, feature.name) for table in tables], feature.kind == "number"
    usual = _with_usual(columns, is_number=is_number)
    return {"kind": feature.kind, **usual, "equal_share": _equal_share(codes, pairs, place)}


def read_reference(folder: Path) -> dict[str, Any]:
    """Returns the reference of a bundle whose every byte is as it was written.

    Raises:
        BundleError: If a file of the bundle is changed.
        NotReadyError: If the bundle was made before references were.
    """
    manifest = verify(folder)
    if FILE not in manifest.files:
        raise NotReadyError(f"{folder}: the bundle holds no reference", remedy=f"insight train {manifest.target}")
    content: dict[str, Any] = read_json(folder / FILE)
    if content.get("format_version") != FORMAT_VERSION:
        raise NotReadyError(f"{folder / FILE}: its format is not known here", remedy=f"insight train {manifest.target}")
    return content


def sampled(table: pa.Table) -> pa.Table:
    """Returns at most 20,000 rows, always the same ones of a table."""
    if table.num_rows <= MAX_ROWS:
        return table
    return table.take(np.sort(np.random.default_rng(0).permutation(table.num_rows)[:MAX_ROWS]))


def column_of(table: pa.Table, name: str) -> Any:
    """Returns a column as float64 with NaN, or as a list of texts with None."""
    column = table[name].combine_chunks()
    if pa.types.is_floating(column.type):
        return pc.fill_null(column, np.float32("nan")).to_numpy(zero_copy_only=False).astype(np.float64)
    return column.cast(pa.string()).to_pylist()


def feed_reference(on_dates: Sequence[FeedState]) -> FeedState:
    """Returns by feed the fewest rows, in all and per customer, and for how long at most no row came."""
    found: dict[str, list[dict[str, float]]] = {}
    for state in on_dates:
        for name, figures in state.items():
            found.setdefault(name, []).append(figures)
    return {
        name: {
            "rows": min(state["rows"] for state in states),
            "per_customer": min(state["per_customer"] for state in states),
            # a feed that comes in bursts was silent for as long between two of them.
            "lag_days": max(max(state["lag_days"], state["gap_days"]) for state in states),
        }
        for name, states in found.items()
        if len(states) == len(on_dates)
    }


def feed_state(feeds: Feeds, as_of: date) -> FeedState:
    """Returns by feed what was known of the last 70 days: rows, rows per customer, age of the newest row, longest gap.

    Ages and gaps are in days; a gap lies between two days with rows.
    """
    if feeds.operator.snapshot_on is not None:
        return {}
    zone = feeds.operator.time_zone
    now, begin = (timestamp(instant_of(day, zone)) for day in (as_of, as_of - timedelta(days=FEED_DAYS)))
    state: FeedState = {}
    with feeds.connect() as connection:
        known = feeds.as_known_sql("customers", as_of)
        base = connection.execute(f"SELECT count(DISTINCT customer_id) FROM ({known})").fetchone()
        customers = max(int(base[0]) if base else 0, 1)
        for name in sorted(feeds.names):
            contract = feeds.contract(name)
            if contract.personal or contract.reference:
                continue
            rows, lag, gap = connection.execute(
                f"SELECT sum(n) FILTER (day >= CAST({begin} AS DATE)), date_diff('day', max(newest), {now}), "
                f"max(gap) FILTER (day >= CAST({begin} AS DATE)) "
                "FROM (SELECT *, day - lag(day) OVER (ORDER BY day) AS gap FROM (SELECT CAST(event_at AS DATE) AS day, "
                f"count(*) AS n, max(event_at) AS newest FROM ({feeds.as_known_sql(name, as_of)}) "
                f"WHERE event_at < {now} GROUP BY 1))"
            ).fetchone() or (0, None, None)
            if lag is not None:
                state[name] = {
                    "rows": float(rows or 0), "per_customer": (rows or 0) / customers, "lag_days": float(lag),
                    "gap_days": float(gap or 0),
                }  # fmt: skip
    return state


def _with_usual(columns: Sequence[Any], *, is_number: bool) -> dict[str, Any]:
    """Returns the reference of all dates together, and by how much any one of them differs from the others."""
    make = number_reference if is_number else category_reference
    columns = [np.sort(column, kind="stable") if is_number else Counter(column) for column in columns]
    pooled: dict[str, Any] = make(_joined(columns, is_number=is_number))
    usual = {"psi": 0.0, "ks": 0.0, "missing": 0.0, "unseen": 0.0}
    for place, column in enumerate(columns):
        others = [column for other, column in enumerate(columns) if other != place]
        if not others:
            break
        reference = make(_joined(others, is_number=is_number))
        shift = compare(reference, column)
        shift["missing"] = abs(shift["missing"] - reference["missing"])
        usual = {name: max(usual[name], shift[name]) for name in usual}
    return pooled | {"usual": usual}


def _joined(columns: Sequence[Any], *, is_number: bool) -> Any:
    return np.concatenate(columns) if is_number else sum(columns, Counter[str | None]())


def _equal_share(codes: Sequence[Vectors], pairs: Sequence[Pair], place: int) -> float | None:
    """Returns the greatest share of customers whose value did not move from one date to the next, or None."""
    moves = zip(codes, codes[1:], pairs, strict=False)
    shares = [equal_share(earlier[rows[0], place], two[rows[1], place]) for earlier, two, rows in moves if len(rows[0])]
    return max(shares) if shares else None


def in_both(first: pa.Table, second: pa.Table) -> Pair:
    """Returns the rows of two tables that belong to the same customers, in the same order."""
    ids = [table["customer_id"].to_numpy(zero_copy_only=False).astype(str) for table in (first, second)]
    _, first, other = np.intersect1d(ids[0], ids[1], assume_unique=True, return_indices=True)
    return first, other
