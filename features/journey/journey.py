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

from pydantic import Field

from features.kit.config import Config
from features.kit.home import Home
from features.kit.language import Locale
from features.kit.terminal.progress import Progress

STEPS_GROUP = "insight.steps"
DEMO_STEPS = (
    "simulate", "ingest", "build", "publish", "train", "score", "evaluate", "fit", "outreach", "access",
)  # fmt: skip
RUN_STEPS = ("ingest", "build", "publish", "train", "score", "fit", "outreach")


class Journey(Config):
    """The request of one run of the main job, the same for every step.

    Attributes:
        home: The folder of the state.
        source: The source mapping, a YAML file.
        data: The folder with the operator's files.
        as_of: The as-of date; None means the latest that the feeds allow (`Journey.as_of` is then set by `ingest`).
        customers: Size of the synthetic operator (demo only).
        months: Months of synthetic history (demo only).
        seed: Seed of the simulator and of every learner.
        targets: The targets to train; empty means all of `configs/targets/` that the feeds can support.
        capacity: Attempts of people on the outreach list; None means what `configs/outreach.yaml` says.
        threads: Native threads of DuckDB and LightGBM.
        through: The first day of the month that a month's run is for; None for any other journey.
        accept: Why a month is published though its calendar objects; empty means it is not.
        daily: Whether it is a day's run: portraits of the newest day alone, and a list from what is known by then.
        locale: The language of the list; None means the operator's.
        changes: Keys of the targets to train that are changed, as `learner.trees=300`.
        tune: Whether better learner settings are searched first.
        out: Where a day's list is copied to, besides the home.
        may_promote: Whether training may make a model the champion by the written rule.
        challengers: Target -> version that a month's run has trained and not promoted.
        recommended: Targets whose challenger the written rule would promote.
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
    through: date | None = None
    accept: str = ""
    daily: bool = False
    locale: Locale | None = None
    changes: tuple[str, ...] = ()
    tune: bool = False
    out: Path | None = None
    may_promote: bool = True
    challengers: dict[str, str] = Field(default_factory=dict)
    recommended: tuple[str, ...] = ()


Step = Callable[[Journey, Progress], dict[str, Any]]
"""A step returns its summary: plain values that go into `--json` as they are. A key `as_of` moves the journey's."""


def run_journey(steps: tuple[str, ...], journey: Journey, progress: Progress) -> dict[str, Any]:
    """Runs the steps in order and returns `{step: summary}` with wall seconds per step and the peak memory.

    Raises:
        InsightError: From the step that failed; the steps before it stay done and the next run continues.
    """
    summary: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    for name in steps:
        started = time.perf_counter()
        result = load_step(name)(journey, progress)
        seconds[name] = round(time.perf_counter() - started, 2)
        summary[name] = result
        if "as_of" in result and journey.as_of is None:
            journey = journey.model_copy(update={"as_of": date.fromisoformat(str(result["as_of"]))})
    return summary | spent(seconds)


def load_step(name: str) -> Step:
    """Returns the step that a floor has registered under a name."""
    step: Step = next(iter(entry_points(group=STEPS_GROUP, name=name))).load()
    return step


def spent(seconds: dict[str, float]) -> dict[str, Any]:
    """Returns what a journey cost: wall seconds per step and in all, and the peak memory so far."""
    largest = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    total = round(sum(seconds.values()), 2)
    return {"wall_seconds": seconds | {"total": total}, "peak_memory_mb": round(largest / 1024)}
