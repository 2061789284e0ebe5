"""The champion on a challenger's test rows: what it promised or would have promised, and what it had seen of them.

A served model is learned from all rows that were labelled then, so scoring rows of that time again would flatter it.
Where the champion's own bundle holds out-of-time scores of the same rows (from models that saw nothing of them), those
count. Elsewhere its served model scores them; that is fair only on as-of dates by which all its labels were known.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from features.kit.arrays import Floats
from features.kit.errors import BundleError, DataError
from features.kit.files import read_json
from features.kit.home import Home
from training import bundle
from training.dataset.dataset import Dataset
from training.evaluation import stored
from training.evaluation.evaluate import Judged
from training.evaluation.verdict import Champion
from training.model.calibrate import at_rate


def champion_on(
    home: Home, target: str, judged: Judged, rows: Dataset, portrait_identity: str
) -> tuple[Champion | None, str]:
    """Returns the champion on the judged rows, or None and why it cannot be compared.

    `rows` are the features of the judged rows in the same order, with every column that a champion may need;
    `portrait_identity` is their feature list.
    """
    try:
        folder = bundle.champion(home.bundles, target)
        if folder is None:
            return None, "there is no champion yet"
        manifest = bundle.verify(folder)
        if bundle.meaning_of(manifest.portrait_identity) != bundle.meaning_of(portrait_identity):
            return None, f"the champion {manifest.version} reads other portraits ({manifest.portrait_identity})"
        return _on(folder, manifest, judged, rows), ""
    except BundleError as error:
        return None, f"the champion cannot be compared: {error.message}"


def learned_until(folder: Path) -> np.datetime64 | None:
    """Returns the day by which all labels that a version learned from were known, or None if it does not say."""
    try:
        content = read_json(folder / bundle.EVALUATION)
        return np.datetime64(str(content["learned_from"]["labels_known_by"]), "D")
    except (OSError, DataError, KeyError, TypeError, ValueError):
        return None


def known_by(last_as_of: Any, embargo_days: int) -> str:
    """Returns the day by which the labels of the last as-of date are known, ISO."""
    last = np.datetime64(last_as_of, "D").astype(object)
    return str((last + timedelta(days=embargo_days)).isoformat())


def _on(folder: Path, manifest: bundle.Manifest, judged: Judged, rows: Dataset) -> Champion:
    count = len(judged.labels)
    propensities, is_fair = np.full(count, np.nan), np.zeros(count, dtype=bool)
    from_store = 0
    if bundle.JUDGED in manifest.files:
        before = stored.read_judged(folder)
        wanted = stored.row_keys(stored.pseudonyms(judged.customers), rows.as_of)
        at = stored.places(wanted, stored.keys_of(before))
        known = at >= 0
        propensities[known], is_fair[known] = before.propensities[at[known]], True
        from_store = int(known.sum())
    rest = np.flatnonzero(np.isnan(propensities))
    if len(rest):
        propensities[rest] = _served(folder, rows.take(rest))
        until = learned_until(folder)
        if until is not None:
            is_fair[rest] = rows.as_of[rest] >= until
    scored = int(is_fair.sum()) - from_store
    seen = (
        f"{manifest.version}: {from_store:,} rows by its own stored out-of-time scores, {scored:,} by its served "
        f"model, which had seen nothing of them, {count - from_store - scored:,} by its served model, which may have "
        "seen them"
    )
    return Champion(manifest.version, propensities, is_fair, seen)


def _served(folder: Path, rows: Dataset) -> Floats:
    """Returns what the served model promises for some rows, on the scale of the rows it was judged on."""
    loaded = bundle.load(folder)
    at = loaded.positions(rows.features)
    promised = loaded.propensity(loaded.margins(np.ascontiguousarray(rows.values[:, at])))
    prior = loaded.manifest.learner.get("prior")
    return at_rate(promised, prior["population_rate"], prior["sample_rate"]) if prior else promised
