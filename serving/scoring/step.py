"""The step `score` of the main job: the whole base on every target that has a champion."""

from __future__ import annotations

from typing import Any

from features.journey.journey import Journey
from features.kit.errors import BundleError, NotReadyError
from features.kit.runs import recorded_run, run_lock
from features.kit.terminal.progress import Progress


def score(journey: Journey, progress: Progress) -> dict[str, Any]:
    """Returns `{"targets": {target: {"rows", "refused", "version", "base_rate", "mean", "explained", "seconds"}}}`.

    A target without a champion is left out: the training names its refusal. A champion that must not be loaded,
    or does not fit these portraits, is answered as `{"rows": 0, "reason": ...}`; the other targets go on.

    Raises:
        NotReadyError: If the journey has no as-of date or the portraits of it are not built.
    """
    from serving.scoring.batch.base import score_base

    if journey.as_of is None:
        raise NotReadyError("score: no as-of date", remedy="run `insight ingest` first, or give --as-of")
    targets: dict[str, Any] = {}
    with run_lock(journey.home, "score"), recorded_run(journey.home, "score"):
        for target in champions(journey):
            try:
                report = score_base(journey.home, target, journey.as_of, threads=journey.threads, progress=progress)
            except BundleError as error:
                targets[target] = {"rows": 0, "reason": error.message}
                continue
            targets[target] = {
                "rows": report.rows,
                "refused": report.refused,
                "version": report.version,
                "base_rate": report.base_rate,
                "mean": report.mean,
                "explained": report.explained,
                "seconds": report.seconds,
            } | ({} if report.shadow is None else {"shadow": report.shadow})
    return {"targets": targets}


def champions(journey: Journey) -> list[str]:
    """Returns the targets of the journey that have a champion, by name."""
    found = sorted(pointer.parent.name for pointer in journey.home.bundles.glob("*/champion.json"))
    return [target for target in found if not journey.targets or target in journey.targets]
