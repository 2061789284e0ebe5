"""The day's run: what is new is taken in, and the list of the day comes out whatever failed before it.

    ingest -> build -> publish -> score -> fit -> outreach
       |  nothing new: the middle is left out      |
       a step that fails is said; the list is drawn from the newest day that is whole

A list is drawn once a day: the same command completes what was killed, and otherwise gives the list again.
"""

from __future__ import annotations

import time
from datetime import date
from typing import Any

from features.journey.journey import Journey, load_step, spent
from features.journey.kept_steps import RunResult, inputs_hash, keep_step, read_step
from features.kit.errors import InsightError
from features.kit.runs import hit, recorded_run, run_lock
from features.kit.terminal.exit_codes import ExitCode
from features.kit.terminal.progress import Progress

NEW_STEPS = ("build", "publish", "score", "fit")
LOCK = "day.lock"


def run_day(journey: Journey, on: date, progress: Progress) -> RunResult:
    """Takes in what is new and draws the list of a day.

    The run ends `DONE`, or `UNDECIDED` with its reasons where a step before the list failed.

    Args:
        journey: Whose files; its own as-of date does not count.
        on: The day of the list.
        progress: Shown while it runs.

    Raises:
        InsightError: If no list can be drawn: nothing has ever been built, or the ledger is gone.
    """
    with run_lock(journey.home, "day", LOCK), recorded_run(journey.home, "day") as run:
        day = _Day(journey.model_copy(update={"daily": True, "as_of": on}), progress)
        day.take_in()
        day.take("outreach", day.journey)
        ending = ExitCode.UNDECIDED if day.failed else ExitCode.DONE
        run.note = "; ".join(day.failed)
        known = {"on": on.isoformat(), "basis": day.summary["outreach"].get("basis"), "reasons": day.failed}
        known |= {"ending": ending.name.lower(), "exit_code": int(ending), "reused": day.reused}
        return RunResult(ending, known | day.summary | spent(day.seconds))


class _Day:
    """The state of one day's run."""

    def __init__(self, journey: Journey, progress: Progress) -> None:
        self.journey = journey
        self.progress = progress
        self.summary: dict[str, Any] = {}
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []
        self.reused: list[str] = []

    def take_in(self) -> None:
        """Lands what is new and makes portraits, scores and offers of its newest day; a failure is kept as a reason."""
        name = "ingest"
        try:
            landed = self.take(name, self.journey)
            assert self.journey.as_of is not None
            as_of = min(self.journey.as_of, date.fromisoformat(landed["latest_as_of"]))
            newest = self.journey.model_copy(update={"as_of": as_of})
            inputs = inputs_hash(self.journey.home, landed["version"], as_of)
            for name in NEW_STEPS:
                known = read_step(self.journey.home, f"day.{name}", inputs)
                if known is None:
                    self.take(name, newest)
                    keep_step(self.journey.home, f"day.{name}", inputs, {"as_of": as_of.isoformat()})
                else:
                    self.reused.append(name)
        except InsightError as error:
            self.failed.append(f"{name}: {error}")

    def take(self, name: str, journey: Journey) -> dict[str, Any]:
        """Takes one step and keeps its summary."""
        started = time.perf_counter()
        hit("day.before_step")
        result = self.summary[name] = load_step(name)(journey, self.progress)
        self.seconds[name] = round(time.perf_counter() - started, 2)
        return result
