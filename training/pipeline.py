"""One target from feeds to a promoted bundle: labels -> dataset -> model -> evaluation -> release."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from features.kit.cli import as_typed
from features.kit.terminal.progress import SILENT, Progress
from training.dataset.prepare import prepare, refuse_too_few
from training.evaluation.judgement import judge_candidate
from training.evaluation.verdict import TOO_GOOD
from training.labels.history import Records
from training.labels.spine import labelled
from training.leakage.audit import without_leaks
from training.leakage.report import AuditRequest
from training.model.modelling import fit
from training.refusals import TrainingRefusedError
from training.registry.packing import Candidate
from training.registry.release import record_refusal, release
from training.tuning.few_rows import for_split
from training.tuning.search import Budget, tuned


@dataclass(frozen=True)
class TrainRequest(AuditRequest):
    """What one training is asked to do, on the rows that an audit of the same request would look at."""

    search: Budget | None = None  # search better learner settings first, within this budget
    may_promote: bool = True  # false leaves the champion as it is


def print_on_stderr(line: str) -> None:
    """Prints what a person must not miss; its commands can be pasted."""
    print(as_typed(line), file=sys.stderr, flush=True)


def train_target(
    records: Records, request: TrainRequest, *, progress: Progress = SILENT,
    say: Callable[[str], None] = print_on_stderr,
) -> dict[str, Any]:  # fmt: skip
    """Trains one target, writes its bundle, records it and promotes it if the written rule allows.

    `say` gets what must not be missed.

    Returns:
        The summary that ends in `--json`. A target that the data cannot carry is a refusal, not an error:
        `promoted: false` with a code of `Refusal` as its `reason`.
    """
    target, seed, threads = request.target, request.seed, request.threads
    try:
        spine = labelled(records, target, request.as_of, progress=progress)
        refuse_too_few(target, spine, records.portraits)
        with progress.step(f"{target.name}: portraits"):
            prepared = prepare(records.home, target, spine, seed=seed)
        with progress.step(f"{target.name}: leakage check"):
            clean = without_leaks(records, target, prepared, seed=seed, threads=threads, say=say)
    except TrainingRefusedError as refused:
        say(f"{target.name}: no model, {refused.refusal}: {refused.why}")
        return record_refusal(records.home, target.name, refused)
    prepared, found = clean.prepared, None
    with progress.step(f"{target.name}: settings"):
        target, sentence = for_split(target, prepared.data, prepared.split, seed=seed, threads=threads)
    if sentence:
        prepared = replace(prepared, notes=(*prepared.notes, f"settings: {sentence}"))
    if request.search is not None:
        found = tuned(
            target, prepared.data, prepared.split, seed=seed, threads=threads, budget=request.search,
            store=records.home.studies, progress=progress,
        )  # fmt: skip
        target = found.target
        prepared = replace(prepared, notes=(*prepared.notes, f"tuning: {found.sentence}"))
    fitted = fit(target, prepared.data, prepared.split, prepared.final, seed=seed, threads=threads, progress=progress)
    with progress.step(f"{target.name}: judgement"):
        judgement = judge_candidate(records, target, prepared.data, clean.whole, fitted)
    candidate = Candidate(target, prepared, clean.leaks, fitted, judgement, found)
    result = release(records, candidate, may_promote=request.may_promote, threads=threads, progress=progress)
    if result["rule"] == TOO_GOOD and not result["promoted"]:
        say(
            f"{target.name}: AUC {result['auc']:.3f} is above promotion.max_auc {target.promotion.max_auc}: look for a "
            f"leak, or record why it is none  -> insight promote {target.name} {result['version']} --override 'why'"
        )
    return result
