"""What a training leaves behind: the bundle with its card, pictures and written verdict, and the run in MLflow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.kit.arrays import Floats
from features.kit.clock import utc_now
from features.kit.home import Home
from features.portraits.feature_list import FeatureList
from training import bundle
from training.card import card
from training.card.card_texts import load_texts
from training.dataset.prepare import Prepared
from training.evaluation.judgement import Judgement
from training.explanation import drawing, pictures
from training.explanation.summary import by_dimension, importance
from training.labels.history import Records
from training.labels.targets import Target
from training.leakage.findings import Leak
from training.model.modelling import Fitted
from training.monitor.reference import FILE as REFERENCE
from training.monitor.reference import reference_of
from training.registry import provenance, tracking
from training.tuning.search import Tuned


@dataclass(frozen=True)
class Candidate:
    """A trained model with everything that its bundle tells of it."""

    target: Target  # the target with the settings that were used
    prepared: Prepared
    leaks: tuple[Leak, ...]
    fitted: Fitted
    judgement: Judgement
    tuned: Tuned | None = None  # what a search for better settings found, or None


def write_bundle(records: Records, candidate: Candidate, *, threads: int) -> str:
    """Writes the bundle with its card and written verdict, and returns its version; its pictures are to come."""
    home, target, fitted, metrics = records.home, candidate.target, candidate.fitted, candidate.judgement.metrics
    data, model, calibration = candidate.prepared.data, fitted.model, fitted.calibration
    last = data.as_of.max().astype(object)
    values = data.values[fitted.rows]
    few = np.sort(np.random.default_rng(0).permutation(len(values))[: pictures.SUMMARY_ROWS])
    contributions = model.booster_.predict(values[few], pred_contrib=True, num_threads=threads)
    # The golden rows span the whole range of scores.
    by_score = np.lexsort((data.customers[fitted.rows], fitted.scores))
    golden = values[by_score[np.linspace(0, len(values) - 1, bundle.GOLDEN_ROWS).astype(int)]]
    text, data_hash = model.model_text, data.content_hash()
    hashes = (data_hash, target.content_hash(), load_texts().content_hash())
    version = bundle.version_name(last, text, calibration, *hashes)
    left_out = {leak.name: f"{leak.kind}: {leak.evidence}" for leak in candidate.leaks if leak.effect != "reported"}
    rate = float(metrics["base_rate"])
    prior = {} if target.prior is None else {"prior": target.prior.model_dump() | {"sample_rate": rate}}
    manifest = bundle.Manifest(
        target=target.name,
        version=version,
        created_at=utc_now().isoformat(),
        portrait_identity=records.portraits.feature_list.identity,
        features=data.features,
        base_rate=rate if target.prior is None else target.prior.population_rate,
        lead_days=target.lead_days,
        horizon_days=target.horizon_days,
        label_delay_days=target.label_delay_days,
        data_hash=data_hash,
        config_hash=target.content_hash(),
        code_version=provenance.code_version(),
        lock_hash=provenance.lock_hash(),
        metrics=metrics,
        learner=target.learner.model_dump() | {"calibration": fitted.method} | prior,
        left_out=left_out,
    )
    extra = card.pages(card_facts(home, candidate, manifest, contributions))
    extra |= candidate.judgement.files(target, data)
    extra[REFERENCE] = reference_of(records, last, data.names, model, calibration, threads=threads)
    extra |= candidate.tuned.pictures if candidate.tuned else {}
    drawing.keep(home.bundles, target.name, version, contributions, values[few], data.names)
    bundle.write(home.bundles, manifest, text, calibration, golden, extra.pop(bundle.CARD).decode(), extra)
    return version


def card_facts(home: Home, candidate: Candidate, manifest: bundle.Manifest, contributions: Floats) -> card.CardFacts:
    """Returns what the card tells of this training."""
    prepared, fitted = candidate.prepared, candidate.fitted
    data, days = prepared.data, np.unique(prepared.data.as_of)
    features = FeatureList.load_identity(home, manifest.portrait_identity).features
    dimension_of = {feature.name: feature.dimension for feature in features}
    dimensions = [dimension_of[name] for name in data.names]
    return card.CardFacts(
        candidate.target,
        manifest.version,
        data={
            "labelled_rows": f"{prepared.spine.table.num_rows:,}",
            "positive_rows": f"{int(prepared.spine.labels.sum()):,}",
            "learned_rows": f"{fitted.learned_rows:,}",
            "decided_rows": f"{sum(day['decided'] for day in prepared.spine.log):,}",
            "unmatched_rows": data.unmatched,
            "features": len(data.features),
            "portraits": manifest.portrait_identity,
            "data_hash": manifest.data_hash,
            "config_hash": manifest.config_hash,
            "code_version": manifest.code_version,
            "lock_hash": manifest.lock_hash,
        },
        dates=(str(days[0]), str(days[-1]), len(days)),
        folds=prepared.split.log,
        metrics=manifest.metrics,
        method=fitted.method,
        importance=importance(contributions, data.names),
        by_dimension=by_dimension(contributions, dimensions),
        dimensions={name: dimensions.count(name) for name in dict.fromkeys(dimensions)},
        left_out=manifest.left_out,
        skipped=prepared.spine.skipped,
        notes=[*prepared.notes, *fitted.notes],
        pictures={"reasons": (drawing.SUMMARY,), "calibration": (drawing.RELIABILITY,)},
    )


def log(home: Home, candidate: Candidate, version: str) -> None:
    """Records the training in MLflow."""
    target, prepared, fitted = candidate.target, candidate.prepared, candidate.fitted
    tracking.log_training(
        home,
        target.name,
        version,
        parameters=target.learner.model_dump()
        | {
            "calibration": fitted.method,
            "features": len(prepared.data.features),
            "folds": prepared.split.kind,
            "learned_rows": fitted.learned_rows,
            "config_hash": target.content_hash(),
        },
        metrics=candidate.judgement.metrics,
        tags={
            "target": target.name,
            "bundle_version": version,
            "data_hash": prepared.data.content_hash(),
            "code_version": provenance.code_version(),
            "lock_hash": provenance.lock_hash(),
        },
        folder=home.bundles / target.name / version,
    )
