"""perf-2: a training set of 1.2 million rows joined and written to Parquet, beside DuckDB's plain join of the same rows.

Portraits are drawn at random: 100,000 customers on twelve dates, all features of the list. `INSIGHT_BENCH_CUSTOMERS` names
another size.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.kit.clock import instant_of
from features.kit.home import Home
from features.portraits.feature_list import FeatureList
from features.portraits.reading import Portraits
from features.store.definitions import service_features
from features.store.offline import join_to_parquet
from tests.bench.rounds import ratio, speed
from tests.results import figure
from tests.world import write_portraits

DATES, SERVICE, TIMES, MEGABYTES = 12, "churn_v1", 2.0, 1000
_PEAK = """
import sys
from pathlib import Path
import pyarrow.parquet as pq
from features.kit.home import Home
from features.store.offline import join_to_parquet
from tests.bench.rounds import peak_megabytes
folder = Path(sys.argv[1])
join_to_parquet(Home(folder / "home"), pq.read_table(folder / "spine.parquet"), sys.argv[2], folder / "ours.parquet")
print(peak_megabytes())
"""


def run(home: Home) -> Iterator[dict[str, Any]]:
    """Yields the time of the join as a multiple of the floor, and its peak memory in a process of its own."""
    customers = int(os.environ.get("INSIGHT_BENCH_CUSTOMERS", "100000").split()[0])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        state, spine = drawn(folder, customers)
        rounds = ratio(
            lambda: join_to_parquet(state, spine, SERVICE, folder / "ours.parquet"),
            lambda: _floor(state, spine, folder / "floor.parquet"),
        )
        ours, floor = (pq.read_table(folder / f"{name}.parquet") for name in ("ours", "floor"))
        is_equal = ours.sort_by("spine_row").equals(floor.sort_by("spine_row").cast(ours.schema))
        what = f"training set of {spine.num_rows:,} rows x {ours.num_columns - 3} features"
        entry = speed("perf-2", what, rounds, "the keys-first ASOF join in DuckDB, written as well", goal=TIMES)
        yield entry | {"met": entry["met"] and is_equal}
        peak = int(subprocess.check_output([sys.executable, "-c", _PEAK, f"{folder}", SERVICE]))
        yield figure("perf-2", f"MB of memory at the peak, {what}", peak, goal=MEGABYTES, met=peak <= MEGABYTES)


def drawn(folder: Path, customers: int) -> tuple[Home, pa.Table]:
    """Returns a home with portraits at random and the spine of all of them, which is also written to the folder."""
    home, random, features = Home(folder / "home"), np.random.default_rng(7), FeatureList.declared()
    ids = pa.array([f"{number:011d}" for number in range(customers)])
    days = [date(2025, 6, 1) + timedelta(days=17 * step) for step in range(DATES)]
    for day in days:  # one at a time: the bench must not need more memory than what it measures
        at = pa.array([instant_of(day).replace(tzinfo=None)] * customers, pa.timestamp("us"))
        built = pa.array([datetime.now(UTC).replace(tzinfo=None)] * customers, pa.timestamp("us"))
        columns = {"customer_id": ids, "as_of_date": pa.array([day] * customers), "event_timestamp": at}
        columns |= {"created_timestamp": at, "built_at": built}
        for feature in features.features:
            values = np.round(random.gamma(1.0, 20.0, customers), 1).astype(np.float32)
            gone = random.random(customers) < 0.2
            texts = random.choice(["a", "b", "c"], customers) if feature.kind == "category" else values
            columns[feature.name] = pa.array(texts, mask=gone)
        write_portraits(home, features, {day: pa.table(columns)})
    spine = pa.concat_tables(
        [pa.table({"customer_id": ids, "as_of_date": pa.array([day] * customers, pa.date32())}) for day in days]
    )
    pq.write_table(spine, folder / "spine.parquet")
    return home, spine


def _floor(home: Home, spine: pa.Table, out: Path) -> None:
    """Matches the keys by an ASOF join, then takes the wide columns of the hits, as plain SQL."""
    portraits = Portraits.open(home)
    paths = [str(portraits.path(day)) for day in portraits.as_of_dates()]
    rows = spine.append_column("spine_row", pa.array(np.arange(spine.num_rows)))
    wide = ", ".join(f'p."{name}"' for name in service_features(SERVICE, portraits.feature_list))
    with duckdb.connect() as database:
        database.register("given", rows)
        database.execute("CREATE TABLE spine AS FROM given")
        database.execute(
            f"CREATE TABLE keys AS SELECT customer_id, as_of_date, event_timestamp, created_timestamp FROM read_parquet({paths})"
        )
        database.execute(
            "CREATE TABLE met AS SELECT spine_row, s.customer_id, s.as_of_date, event_timestamp FROM spine s "
            "ASOF JOIN keys k ON s.customer_id = k.customer_id AND s.as_of_date >= k.as_of_date "
            "WHERE k.as_of_date = s.as_of_date AND created_timestamp <= event_timestamp"
        )
        database.execute(
            f"COPY (SELECT spine_row, m.customer_id, m.as_of_date, {wide} FROM read_parquet({paths}) p JOIN met m "
            "ON m.customer_id = p.customer_id AND m.event_timestamp = p.event_timestamp) "
            f"TO '{out}' (FORMAT parquet, COMPRESSION zstd)"
        )
