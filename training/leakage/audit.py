"""The whole audit of one target, in order, and what training does about each finding."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from training.dataset.dataset import Dataset
from training.dataset.duplicates import Twins, twins
from training.dataset.prepare import Prepared
from training.leakage.columns import leaking_columns
from training.leakage.findings import Leak, leak
from training.leakage.provenance import unfounded_columns
from training.leakage.rows import duplicates, overlaps, without_rows
from training.leakage.stamps import young_fields
from training.leakage.statistics import customers_ordered_by_label

if TYPE_CHECKING:
    from features.feeds.landed.reading import Feeds
    from features.portraits.reading import Portraits

OVERLAP, EMPTIED = "split_overlap", "dimension_emptied"


@dataclass(frozen=True)
class Gate:
    """What may be trained on.

    Attributes:
        prepared: The matrix without leaking columns and repeated rows.
        leaks: Every finding.
        refused: Why training must not go on (`split_overlap`, `dimension_emptied`), or an empty string.
        why: The same in words.
    """

    prepared: Prepared
    leaks: tuple[Leak, ...]
    refused: str = ""
    why: str = ""


def audit(
    prepared: Prepared, feeds: Feeds, portraits: Portraits, embargo_days: int, *, seed: int, threads: int = 1
) -> tuple[Leak, ...]:
    """Returns every finding on a target's matrix, folds, portraits and feeds; a column is named once, by its cause.

    Args:
        prepared: The matrix and its folds.
        feeds: The landed feeds.
        portraits: The stored portraits.
        embargo_days: The smallest allowed gap between training and test dates.
        seed: Of draws and trial models.
        threads: Native threads.
    """
    is_snapshot = feeds.operator.snapshot_on is not None
    caused: tuple[Leak, ...] = ()
    if not is_snapshot:  # a snapshot's rows have no history that could be replayed; every column is unproven there
        dates = [day.astype(object) for day in np.unique(prepared.data.as_of)]
        caused = (
            *unfounded_columns(feeds, portraits, dates, seed=seed, threads=threads),
            *young_fields(feeds, max(dates), threads=threads),
        )
    shown = audit_matrix(
        prepared, unproven_columns(portraits, snapshot=is_snapshot), embargo_days, seed=seed, threads=threads
    )
    return merged(caused, shown)


def audit_matrix(
    prepared: Prepared, unproven: Collection[str], embargo_days: int, *, seed: int, threads: int = 1
) -> tuple[Leak, ...]:
    """Returns the findings that matrix and folds show by themselves."""
    data = prepared.data
    ordered = customers_ordered_by_label(data)
    return (
        *overlaps(data, prepared.split, embargo_days),
        *duplicates(prepared.twins or twins(data)),
        *((leak("customer_id", "id_order", ordered, effect="told"),) if ordered else ()),
        *leaking_columns(data, prepared.final, prepared.split.rows("test"), unproven, seed=seed, threads=threads),
    )


def merged(*parts: tuple[Leak, ...]) -> tuple[Leak, ...]:
    """Returns the findings of all parts by name; of two on one name the earlier part knows the cause better."""
    found: dict[str, Leak] = {}
    for one in (one for part in parts for one in part):
        found.setdefault(one.name, one)
    return tuple(found[name] for name in sorted(found))


def gate(prepared: Prepared, leaks: tuple[Leak, ...], portraits: Portraits) -> Gate:
    """Returns what may be trained on after an audit."""
    overlapping = [one for one in leaks if one.effect == "training_refused"]
    if overlapping:
        return Gate(prepared, leaks, OVERLAP, "; ".join(f"{one.name}: {one.evidence}" for one in overlapping))
    columns = [one.name for one in leaks if one.effect == "column_left_out"]
    emptied = emptied_dimensions(prepared.data, columns, portraits)
    if emptied:
        why = f"nothing is left of {', '.join(emptied)} without {', '.join(columns)}, which leak the label"
        return Gate(prepared, leaks, EMPTIED, why)
    kept = prepared
    if any(one.effect == "rows_left_out" for one in leaks):
        repeated = (prepared.twins or twins(prepared.data)).repeated
        data, split, final = without_rows(prepared.data, prepared.split, prepared.final, repeated)
        kept = replace(prepared, data=data, split=split, final=final, twins=Twins(0, 0, repeated[:0]))
    return Gate(replace(kept, data=kept.data.without(columns)) if columns else kept, leaks)


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
