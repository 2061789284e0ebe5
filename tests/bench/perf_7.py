"""perf-7: one score over HTTP beside the framework's floor, one worker: an empty POST whose body is validated.

Both run on uvicorn and FastAPI in a process of their own and are driven over kept connections. The floor checks the same
body by the same schema and answers `{}`; the service checks key, limits, store and model, and logs. Each round takes all
in turn. The figure is answers a CPU second of the serving process, which neither the client nor a busy machine changes.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import orjson

from features.kit.home import Home
from serving.scoring.batch.lookup import LOOKUP
from tests.bench import floor
from tests.bench.input_1 import Door, served
from tests.bench.rounds import ROUNDS, cpu_seconds
from tests.load import SCORES, load
from tests.results import figure
from tests.running import free_port, until_ready

SECONDS, AT_ONCE = 1.5, 4
TARGET = "churn"


def run(home: Home) -> Iterator[dict[str, Any]]:
    """Yields the answers a CPU second of a score, with three reasons and without, over those of the floor."""
    with tempfile.TemporaryDirectory() as folder, served(home, Path(folder) / "home") as door, empty() as (port, pid):
        for stored in (Path(folder) / "home").glob(f"scores/*/*/*/{LOOKUP}"):
            stored.unlink()  # every score is worked out for its answer
        customer = with_three_reasons(door)
        bodies: dict[int, dict[str, object]] = {
            reasons: {"targets": [TARGET], "ids": [customer], "reasons": reasons} for reasons in (3, 0)
        }
        measured: dict[int, list[float]] = {3: [], 0: []}
        per_second: dict[int | None, list[float]] = {3: [], 0: [], None: []}
        for _ in range(ROUNDS):
            least, per = answers(port, [pid], door, bodies[0], path=floor.PATH)
            per_second[None].append(per)
            for reasons, body in bodies.items():
                ours, per = answers(door.port, [door.pid], door, body)
                measured[reasons].append(ours / least)
                per_second[reasons].append(per)
    for reasons, goal in ((3, 0.30), (0, 0.55)):
        value = round(statistics.median(measured[reasons]), 2)
        calm = {key: round(statistics.median(found)) for key, found in per_second.items()}
        yield figure(
            "perf-7", "one score with three exact reasons" if reasons else "one score alone", value, goal=goal,
            met=value >= goal, compared_with=f"an empty validated POST, answers a CPU second; by the clock {calm[reasons]} "
            f"and {calm[None]} a second", rounds=[round(each, 2) for each in measured[reasons]],
        )  # fmt: skip


def with_three_reasons(door: Door) -> str:
    """Returns a customer who has as many reasons as are asked for."""
    body = orjson.dumps({"targets": [TARGET], "ids": door.ids[:200], "reasons": 3})
    headers = {"Authorization": door.everything, "Content-Type": "application/json"}
    with urlopen(Request(f"http://127.0.0.1:{door.port}{SCORES}", body, headers), timeout=30) as answer:
        items = orjson.loads(answer.read())["items"]
    return str(next(each["customer_id"] for each in items if len(each["reasons"]) == 3))


def answers(
    port: int, pids: Sequence[int], door: Door, body: dict[str, object], *, path: str = SCORES
) -> tuple[float, float]:
    """Returns the good answers a CPU second of the serving processes, and a second of the clock."""
    before = sum(map(cpu_seconds, pids))
    outcome = load(port, door.everything, body, seconds=SECONDS, at_once=AT_ONCE, path=path)
    assert set(outcome.answers) == {200}, outcome.answers.keys()
    return len(outcome.answers[200]) / (sum(map(cpu_seconds, pids)) - before), outcome.rate()


@contextmanager
def empty() -> Iterator[tuple[int, int]]:
    """Yields the port and process of the floor once it answers."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.floor", str(port)])
    try:
        until_ready(port, process)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(30)
