"""The month's run: the newly arrived month becomes portraits, scores and challengers, and a person decides.

    ingest -> calendar -> build -> publish -> score -> fit -> train -> preview
                 |                                              |         |
                 refuses: nothing is published                  never promotes, never claims anybody

Each finished step is kept in the run table with everything that could change its answer. A run that was killed, failed
or was refused continues from there; one that came to its end begins anew. The run ends in one of four ways, which are
the exit codes of `insight run --through`.
"""

from __future__ import annotations

import time
from datetime import date
from typing import Any

import orjson

from features.journey.journey import Journey, load_step, spent
from features.journey.kept_steps import RunResult, forget_steps, inputs_hash, keep_step, read_step
from features.kit.errors import DataError
from features.kit.runs import RunRecord, exclusive_run, hit
from features.kit.terminal.exit_codes import ExitCode
from features.kit.terminal.progress import Progress

MONTH_STEPS = ("ingest", "calendar", "build", "publish", "score", "fit", "train", "preview")
ALWAYS = ("ingest", "calendar")
"""Steps that every run takes: they are what finds out whether anything is new."""

LOCK = "month.lock"


def run_month(journey: Journey, progress: Progress) -> RunResult:
    """Takes the newly arrived month through every step and returns how the run ended.

    The as-of date is the first day after the month `through` unless the journey names one.

    Raises:
        InsightError: From a step that failed; the steps before it are kept and the next run continues.
    """
    name = f"run --through {journey.through:%Y%m}"
    with exclusive_run(journey.home, name, LOCK) as run:
        if journey.accept:
            run.note = f"accepted: {journey.accept}"
        return _Month(journey, progress, run).run()


class _Month:
    """The state of one month's run."""

    def __init__(self, journey: Journey, progress: Progress, run: RunRecord) -> None:
        self.journey = journey
        self.progress = progress
        self.run_record = run
        self.summary: dict[str, Any] = {}
        self.seconds: dict[str, float] = {}
        self.reused: list[str] = []

    def run(self) -> RunResult:
        try:
            self.take("ingest")
        except DataError as error:
            return self.end(ExitCode.REFUSED, [f"{error.code}: {error}"])
        calendar = self.take("calendar")
        if not calendar["publishable"]:
            problems = [f"{problem['code']}: {_what(problem)}" for problem in calendar["problems"]]
            return self.end(ExitCode.REFUSED, problems)
        as_of = self.journey.as_of or date.fromisoformat(calendar["as_of"])
        self.journey = self.journey.model_copy(update={"as_of": as_of, "may_promote": False})
        for name in MONTH_STEPS[2:-1]:
            self.take(name)
        challengers, recommended = self.summary["train"]["challengers"], self.summary["train"]["recommended"]
        found = {"challengers": challengers, "recommended": tuple(recommended)}
        self.journey = self.journey.model_copy(update=found)
        self.take("preview")
        forget_steps(self.journey.home)
        if recommended:
            return self.end(ExitCode.UNDECIDED, [f"{name}: {challengers[name]} may take over" for name in recommended])
        return self.end(ExitCode.DONE, [])

    def take(self, name: str) -> dict[str, Any]:
        """Takes one step, or finds the summary of when it was last taken with the same inputs."""
        inputs = self.inputs()
        known = None if name in ALWAYS else read_step(self.journey.home, name, inputs)
        started = time.perf_counter()
        if known is None:
            hit("month.before_step")
            known = load_step(name)(self.journey, self.progress)
            known = orjson.loads(orjson.dumps(known, default=str, option=_PLAIN))
            keep_step(self.journey.home, name, inputs, known)
            hit("month.after_step")
        else:
            self.reused.append(name)
        self.seconds[name] = round(time.perf_counter() - started, 2)
        self.summary[name] = known
        return known

    def inputs(self) -> str:
        """Returns the hash of all that could change a step's answer: request, feeds, models, configuration, code."""
        request = self.journey.model_dump(mode="json", exclude={"home", "threads", "accept"})
        version = self.summary.get("ingest", {}).get("version")
        return inputs_hash(self.journey.home, request, version)

    def end(self, ending: ExitCode, reasons: list[str]) -> RunResult:
        """Closes the record of the run and returns the result."""
        self.run_record.status = ending.name.lower()
        self.run_record.note = "; ".join(note for note in (self.run_record.note, *reasons) if note)
        ended = {"period": f"{self.journey.through:%Y-%m}", "ending": ending.name.lower(), "exit_code": int(ending)}
        ended |= {"reasons": reasons, "run_id": self.run_record.run_id, "reused": self.reused}
        return RunResult(ending, ended | self.summary | spent(self.seconds))


_PLAIN = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def _what(problem: dict[str, Any]) -> str:
    return f"{problem['feed']}: {problem['detail']}" if problem["feed"] else str(problem["detail"])
