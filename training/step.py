"""The training step of the main job: every target that the feeds support, one after another."""

from __future__ import annotations

from typing import Any

from features.kit.journey import Journey
from features.kit.progress import Progress
from features.kit.runs import recorded_run, run_lock


def train(journey: Journey, progress: Progress) -> dict[str, Any]:
    """Trains and promotes the journey's targets and returns `{"targets": {target: summary}}`."""
    with run_lock(journey.home, "train"), recorded_run(journey.home, "train"):
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
                    # Two LightGBM threads on two busy cores were measured at several times one thread's time.
                    threads=1,
                    progress=progress,
                )
    return {"targets": targets}
