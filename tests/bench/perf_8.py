"""perf-8: scores over HTTP beside `mlflow models serve` with one worker each, on the same machine and model.

MLflow serves the same LightGBM model and gets the portrait's values in its own JSON, since it has no store to read them
from; ours gets the customer's id, reads the portrait and answers with rank, band and status besides. Each round takes
both in turn. The figure is answers a CPU second of the serving processes, which neither client nor a busy machine changes.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from features.kit.home import Home
from serving.scoring.batch.lookup import LOOKUP
from tests.bench.input_1 import Door, served
from tests.bench.perf_7 import TARGET, answers
from tests.bench.rounds import ROUNDS
from tests.results import figure
from tests.running import free_port, until_ready

GOALS = {1: 25.0, 100: 12.0}


def run(home: Home) -> Iterator[dict[str, Any]]:
    """Yields the answers a CPU second over those of MLflow, for one customer and for a hundred."""
    with tempfile.TemporaryDirectory() as folder, served(home, Path(folder) / "home") as door:
        for stored in (Path(folder) / "home").glob(f"scores/*/*/*/{LOOKUP}"):
            stored.unlink()  # every score is worked out for its answer
        columns, rows = _values(home, door)
        with _mlflow(home, Path(folder)) as (port, pids):
            for count, goal in GOALS.items():
                ours: dict[str, object] = {"targets": [TARGET], "ids": door.ids[:count]}
                theirs: dict[str, object] = {"dataframe_split": {"columns": columns, "data": rows[:count]}}
                rounds, by_clock = [], []
                for _ in range(ROUNDS):
                    peer, per = answers(port, pids, door, theirs, path="/invocations")
                    mine, own = answers(door.port, [door.pid], door, ours)
                    rounds.append(mine / peer)
                    by_clock.append((own, per))
                value = round(statistics.median(rounds), 1)
                own, per = (round(statistics.median(found)) for found in zip(*by_clock, strict=True))
                yield figure(
                    "perf-8", f"scores of {count} over HTTP, times mlflow models serve", value, goal=goal,
                    met=value >= goal, compared_with=f"answers a CPU second; by the clock {own} and {per} a second",
                    rounds=[round(each, 1) for each in rounds],
                )  # fmt: skip


def _values(home: Home, door: Door) -> tuple[list[str], list[list[float]]]:
    """Returns the model's inputs by name, and those of the first hundred customers; NaN is missing."""
    from features.portraits.reading import Portraits
    from features.portraits.vector import encode
    from serving.scoring.champion import load_champion

    portraits, bundle = Portraits.open(home), load_champion(home, TARGET, check_in_child=False)
    table = portraits.read(portraits.as_of_dates()[-1]).slice(0, max(GOALS))
    assert table["customer_id"].to_pylist() == door.ids[: max(GOALS)]
    values = encode(table, portraits.feature_list)[:, bundle.positions(portraits.feature_list.features)]
    rows = values.astype(float).tolist()
    return list(bundle.manifest.feature_names), rows


@contextmanager
def _mlflow(home: Home, folder: Path) -> Iterator[tuple[int, list[int]]]:
    """Yields the port and processes of an MLflow that serves the same model."""
    from serving.scoring.champion import load_champion

    bundle = load_champion(home, TARGET, check_in_child=False)
    place, port = folder / "mlflow_model", free_port()
    subprocess.run([sys.executable, "-c", _SAVE, str(bundle.folder / "model.txt"), str(place)], check=True)
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(place), "--env-manager", "local"]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    process = subprocess.Popen(
        [*command, "--port", str(port), "--workers", "1"], env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until_ready(port, process, path="/ping")
        yield port, _family(process.pid)
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


_SAVE = """
import sys
import lightgbm, mlflow.lightgbm
mlflow.lightgbm.save_model(lightgbm.Booster(model_file=sys.argv[1]), sys.argv[2])
"""


def _family(parent: int) -> list[int]:
    """Returns a process and all that it has started."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [parent, *(one for child in children for one in _family(int(child)))]
