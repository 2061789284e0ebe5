"""The main job as an ordered list of named steps, resolved through entry points.

The lowest floor hosts `insight demo` and `insight run` and yet imports no upper floor: each step is registered in
the entry-point group `insight.steps` by the floor that owns it, takes one frozen `Journey` and returns its summary.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from features.kit.config import Config
from features.kit.home import Home
from features.kit.progress import Progress

STEPS_GROUP = "insight.steps"
DEMO_STEPS = (
    "simulate", "ingest", "build", "publish", "train", "score", "evaluate", "fit", "outreach", "access",
)  # fmt: skip
RUN_STEPS = ("ingest", "build", "publish", "train", "score", "fit", "outreach")


class Journey(Config):
    """What every step of one run of the main job is told.

    Attributes:
        home: The folder of the state.
        source: The source mapping, a YAML file.
        data: The folder with the operator's files.
        as_of: The as-of date; None means the latest that the feeds allow (`Journey.as_of` is then set by `ingest`).
        customers: Size of the synthetic operator (demo only).
        months: Months of synthetic history (demo only).
        seed: Seed of the simulator and of every learner.
        targets: The targets to train; empty means all of `configs/targets/` that the feeds can support.
        capacity: Attempts on the outreach list; None means what `configs/outreach.yaml` says.
        threads: Native threads of DuckDB and LightGBM.
    """

    home: Home
    source: Path
    data: Path
    as_of: date | None = None
    customers: int = 20_000
    months: int = 18
    seed: int = 7
    targets: tuple[str, ...] = ()
    capacity: int | None = None
    threads: int = 2


Step = Callable[[Journey, Progress], dict[str, Any]]
"""A step returns its summary: plain values that go into `--json` as they are. A key `as_of` moves the journey's."""


def run_journey(steps: tuple[str, ...], journey: Journey, progress: Progress) -> dict[str, Any]:
    """Runs the steps in order and returns `{step: summary}` with wall seconds per step and the peak memory.

    Raises:
        InsightError: From the step that failed; the steps before it stay done and the next run continues.
    """
    known = {entry.name: entry for entry in entry_points(group=STEPS_GROUP)}
    summary: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    for name in steps:
        started = time.perf_counter()
        step: Step = known[name].load()
        result = step(journey, progress)
        seconds[name] = round(time.perf_counter() - started, 2)
        summary[name] = result
        if "as_of" in result and journey.as_of is None:
            journey = journey.model_copy(update={"as_of": date.fromisoformat(str(result["as_of"]))})
    summary["wall_seconds"] = seconds | {"total": round(sum(seconds.values()), 2)}
    largest = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    summary["peak_memory_mb"] = round(largest / 1024)
    return summary
