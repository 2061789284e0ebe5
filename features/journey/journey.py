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
    """The request of one run of the main job, the same for every step."""

    home: Home
    source: Path  # the source mapping, a YAML file
    data: Path  # the folder with the operator's files
    as_of: date | None = None  # None: the latest that the feeds allow, which `ingest` then sets
    customers: int = 20_000  # size of the synthetic operator (demo only)
    months: int = 18  # months of synthetic history (demo only)
    seed: int = 7  # seed of the simulator and of every learner
    targets: tuple[str, ...] = ()  # the targets to train; empty: all of `configs/targets/` that the feeds can support
    capacity: int | None = None  # attempts of people on the outreach list; None means what `configs/outreach.yaml` says
    threads: int = 2  # native threads of DuckDB and LightGBM
    through: date | None = None  # the first day of the month that a month's run is for; None for any other journey
    accept: str = ""  # why a month is published though its calendar objects; empty means it is not
    daily: bool = False  # a day's run: portraits of the newest day alone, and a list from what is known by then
    locale: Locale | None = None  # the language of the list; None means the operator's
    changes: tuple[str, ...] = ()  # keys of the targets to train that are changed, as `learner.trees=300`
    tune: bool = False  # whether better learner settings are searched first
    out: Path | None = None  # where a day's list is copied to, besides the home
    may_promote: bool = True  # whether training may make a model the champion by the written rule
    challengers: dict[str, str] = Field(default_factory=dict)  # target -> version, trained and not promoted
    recommended: tuple[str, ...] = ()  # targets whose challenger the written rule would promote


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
