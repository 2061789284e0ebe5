"""The day's run: what is new is taken in, and the list of the day comes out whatever failed before it.

    reports -> ingest -> build -> publish, score, fit -> outreach
                 |  nothing new: the middle is left out      |
                 a step that fails is said; the list is drawn from the newest day that is whole

A list is drawn once a day: the same command completes what was killed, and otherwise gives the list again.
"""

from __future__ import annotations

import time
import traceback
from datetime import date
from pathlib import Path
from typing import Any

from features.journey.journey import Journey, load_step, spent
from features.journey.kept_steps import RunResult, inputs_hash, keep_step, read_step
from features.kit.clock import utc_now
from features.kit.errors import InsightError
from features.kit.files import write_bytes
from features.kit.home import Home
from features.kit.runs import exclusive_run, hit
from features.kit.terminal.exit_codes import ExitCode
from features.kit.terminal.progress import Progress

NEW_STEPS = ("build", "publish", "score", "fit")
LOCK = "day.lock"


class NoListError(InsightError, code="no_list"):
    """The list of a day cannot be drawn; an unforeseen failure is in the log."""


def run_day(journey: Journey, on: date, progress: Progress) -> RunResult:
    """Takes in what is new and draws the list of a day.

    The run ends `DONE`, or `UNDECIDED` with its reasons where a step before the list failed.

    The files are the journey's; its own as-of date does not count.

    Raises:
        InsightError: If no list can be drawn: nothing has ever been built, or the ledger is gone. `NoListError`
            stands for whatever nobody foresaw.
    """
    with exclusive_run(journey.home, "day", LOCK) as run:
        day = _Day(journey.model_copy(update={"daily": True, "as_of": on}), progress)
        day.take_in()
        day.draw()
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
        """Lands what is new and makes portraits, scores and offers of its newest day; a failure is kept as a reason.

        Without new portraits nothing that follows them is tried; otherwise each step fails by itself.
        """
        self._try("reports", self.journey)
        landed = self._try("ingest", self.journey)
        if landed is None or self.journey.as_of is None:
            return
        as_of = min(self.journey.as_of, date.fromisoformat(landed["latest_as_of"]))
        newest = self.journey.model_copy(update={"as_of": as_of})
        inputs = inputs_hash(self.journey.home, landed["version"], as_of)
        for name in NEW_STEPS:
            if read_step(self.journey.home, f"day.{name}", inputs) is not None:
                self.reused.append(name)
            elif self._try(name, newest) is not None:
                keep_step(self.journey.home, f"day.{name}", inputs, {"as_of": as_of.isoformat()})
            elif name == "build":
                return

    def draw(self) -> None:
        """Draws the list, and copies it to where it is asked for."""
        try:
            drawn = self._take("outreach", self.journey)
        except InsightError:
            raise
        except Exception as error:
            log = _keep_traceback(self.journey.home, "outreach")
            raise NoListError(f"outreach: {_one_line(error)}", remedy=f"see {log}; then run it again") from error
        if self.journey.out is not None:
            try:
                drawn |= copy_list(drawn, self.journey.out)
            except OSError as error:
                self.failed.append(f"--out: {error}; the list is {drawn['xlsx']}")

    def _try(self, name: str, journey: Journey) -> dict[str, Any] | None:
        """Takes one step; whatever stops it is kept as a reason, and the list goes on without it."""
        try:
            return self._take(name, journey)
        except InsightError as error:
            self.failed.append(f"{name}: {error}")
        except Exception as error:  # noqa: BLE001 - a bug or a full disk in one step must not cost the list
            log = _keep_traceback(self.journey.home, name)
            self.failed.append(f"{name}: {_one_line(error)}, see {log}")
        return None

    def _take(self, name: str, journey: Journey) -> dict[str, Any]:
        started = time.perf_counter()
        hit("day.before_step")
        result = self.summary[name] = load_step(name)(journey, self.progress)
        self.seconds[name] = round(time.perf_counter() - started, 2)
        return result


def copy_list(drawn: dict[str, Any], out: Path) -> dict[str, str]:
    """Copies a drawn list's workbook to `out` and its CSV beside it; returns both paths as `xlsx` and `csv`."""
    places = {"xlsx": out, "csv": out.with_suffix(".csv")}
    for kind, place in places.items():
        write_bytes(place, Path(drawn[kind]).read_bytes(), mode=0o600)
    return {kind: str(place) for kind, place in places.items()}


def _keep_traceback(home: Home, name: str) -> Path:
    """Adds the traceback of the failure at hand to the home's log, and returns its path; a full disk keeps none."""
    path = home.root / "day.log"
    try:
        path.touch(mode=0o600)
        with path.open("a", encoding="utf-8") as log:
            log.write(f"{utc_now().isoformat()} {name}\n{traceback.format_exc()}\n")
    except OSError:
        traceback.print_exc()
    return path


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
