"""The whole audit of one target, in order, and what training does about each finding."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import numpy as np

from features.portraits.reading import Portraits
from training.dataset.dataset import Dataset
from training.dataset.duplicates import Twins, twins
from training.dataset.prepare import Prepared
from training.labels.history import Records
from training.labels.targets import Target
from training.leakage.columns import leaking_columns
from training.leakage.findings import Leak, leak
from training.leakage.provenance import unfounded_columns
from training.leakage.rows import duplicates, overlaps, without_rows
from training.leakage.stamps import young_fields
from training.leakage.statistics import customers_ordered_by_label
from training.refusals import Refusal, TrainingRefusedError


@dataclass(frozen=True)
class Gate:
    """What may be trained on."""

    prepared: Prepared  # the matrix without leaking columns and repeated rows
    leaks: tuple[Leak, ...]
    whole: Dataset  # the matrix with them: a champion may read a column that leaks by now
    refused: Refusal | None = None  # why training must not go on, or None
    why: str = ""


def without_leaks(
    records: Records, target: Target, prepared: Prepared, *, seed: int, threads: int, say: Callable[[str], None]
) -> Gate:
    """Returns what may be trained on, after saying every finding. Raises TrainingRefusedError if nothing may."""
    leaks = audit(records, target, prepared, seed=seed, threads=threads)
    for found in leaks:
        say(f"{target.name}: {found.effect.replace('_', ' ')}: '{found.name}' ({found.kind}): {found.evidence}")
    passed = gate(prepared, leaks, records.portraits)
    if passed.refused:
        raise TrainingRefusedError(target.name, passed.refused, passed.why, leaks=len(leaks))
    return passed


def audit(records: Records, target: Target, prepared: Prepared, *, seed: int, threads: int = 1) -> tuple[Leak, ...]:
    """Returns every finding on a target's matrix, folds, portraits and feeds; a column is named once, by its cause."""
    feeds, portraits = records.feeds, records.portraits
    is_snapshot = feeds.operator.snapshot_on is not None
    caused: tuple[Leak, ...] = ()
    if not is_snapshot:  # a snapshot's rows have no history that could be replayed; every column is unproven there
        dates = [day.astype(object) for day in np.unique(prepared.data.as_of)]
        caused = (
            *unfounded_columns(feeds, portraits, dates, seed=seed, threads=threads),
            *young_fields(feeds, max(dates), threads=threads),
        )
    unproven = unproven_columns(portraits, snapshot=is_snapshot)
    return merged(caused, audit_matrix(prepared, unproven, target.embargo_days, seed=seed, threads=threads))


def audit_matrix(
    prepared: Prepared, unproven: Collection[str], embargo_days: int, *, seed: int, threads: int = 1
) -> tuple[Leak, ...]:
    """Returns the findings that matrix and folds show by themselves."""
    data = prepared.data
    ordered = customers_ordered_by_label(data)
    return (
        *overlaps(data, prepared.split, embargo_days),
        *duplicates(prepared.twins or twins(data)),
        *((leak("customer_id", "id_order", ordered, effect="reported"),) if ordered else ()),
        *leaking_columns(data, prepared.final, prepared.split.rows("test"), unproven, seed=seed, threads=threads),
    )


def merged(*parts: tuple[Leak, ...]) -> tuple[Leak, ...]:
    """Returns the findings of all parts by name; of two on one name the earlier part knows the cause better."""
    found: dict[str, Leak] = {}
    for finding in (finding for part in parts for finding in part):
        found.setdefault(finding.name, finding)
    return tuple(found[name] for name in sorted(found))


def gate(prepared: Prepared, leaks: tuple[Leak, ...], portraits: Portraits) -> Gate:
    """Returns what may be trained on after an audit."""
    whole = prepared.data
    overlapping = [f"{found.name}: {found.evidence}" for found in leaks if found.effect == "training_refused"]
    if overlapping:
        return Gate(prepared, leaks, whole, Refusal.SPLIT_OVERLAP, "; ".join(overlapping))
    columns = [found.name for found in leaks if found.effect == "column_left_out"]
    emptied = emptied_dimensions(prepared.data, columns, portraits)
    if emptied:
        why = (
            f"nothing is left of {', '.join(emptied)} without {', '.join(columns)}, which leak the label: deliver them "
            f"as they were known on each date, or drop them from the mapping"
        )
        return Gate(prepared, leaks, whole, Refusal.DIMENSION_EMPTIED, why)
    kept = prepared
    if any(found.effect == "rows_left_out" for found in leaks):
        repeated = (prepared.twins or twins(prepared.data)).repeated
        data, split, final = without_rows(prepared.data, prepared.split, prepared.final, repeated)
        kept = replace(prepared, data=data, split=split, final=final, twins=Twins(0, 0, repeated[:0]))
    return Gate(replace(kept, data=kept.data.without(columns)) if columns else kept, leaks, whole)


def emptied_dimensions(data: Dataset, left_out: Collection[str], portraits: Portraits) -> list[str]:
    """Returns the dimensions that had any value and have none without some columns, alphabetically."""
    dimension = {feature.name: feature.dimension for feature in portraits.feature_list.features}
    filled = {name for place, name in enumerate(data.names) if not np.isnan(data.values[:, place]).all()}
    before = {dimension[name] for name in filled if name in dimension}
    after = {dimension[name] for name in filled - set(left_out) if name in dimension}
    return sorted(before - after)


def unproven_columns(portraits: Portraits, *, snapshot: bool) -> frozenset[str]:
    """Returns the features whose knowledge time nobody can prove, so that even their blanks may carry the label.

    On a snapshot that is all of them. Elsewhere it is the operator's declared attributes: every other feature is
    computed from events known before the as-of date, and is blank where there were none.
    """
    return frozenset(
        feature.name for feature in portraits.feature_list.features if snapshot or feature.dimension == "attributes"
    )
