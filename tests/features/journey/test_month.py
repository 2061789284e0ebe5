"""The month's run as such: its order, its four endings, and that a killed run continues where it was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from features.kit.home import Home
from features.kit.runs import list_runs

_RUN = """
import sys
from datetime import date
from pathlib import Path
import orjson
from features.journey import month
from features.kit.errors import DataError
from features.kit.home import Home
from features.journey.journey import Journey
from features.kit.terminal.progress import SILENT

home, says = Path(sys.argv[1]), orjson.loads(sys.argv[2])
diary = home / "diary.txt"

def step(name):
    def take(journey, progress):
        with diary.open("a") as file:
            file.write(f"{name} as_of={journey.as_of} promotes={journey.may_promote} {sorted(journey.challengers)}\\n")
        if name in says.get("fails", []):
            raise DataError(f"{name} cannot")
        return says.get(name, {})
    return take

home.mkdir(exist_ok=True)
month.load_step = step
journey = Journey(
    home=Home(home), source=Path("x.yaml"), data=home, through=date(2026, 6, 1), accept=says.get("accept", "")
)
result = month.run_month(journey, SILENT)
print(orjson.dumps(result.summary).decode())
sys.exit(int(result.ending))
"""

GOOD = {
    "ingest": {"version": "v1"},
    "calendar": {"publishable": True, "problems": [], "as_of": "2026-07-01"},
    "train": {"challengers": {"churn": "b", "upgrade": "c"}, "recommended": ["churn"], "targets": {}},
    "preview": {"as_of": "2026-07-01", "targets": {}, "together": None},
}
PROBLEM = {"code": "cities_missing", "feed": "bills", "detail": "2026-06 lacks Wuxi"}
STEPS = ["ingest", "calendar", "build", "publish", "score", "fit", "train", "preview"]


def run(home: Path, says: dict[str, Any], **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the month in a fresh process with steps that write a diary."""
    command = [sys.executable, "-c", _RUN, str(home), orjson.dumps(says).decode()]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


def diary(home: Path) -> list[str]:
    """Returns the names of the steps that were taken, in order."""
    return [line.split()[0] for line in (home / "diary.txt").read_text().splitlines()]


def test_a_recommended_challenger_ends_undecided_and_nothing_may_promote(tmp_path: Path) -> None:
    """Exit code 4, every step once, the preview knows the challengers, and the run table says why."""
    home = tmp_path / "home"
    answer = run(home, GOOD)
    summary = orjson.loads(answer.stdout)
    assert (answer.returncode, summary["ending"], summary["exit_code"]) == (4, "undecided", 4)
    assert diary(home) == STEPS
    lines = (home / "diary.txt").read_text().splitlines()
    assert all(line.split()[1:3] == ["as_of=2026-07-01", "promotes=False"] for line in lines[2:])
    assert lines[-1].endswith("['churn', 'upgrade']")
    newest = list_runs(Home(home), 1)[0]
    assert (newest["command"], newest["status"]) == ("run --through 202606", "undecided")
    assert newest["note"] == "churn: b may take over"


def test_a_month_without_a_recommended_challenger_is_done(tmp_path: Path) -> None:
    """Exit code 0."""
    says = GOOD | {"train": {"challengers": {"churn": "b"}, "recommended": [], "targets": {}}}
    answer = run(tmp_path / "home", says)
    assert (answer.returncode, orjson.loads(answer.stdout)["ending"]) == (0, "done")


@pytest.mark.parametrize(
    ("says", "taken", "reason"),
    [
        (GOOD | {"calendar": {"publishable": False, "problems": [PROBLEM], "as_of": "2026-07-01"}}, STEPS[:2],
         "cities_missing: bills: 2026-06 lacks Wuxi"),
        (GOOD | {"fails": ["ingest"]}, STEPS[:1], "data_error: ingest cannot"),
    ],
    ids=["calendar objects", "delivery refused"],
)  # fmt: skip
def test_a_refused_month_publishes_nothing(tmp_path: Path, says: Any, taken: list[str], reason: str) -> None:
    """Exit code 3, no step after the refusal, and the reason in the run table."""
    home = tmp_path / "home"
    answer = run(home, says)
    assert (answer.returncode, diary(home)) == (3, taken)
    assert orjson.loads(answer.stdout)["reasons"] == [reason]
    assert list_runs(Home(home), 1)[0]["note"] == reason


def test_an_accepted_month_is_on_record_with_its_reason(tmp_path: Path) -> None:
    """The person's words stand in the run table."""
    home = tmp_path / "home"
    assert run(home, GOOD | {"accept": "Wuxi was sold"}).returncode == 4
    assert list_runs(Home(home), 1)[0]["note"] == "accepted: Wuxi was sold; churn: b may take over"


def test_a_failed_step_is_raised_and_the_next_run_continues(tmp_path: Path) -> None:
    """Training fails: what stood before it is not done again."""
    home = tmp_path / "home"
    assert run(home, GOOD | {"fails": ["train"]}).returncode == 1
    assert list_runs(Home(home), 1)[0]["status"] == "failed"
    assert run(home, GOOD).returncode == 4
    assert diary(home) == [*STEPS[:7], "ingest", "calendar", "train", "preview"]


def test_new_rows_make_every_step_new(tmp_path: Path) -> None:
    """The canary of continuing: with another version of the feeds nothing of the failed run is reused."""
    home = tmp_path / "home"
    assert run(home, GOOD | {"fails": ["train"]}).returncode == 1
    assert run(home, GOOD | {"ingest": {"version": "v2"}}).returncode == 4
    assert diary(home) == [*STEPS[:7], *STEPS]


def test_a_finished_run_begins_anew(tmp_path: Path) -> None:
    """What was kept is forgotten at the end, so that a later run finds its own answers."""
    home = tmp_path / "home"
    assert [run(home, GOOD).returncode for _ in range(2)] == [4, 4]
    assert diary(home) == STEPS * 2


EVERY_FAILPOINT = 2 * len(STEPS)


@pytest.mark.parametrize(
    "number",
    [1, 6, 13, EVERY_FAILPOINT]
    + [pytest.param(n, marks=pytest.mark.soak) for n in range(2, EVERY_FAILPOINT) if n not in (6, 13)],
)
def test_killed_anywhere_the_run_continues_and_ends_the_same(tmp_path: Path, number: int) -> None:
    """SIGKILL at the n-th failpoint: repeated, the answer is the unbroken one, and no kept step is taken twice."""
    unbroken = orjson.loads(run(tmp_path / "calm", GOOD).stdout)
    home, log = tmp_path / "home", tmp_path / "log"
    killed = run(home, GOOD, INSIGHT_FAILPOINT=f"*:{number}:kill", INSIGHT_FAILPOINT_LOG=str(log))
    assert killed.returncode == -9
    fired = log.read_text().splitlines()[-1]
    summary = orjson.loads(run(home, GOOD).stdout)
    same = [key for key in unbroken if key not in ("run_id", "reused", "wall_seconds", "peak_memory_mb")]
    assert {key: summary[key] for key in same} == {key: unbroken[key] for key in same}
    kept = number // 2 if fired == "fired:month.after_step" else (number - 1) // 2
    assert diary(home) == [*STEPS[:kept], "ingest", "calendar", *STEPS[max(kept, 2) :]]
    assert [one["status"] for one in list_runs(Home(home), 2)] == ["undecided", "interrupted"]


def test_a_second_month_run_is_refused_while_one_is_under_way(tmp_path: Path) -> None:
    """One month's run at a time in a home, from first step to last."""
    from features.journey.month import LOCK
    from features.kit.errors import ConflictError
    from features.kit.runs import run_lock

    home = tmp_path / "home"
    with run_lock(Home(home), "run --through 202606", LOCK):
        answer = run(home, GOOD)
    assert answer.returncode == 1
    assert ConflictError.__name__ in answer.stderr
    assert "run --through 202606" in answer.stderr
