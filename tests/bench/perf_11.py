"""perf-11: the whole demo, as a newcomer runs it, in a home of its own: wall seconds, the share of each step, peak memory.

The home lies in `INSIGHT_BENCH_FOLDER` where that is set, and stays there for other subjects (`INSIGHT_HOME`).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from features.kit.home import Home
from tests.results import figure
from tests.running import insight_json

SECONDS, MEGABYTES = 150, 1500


def run(home: Home) -> Iterator[dict[str, Any]]:
    """Yields the seconds and the peak memory of the demo of 20,000 customers over 18 months."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.environ.get("INSIGHT_BENCH_FOLDER", temporary))
        done = insight_json("demo", "--no-serve", "--home", f"{folder / 'home'}")
    spent = done["wall_seconds"]
    yield figure(
        "perf-11", "seconds of the whole demo, 20,000 customers x 18 months", spent["total"], goal=SECONDS,
        met=spent["total"] <= SECONDS, compared_with=", ".join(f"{step} {spent[step]:.0f}" for step in spent),
    )  # fmt: skip
    peak = done["peak_memory_mb"]
    yield figure(
        "perf-11", "MB of memory at the demo's peak", peak, goal=MEGABYTES, met=peak <= MEGABYTES, compared_with="all steps",
    )  # fmt: skip
