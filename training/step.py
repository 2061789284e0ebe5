"""The training step of the main job: every target that the feeds support, one after another."""

from __future__ import annotations

from functools import partial
from typing import Any

from features.journey.journey import Journey
from features.kit.errors import BundleError
from features.kit.home import Home
from features.kit.runs import exclusive_run
from features.kit.terminal.progress import Progress


def train(journey: Journey, progress: Progress) -> dict[str, Any]:
    """Trains the journey's targets and promotes by the written rule, where the journey may promote.

    Returns:
        `{"targets": {target: summary}, "challengers": {target: version}, "recommended": [target]}`. A challenger is a
        version that was trained and does not serve; it is recommended if only the journey kept the written rule from
        promoting it. Where the journey may not promote, a target's summary also tells its `champion`.
    """
    with exclusive_run(journey.home, "train"):
        from training.explanation.drawing import Drawing
        from training.labels.history import open_records
        from training.labels.targets import known_targets, load_target, pairs_of
        from training.pipeline import TrainRequest, train_target
        from training.registry.release import Reason
        from training.registry.tracking import log_pictures
        from training.tuning.search import TRIALS, Budget

        targets: dict[str, Any] = {}
        changes = pairs_of(journey.changes)
        names = journey.targets or known_targets()
        wanted = {name: load_target(name).override(changes) for name in names}
        drawing = Drawing(journey.home, cores=journey.threads)
        with open_records(journey.home, threads=journey.threads) as records:
            for name, target in wanted.items():
                # One thread: two of LightGBM on two busy cores were measured at several times one thread's time.
                request = TrainRequest(
                    target, journey.as_of, journey.seed, threads=1, may_promote=journey.may_promote,
                    search=Budget(TRIALS, None) if journey.tune else None,
                )  # fmt: skip
                targets[name] = train_target(records, request, progress=progress)
                drawing.begin()
        with progress.step("pictures"):
            drawing.end(partial(log_pictures, journey.home))
        serving = {name: champion_of(journey.home, name) for name in targets}
    challengers: dict[str, str] = {}
    for name, result in targets.items():
        champion = serving[name]
        if not journey.may_promote:
            result["champion"] = champion
        if result["version"] and result["version"] != (champion or {}).get("version"):
            challengers[name] = result["version"]
    recommended = [name for name in challengers if targets[name]["reason"] == Reason.NOT_ASKED]
    return {"targets": targets, "challengers": challengers, "recommended": recommended}


def champion_of(home: Home, target: str) -> dict[str, Any] | None:
    """Returns the serving model's version, as-of portraits and its own evaluation, or None if none serves."""
    from training import bundle

    try:
        folder = bundle.champion(home.bundles, target)
        manifest = None if folder is None else bundle.verify(folder)
    except BundleError as error:
        return {"version": None, "error": error.message}
    if manifest is None:
        return None
    figures = {name: manifest.metrics.get(name) for name in ("auc", "auc_ci", "calibration_error")}
    return {"version": manifest.version, "created_at": manifest.created_at, **figures}
