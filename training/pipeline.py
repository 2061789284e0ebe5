"""One target from feeds to a promoted bundle: the steps in order."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from features.kit.errors import InsightError
from features.kit.home import Home
from features.kit.progress import SILENT, Progress
from training import bundle
from training.card import card
from training.dataset.dataset import Dataset, spine
from training.dataset.prepare import Prepared, no_dates, positives, prepare, training_dates
from training.evaluation import stored, written
from training.evaluation.champion import champion_on, known_by
from training.evaluation.evaluate import Judged, evaluate
from training.evaluation.verdict import Verdict, judge
from training.labels.history import History
from training.labels.targets import Target
from training.leakage.audit import audit, gate
from training.model.modelling import Fitted, fit
from training.monitor.reference import FILE as REFERENCE
from training.monitor.reference import reference_of
from training.registry import promote, tracking
from training.registry.packing import log, write_bundle
from training.tuning.search import Budget, Tuned, tuned

if TYPE_CHECKING:
    from features.feeds.landed.reading import Feeds
    from features.portraits.reading import Portraits

Say = Callable[[str], None]
SLICES = ("vip_tier", "province")
"""Groups of customers whose calibration is judged apart, beside the class."""


def say_on_stderr(line: str) -> None:
    """Tells a person something that must not be missed."""
    print(line, file=sys.stderr, flush=True)


def train_target(
    home: Home, target: Target, feeds: Feeds, history: History, *, as_of: date | None = None, seed: int = 7,
    threads: int = 1, tune: Budget | None = None, may_promote: bool = True, progress: Progress = SILENT,
    say: Say = say_on_stderr,
) -> dict[str, Any]:  # fmt: skip
    """Trains one target, writes its bundle, records it and promotes it if the written rule allows.

    Args:
        home: The state.
        target: The target's configuration.
        feeds: The landed feeds.
        history: The same feeds, opened for labels and cohorts.
        as_of: Pretend that nothing later has been delivered; None means all that has.
        seed: Of everything random.
        threads: Native threads.
        tune: Search better learner settings first, within this budget.
        may_promote: False leaves the champion as it is.
        progress: Shown while it runs.
        say: Told what must not be missed.

    Returns:
        The summary that ends in `--json`. A target that the data cannot carry is a refusal, not an error:
        `promoted: false` with a `reason`: `no_feed`, `no_labelled_dates`, `too_few_positives`, `split_overlap` or
        `dimension_emptied`.
    """
    from features.portraits.reading import Portraits

    portraits = Portraits.open(home)
    if not target.supported(feeds.names):
        wanted = sorted({feed for event in target.events for feed in event.needs} - set(feeds.names))
        return refusal(home, target, "no_feed", f"needs {', '.join(wanted)}", say=say)
    dates = training_dates(feeds, portraits.as_of_dates(), target, as_of)
    if not dates:
        return refusal(home, target, "no_labelled_dates", "; ".join(no_dates(portraits, as_of)), say=say)
    chosen = spine(history, target, dates, progress=progress)
    to_learn, to_judge = positives(chosen, target)
    rule = target.promotion
    if to_learn < rule.min_training_positives or to_judge < rule.min_test_positives:
        why = (
            f"{to_learn} in training (at least {rule.min_training_positives}) and {to_judge} in the test windows "
            f"(at least {rule.min_test_positives})"
        )
        why = "; ".join(filter(None, (why, portraits.to_build_again())))
        return refusal(home, target, promote.TOO_FEW, why, say=say, positives=int(chosen.labels.sum()))
    with progress.step(f"{target.name}: portraits"):
        prepared = prepare(home, target, chosen, seed=seed, threads=threads)
    whole = prepared.data
    with progress.step(f"{target.name}: leakage check"):
        leaks = audit(prepared, feeds, portraits, target.embargo_days, seed=seed, threads=threads)
        for leak in leaks:
            say(f"{target.name}: {leak.effect.replace('_', ' ')}: '{leak.name}' ({leak.kind}): {leak.evidence}")
        passed = gate(prepared, leaks, portraits)
        if passed.refused:
            return refusal(home, target, passed.refused, passed.why, say=say, leaks=len(leaks))
        prepared = passed.prepared
    found: Tuned | None = None
    if tune is not None:
        found = tuned(
            target, prepared.data, prepared.split, seed=seed, threads=threads, budget=tune, store=home.studies,
            progress=progress,
        )  # fmt: skip
        target = found.target
        prepared = replace(prepared, notes=(*prepared.notes, f"tuning: {found.sentence}"))
    fitted = fit(target, prepared.data, prepared.split, prepared.final, seed=seed, threads=threads, progress=progress)
    with progress.step(f"{target.name}: judgement"):
        judged = judged_rows(home, target, prepared, fitted, portraits)
        metrics = evaluate(judged)
        # The champion may read a column that leaks by now; the gate may also have left rows out.
        rows = whole.take(stored.places(prepared.data.rows[fitted.rows], whole.rows))
        verdict = judged_beside_the_champion(home, target, judged, metrics, rows, portraits.feature_list.identity)
    with progress.step(f"{target.name}: bundle"):
        known = known_by(prepared.data.as_of.max(), target.embargo_days)
        proof = written.files(target, verdict, judged, metrics, prepared.data, known)
        last, names = prepared.data.as_of.max().astype(object), prepared.data.names
        usual = {
            REFERENCE: reference_of(feeds, portraits, last, names, fitted.model, fitted.calibration, threads=threads)
        }
        version = write_bundle(
            home, target, prepared, fitted, metrics, leaks, portraits.feature_list.identity, threads,
            extra=proof | usual | (found.pictures if found else {}),
        )  # fmt: skip
    folder = home.bundles / target.name / version
    # The champion trained again comes out as itself: it goes on serving, whatever it earns beside itself.
    promoted = verdict.promoted or version == verdict.compared_with
    reason = promote.PROMOTED if promoted else verdict.rule
    if promoted and card.missing_in(folder):
        promoted, reason = False, card.INCOMPLETE
    with progress.step(f"{target.name}: registry"):
        log(home, target, version, prepared, fitted, metrics)
        if promoted and may_promote:
            promote.promote(home, target.name, version, verdict=verdict.plain())
    return metrics | {
        "positives": int(chosen.labels.sum()),
        "training_positives": to_learn,
        "promoted": promoted and may_promote,
        "reason": reason if may_promote or not promoted else "not_asked",
        "rule": verdict.rule,
        "compared_with": verdict.compared_with,
        "profit": verdict.figures.get("profit"),
        "profit_gap": verdict.figures.get("profit_gap"),
        "version": version,
        "folds": prepared.split.kind,
        "features": len(prepared.data.features),
        "learned_rows": fitted.learned_rows,
        "unmatched": prepared.data.unmatched,
        "left_out": [leak.as_dict() for leak in leaks],
        "skipped": chosen.skipped,
        "notes": [*prepared.notes, *fitted.notes],
        "tuning": found.facts if found else None,
        "shap": str(folder / "shap.png"),
        "card": str(folder / bundle.CARD),
        "verdict": str(folder / written.PAGE),
    }


def judged_beside_the_champion(
    home: Home, target: Target, judged: Judged, metrics: dict[str, Any], rows: Dataset, identity: str
) -> Verdict:
    """Returns the verdict on the judged rows, with the champion scored on the same rows where it can be."""
    champion, why_none = champion_on(home, target.name, judged, rows, identity)
    return judge(
        target.promotion,
        target.value,
        judged,
        metrics,
        champion,
        why_none=why_none,
        population_rate=None if target.prior is None else target.prior.population_rate,
    )


def refusal(home: Home, target: Target, reason: str, why: str, *, say: Say, **facts: Any) -> dict[str, Any]:
    """Returns the summary of a target that cannot be trained, after saying and recording it."""
    say(f"{target.name}: no model, {reason}: {why}")
    tracking.log_training(
        home, target.name, "", parameters={}, metrics=facts, tags={"reason": reason, "why": why}, folder=None
    )
    return {"promoted": False, "reason": reason, "why": why, "auc": None, "version": None, **facts}


def judged_rows(home: Home, target: Target, prepared: Prepared, fitted: Fitted, portraits: Portraits) -> Judged:
    """Returns the judged rows with their customer classes and, on the simulator, the true probabilities."""
    data = prepared.data.take(fitted.rows)
    classes = np.full(len(data.labels), "", dtype=object)
    slices = {
        name: np.full(len(data.labels), "unknown", dtype=object)
        for name in SLICES
        if name in portraits.feature_list.names
    }
    truth = np.full(len(data.labels), np.nan)
    for day in np.unique(data.as_of):
        rows, as_of = np.flatnonzero(data.as_of == day), day.astype(object)
        told = portraits.read(as_of, ["customer_id", "primary_class", *slices])
        ids = told["customer_id"].to_pylist()
        class_of = dict(zip(ids, told["primary_class"].to_pylist(), strict=True))
        classes[rows] = [class_of.get(customer) or "unclassified" for customer in data.customers[rows]]
        for name, values in slices.items():
            value_of = dict(zip(ids, told[name].to_pylist(), strict=True))
            values[rows] = [str(value_of.get(customer) or "unknown") for customer in data.customers[rows]]
        known = oracle(home, target.name, as_of)
        truth[rows] = [known.get(customer, np.nan) for customer in data.customers[rows]]
    return Judged(
        data.customers,
        data.labels,
        data.kinds,
        fitted.scores,
        fitted.propensities,
        classes.astype(str),
        None if np.isnan(truth).all() else truth,
        as_of=data.as_of,
        slices={name: values.astype(str) for name, values in slices.items()},
        weights=data.weights,
    )


def oracle(home: Home, target: str, as_of: date) -> dict[str, float]:
    """Returns the simulator's true probabilities, for evaluation only; empty where there is no simulator."""
    if not (home.simulation / "oracle").exists():
        return {}
    from features.simulator.oracle.oracle import read_probabilities

    try:
        table = read_probabilities(home.simulation, target, as_of)
    except InsightError:
        return {}
    return dict(zip(table["customer_id"].to_pylist(), table["probability"].to_pylist(), strict=True))
