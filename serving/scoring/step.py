"""Scoring of the whole base: one request, which `insight score` and the main job's step `score` share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from features.journey.journey import Journey
from features.kit.errors import BundleError, NotReadyError
from features.kit.home import Home
from features.kit.runs import exclusive_run
from features.kit.terminal.progress import SILENT, Progress

if TYPE_CHECKING:
    from serving.scoring.batch.base import ScoreReport


@dataclass(frozen=True)
class ScoreRequest:
    """What to score."""

    as_of: date  # the as-of date of the portraits
    targets: tuple[str, ...] = ()  # only these; empty means every target with a champion
    explain: bool = True  # whether to find everybody's reasons
    threads: int = 1  # blocks of portraits at work at a time
    on_spark: bool = False  # whether Spark's executors score the blocks


def score_all(home: Home, request: ScoreRequest, progress: Progress = SILENT) -> dict[str, ScoreReport | BundleError]:
    """Scores the whole base on each target, as the one run of this home.

    A champion that must not be loaded, or does not fit these portraits, is answered as its error; the others go on.

    Returns:
        Target to what was written, or to why not; a target without a champion is left out unless it was named.

    Raises:
        NotReadyError: If no portraits of the date are built, or a target that was named has no champion.
    """
    from serving.scoring.batch.base import score_targets

    with exclusive_run(home, "score"):
        return score_targets(
            home, request.targets or champions(home), request.as_of, explain=request.explain, threads=request.threads,
            progress=progress, on_spark=request.on_spark,
        )  # fmt: skip


def score(journey: Journey, progress: Progress) -> dict[str, Any]:
    """Returns `{"targets": {target: {"rows", "refused", "version", "base_rate", "mean", "explained", "seconds"}}}`.

    A target without a champion is left out: the training names its refusal. A champion that was refused is answered
    as `{"rows": 0, "reason": ...}`.

    Raises:
        NotReadyError: If the journey has no as-of date or the portraits of it are not built.
    """
    if journey.as_of is None:
        raise NotReadyError("score: no as-of date", remedy="run `insight ingest` first, or give --as-of")
    targets = champions(journey.home)
    if journey.targets:
        targets = tuple(target for target in targets if target in journey.targets)
    if not targets:
        return {"targets": {}}
    found = score_all(journey.home, ScoreRequest(journey.as_of, targets, threads=journey.threads), progress)
    return {"targets": {target: _summary(result) for target, result in found.items()}}


def champions(home: Home) -> tuple[str, ...]:
    """Returns the targets that have a champion, by name."""
    return tuple(sorted(pointer.parent.name for pointer in home.bundles.glob("*/champion.json")))


def _summary(result: ScoreReport | BundleError) -> dict[str, Any]:
    if isinstance(result, BundleError):
        return {"rows": 0, "reason": result.message}
    names = ("rows", "refused", "version", "base_rate", "mean", "explained", "seconds")
    shadow = {} if result.shadow is None else {"shadow": result.shadow}
    return {name: getattr(result, name) for name in names} | shadow
