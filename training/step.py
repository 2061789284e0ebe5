"""The training step of the main job: every target that the feeds support, one after another."""

from __future__ import annotations

import threading
from typing import Any

from features.kit.home import Home
from features.kit.journey import Journey
from features.kit.progress import Progress
from features.kit.runs import recorded_run, run_lock


def train(journey: Journey, progress: Progress) -> dict[str, Any]:
    """Trains and promotes the journey's targets and returns `{"targets": {target: summary}}`."""
    warm = threading.Thread(target=_warm, args=(journey.home,), daemon=True)
    with run_lock(journey.home, "train"), recorded_run(journey.home, "train"):
        warm.start()
        from training.history import open_history
        from training.pipeline import train_target
        from training.targets import known_targets, load_target

        targets: dict[str, Any] = {}
        with open_history(journey.home, threads=journey.threads) as (feeds, history):
            for name in journey.targets or known_targets():
                targets[name] = train_target(
                    journey.home,
                    load_target(name),
                    feeds,
                    history,
                    as_of=journey.as_of,
                    seed=journey.seed,
                    threads=journey.threads,
                    progress=progress,
                )
        warm.join()
    return {"targets": targets}


def _warm(home: Home) -> None:
    """Imports what is needed only later and creates MLflow's tables, while the first labels are counted."""
    from training import tracking

    tracking.prepare(home)
