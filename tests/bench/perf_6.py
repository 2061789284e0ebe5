"""perf-6: the nightly job from portraits in Parquet to scores, exact reasons for everybody and ranks, on one core.

The home's newest portraits are repeated under new ids to `INSIGHT_BENCH_ROWS` (default 100,000 and 1,000,000) and scored by
the home's champions, at most three, in a process of its own of one thread: once for this processor, once for one without
AVX-512 (see `kernel.py`). Everything lies in `INSIGHT_BENCH_FOLDER` (else a temporary folder). What is measured is wall
time of `insight score` from its start, the loading of the models with it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from features.kit.errors import NotReadyError
from features.kit.home import Home
from features.portraits.reading import PORTRAIT_FILE, Portraits
from serving.scoring.step import champions
from tests.bench.kernel import PORTABLE
from tests.bench.rounds import peak_megabytes
from tests.results import figure

SECONDS, TARGETS, CUSTOMERS = 180, 3, 1_000_000


def run(home: Home) -> Iterator[dict[str, Any]]:
    """Yields the seconds of each size, on this processor with the portable ones beside, and how memory grows."""
    sizes = [int(each) for each in os.environ.get("INSIGHT_BENCH_ROWS", "100000 1000000").split()]
    targets = champions(home)[:TARGETS]
    if not targets:
        raise NotReadyError(f"{home.bundles}: no model has been promoted")
    peaks = {}
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=os.environ.get("INSIGHT_BENCH_FOLDER")) as folder:
            as_of = _repeated(home, Home.at(Path(folder) / "home"), size)
            here, portable = (_in_child(Path(folder) / "home", as_of, targets, how) for how in ({}, PORTABLE))
        peaks[size] = here["peak_mb"]
        is_whole = size >= CUSTOMERS and len(targets) == TARGETS
        yield figure(
            "perf-6", f"seconds of scores, reasons and ranks, {size:,} customers x {len(targets)} models, one core",
            here["seconds"], goal=SECONDS if is_whole else None, met=here["seconds"] <= SECONDS if is_whole else None,
            compared_with=f"without AVX-512 {portable['seconds']} s; processor time {here['cpu']} s, {portable['cpu']} s",
        )  # fmt: skip
    yield figure(
        "perf-6", "MB of memory at the peak", peaks[max(sizes)],
        compared_with=", ".join(f"{size:,}: {peak:,}" for size, peak in peaks.items()),
    )  # fmt: skip


def _repeated(home: Home, into: Home, rows: int) -> date:
    """Writes a home of many customers: the newest portraits again and again, each time under new ids of the same width."""
    portraits = Portraits.open(home)
    as_of = portraits.as_of_dates()[-1]
    table = portraits.read(as_of)
    shutil.copytree(home.bundles, into.bundles)
    into.portraits.mkdir(parents=True)
    shutil.copy(home.portraits / "current.json", into.portraits)
    target = into.portraits / portraits.root.name / f"as_of={as_of.isoformat()}" / PORTRAIT_FILE
    target.parent.mkdir(parents=True)
    shutil.copy(portraits.root / "feature_list.json", target.parent.parent)
    with pq.ParquetWriter(target, table.schema, compression="zstd") as writer:
        for start in range(0, rows, len(table)):
            some = table.slice(0, min(len(table), rows - start))
            ids = pa.array([f"{start + row:018d}" for row in range(len(some))])
            writer.write_table(some.set_column(some.column_names.index("customer_id"), "customer_id", ids))
    return as_of


def _in_child(home: Path, as_of: date, targets: Sequence[str], environment: dict[str, str]) -> dict[str, Any]:
    """Measures in a process of its own, whose machine code is compiled (and kept) before."""
    command = [sys.executable, "-m", "tests.bench.perf_6", str(home), as_of.isoformat(), *targets]
    single = {"OMP_NUM_THREADS": "1", "INSIGHT_HOME": str(home)}
    done = subprocess.run(command, env=os.environ | single | environment, check=True, capture_output=True)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def _measure(home: Home, as_of: date, targets: Sequence[str]) -> dict[str, Any]:
    from serving.scoring.batch.base import score_targets
    from serving.scoring.champion import load_champion
    from serving.scoring.kernel.kernel import kernel_of

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    bundle = load_champion(home, targets[0], check_in_child=False)
    kernel_of(bundle)  # compiles what is not kept yet: its golden rows go through all four ways
    wall, cpu = time.perf_counter(), time.process_time()
    found = score_targets(home, targets, as_of)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = peak_megabytes()
    explained = [getattr(report, "explained", 0) for report in found.values()]
    return {"seconds": round(wall, 1), "cpu": round(cpu, 1), "peak_mb": peak, "explained": explained}


if __name__ == "__main__":
    print(json.dumps(_measure(Home.at(sys.argv[1]), date.fromisoformat(sys.argv[2]), sys.argv[3:])))
