"""Load by a real tool on the real `insight serve`: 1, 2 and 5 times the nominal load, and what a process can do at most.

Nominal are 50 single scores a second with three reasons and one batch of 1,000 every ten seconds, while lists are pulled and
contacts reported. locust runs in an environment of its own (`uv tool run`): it would bring 16 packages into ours.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from features.kit.errors import NotReadyError
from tests.bench.input_1 import Door
from tests.load import quantile

LOCUST = "2.47.0"
NOMINAL = {"single": 50, "batch": 1, "list": 1, "contact": 2}
PACE = {"single": 1.0, "batch": 10.0, "list": 5.0, "contact": 1.0}
AT_ONCE = 32
"""Users who ask one after another, for what a process can do at most."""


@dataclass(frozen=True)
class Came:
    """What came of a load: kind -> status -> [seconds, whether the answer says Retry-After]; status 0 is no answer."""

    seconds: float
    answers: dict[str, dict[int, list[tuple[float, bool]]]]

    def rate(self, kind: str = "single") -> float:
        """Returns the good answers of a kind a second."""
        return len(self.answers.get(kind, {}).get(200, [])) / self.seconds

    def quantile(self, share: float, kind: str = "single") -> float:
        """Returns the seconds within which a share of the good answers of a kind came."""
        return quantile([seconds for seconds, _ in self.answers.get(kind, {}).get(200, [])], share)

    def refused(self) -> list[tuple[float, bool]]:
        """Returns what was shed (503) or over a key's share (429)."""
        return [one for kind in self.answers.values() for status in (429, 503) for one in kind.get(status, [])]

    def refusal(self, share: float) -> float:
        """Returns the seconds within which a share of the refusals came."""
        return quantile([seconds for seconds, _ in self.refused()], share)

    def errors(self) -> int:
        """Returns the answers that are neither good nor refused, and what was never answered."""
        return sum(
            len(found)
            for kind in self.answers.values()
            for status, found in kind.items()
            if status not in (200, 429, 503)
        )

    def counts(self) -> dict[str, dict[int, int]]:
        """Returns how many answers came, by kind and status."""
        return {
            kind: {status: len(found) for status, found in sorted(its.items())} for kind, its in self.answers.items()
        }


def mixed(door: Door, times: float, seconds: float) -> Came:
    """Returns what came of so many times the nominal load."""
    users = {kind: max(1, round(times * count)) for kind, count in NOMINAL.items()}
    return _run(door, users, PACE, seconds)


def unloaded(door: Door, seconds: float) -> Came:
    """Returns what came of single scores one after another, with a rest between them."""
    return _run(door, {"single": 1}, {"single": 0.1}, seconds)


def most(door: Door, seconds: float) -> Came:
    """Returns what came of `AT_ONCE` users who score without a rest, beside the rest of the nominal load."""
    return _run(door, NOMINAL | {"single": AT_ONCE}, PACE | {"single": 0.0}, seconds)


def _run(door: Door, users: dict[str, int], pace: dict[str, float], seconds: float) -> Came:
    """Returns what came of a load; its first seconds, in which users begin, do not count.

    Raises:
        NotReadyError: If locust cannot be had.
    """
    warm = max(pace.values())
    with tempfile.TemporaryDirectory() as folder:
        plan = {
            "keys": [door.everything, door.other], "ids": door.ids, "batch": min(1000, len(door.ids)), "users": users,
            "pace": pace, "warm": warm, "out": f"{folder}/came.json",
        }  # fmt: skip
        command = [
            str(Path(sys.executable).parent / "uv"), "tool", "run", "--from", f"locust=={LOCUST}", "locust", "--headless",
            "--users", str(sum(users.values())), "--spawn-rate", str(sum(users.values())), "--run-time",
            f"{seconds + warm:.0f}s", "--host", f"http://127.0.0.1:{door.port}", "--loglevel", "ERROR", "--only-summary",
            "--locustfile", str(Path(__file__).with_name("locust_users.py")),
        ]  # fmt: skip
        environment = {**os.environ, "LOAD_PLAN": json.dumps(plan)}
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
        written = Path(folder) / "came.json"
        if not written.exists():
            raise NotReadyError(f"locust did not run: {done.stderr[-300:]}", remedy=f"uv tool install locust=={LOCUST}")
        came = json.loads(written.read_text(encoding="utf-8"))
    answers = {
        kind: {int(status): [(second, bool(told)) for second, told in found] for status, found in its.items()}
        for kind, its in came.items()
    }
    return Came(seconds, answers)
