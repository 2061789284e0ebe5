"""The end of a training: its bundle is written and recorded, and becomes champion where its verdict allows.

A training that was refused ends here too: with a record and a summary, and without a bundle.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from features.kit.home import Home
from features.kit.terminal.progress import SILENT, Progress
from training import bundle
from training.card import card
from training.dataset.prepare import positives
from training.evaluation import written
from training.labels.history import Records
from training.refusals import TrainingRefusedError
from training.registry import tracking
from training.registry.packing import Candidate, log, write_bundle
from training.registry.promote import promote


class Reason(StrEnum):
    """Why a version serves or not, where it is no rule of its verdict."""

    PROMOTED = "promoted"
    NOT_ASKED = "not_asked"
    INCOMPLETE_CARD = card.INCOMPLETE


def release(
    records: Records, candidate: Candidate, *, may_promote: bool = True, threads: int = 1, progress: Progress = SILENT
) -> dict[str, Any]:
    """Writes a candidate's bundle, records it, promotes it if its verdict allows, and returns the training's summary.

    With `may_promote` false the champion stays as it is.
    """
    home, name, verdict = records.home, candidate.target.name, candidate.judgement.verdict
    with progress.step(f"{name}: bundle"):
        version = write_bundle(records, candidate, threads=threads)
    folder = home.bundles / name / version
    # The champion trained again comes out as itself: it goes on serving, whatever it earns beside itself.
    promoted = verdict.promoted or version == verdict.compared_with
    reason: str = Reason.PROMOTED if promoted else verdict.rule
    if promoted and card.missing_in(folder):
        promoted, reason = False, Reason.INCOMPLETE_CARD
    if promoted and not may_promote:
        promoted, reason = False, Reason.NOT_ASKED
    with progress.step(f"{name}: registry"):
        log(home, candidate, version)
        if promoted:
            promote(home, name, version, verdict=verdict.plain())
    prepared, fitted, tuned = candidate.prepared, candidate.fitted, candidate.tuned
    return candidate.judgement.metrics | {
        "positives": int(prepared.spine.labels.sum()),
        "training_positives": positives(prepared.spine, candidate.target)[0],
        "promoted": promoted,
        "reason": reason,
        "rule": verdict.rule,
        "compared_with": verdict.compared_with,
        "profit": verdict.figures.get("profit"),
        "profit_gap": verdict.figures.get("profit_gap"),
        "version": version,
        "folds": prepared.split.kind,
        "features": len(prepared.data.features),
        "learned_rows": fitted.learned_rows,
        "unmatched": prepared.data.unmatched,
        "left_out": [leak.as_dict() for leak in candidate.leaks],
        "skipped": prepared.spine.skipped,
        "notes": [*prepared.notes, *fitted.notes],
        "tuning": tuned.facts if tuned else None,
        "shap": str(folder / "shap.png"),
        "card": str(folder / bundle.CARD),
        "verdict": str(folder / written.PAGE),
    }


def record_refusal(home: Home, target: str, refused: TrainingRefusedError) -> dict[str, Any]:
    """Records a training that made no model, and returns its summary."""
    tags = {"reason": refused.refusal.value, "why": refused.why}
    tracking.log_training(home, target, "", parameters={}, metrics=refused.facts, tags=tags, folder=None)
    return {"promoted": False, **tags, "auc": None, "version": None, **refused.facts}
