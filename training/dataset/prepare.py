"""From labelled customers and their portraits to a matrix with folds: everything before a model is fitted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from features.kit.arrays import Rows
from features.kit.errors import ConfigurationError, NotReadyError
from features.kit.home import Home
from features.kit.terminal.spelling import close_names
from features.portraits.reading import Portraits
from training.dataset.dataset import Dataset, dataset, thinned, thinned_split
from training.dataset.duplicates import Twins, twins, without_duplicates
from training.dataset.splits import Split, grouped_split, places_among, temporal_split, there
from training.labels.spine import Spine
from training.labels.targets import Target
from training.refusals import Refusal, TrainingRefusedError

DAYS_OF_MONTH = 4
MAX_REPEATED = 0.05
"""A larger share of equal rows comes from few columns, not from records delivered twice."""


@dataclass(frozen=True)
class Prepared:
    """A matrix, its folds, and how they came about."""

    spine: Spine
    data: Dataset  # the matrix of the rows that are needed
    split: Split  # folds over the rows of `data`
    final: Rows  # the rows that the served model is learned from
    notes: tuple[str, ...]
    twins: Twins | None = None  # rows that look like another customer's, as they were found before any was left out


def prepare(home: Home, target: Target, chosen: Spine, *, seed: int) -> Prepared:
    """Returns the matrix and the folds of a spine.

    Raises:
        NotReadyError: If no row of the spine has a portrait.
        ConfigurationError: If the target declares a direction for what is no numeric feature.
    """
    labels, settings, thin = chosen.labels, target.folds, target.learner.negatives_per_positive
    notes = list(chosen.notes)
    split = temporal_split(chosen.as_of, labels, target.embargo_days, settings)
    if split is not None:
        days = len({int(str(day)[-2:]) for day in np.unique(chosen.as_of)})
        if days < DAYS_OF_MONTH:
            notes.append(f"trained on only {days} different days of the month")
        split = thinned_split(split, labels, thin, seed=seed)
        final = thinned(labels, np.arange(len(labels)), thin, seed=seed)
        needed = np.unique(np.concatenate([final, *(part for fold in split.folds for part in (fold.train, fold.test))]))
        data = _checked(target, dataset(home, chosen.take(needed), target.features))
        place = places_among(needed[data.rows], len(labels))
        split = _judged_untreated(split.moved(place), data)
        return Prepared(chosen, data, split, there(place, final), tuple(notes))
    data = _checked(target, dataset(home, chosen, target.features))
    seen_twice = twins(data)
    unique, repeated = without_duplicates(data)
    if repeated > MAX_REPEATED * len(data.rows):
        notes.append(f"{repeated} rows look like another row: too few columns to tell a duplicate, all were kept")
    elif repeated:
        data = unique
        notes.append(f"{repeated} rows that repeat another row were left out")
    dates = len(np.unique(chosen.as_of))
    notes.append(
        f"{'one as-of date' if dates == 1 else 'a history too short for temporal folds'}: "
        f"{settings.groups} folds by customer; the figures do not show how the model ages"
    )
    split = grouped_split(data.customers.tolist(), data.labels, settings.groups, seed=seed)
    everything = np.arange(len(data.labels))
    return Prepared(
        chosen,
        data,
        _judged_untreated(thinned_split(split, data.labels, thin, seed=seed), data),
        thinned(data.labels, everything, thin, seed=seed),
        tuple(notes),
        seen_twice,
    )


def refuse_too_few(target: Target, chosen: Spine, portraits: Portraits) -> None:
    """Refuses a spine with fewer positives than the target's rule asks for. Raises TrainingRefusedError."""
    few = few_positives(target, chosen)
    if few is not None:
        why, remedy = few
        raise TrainingRefusedError(
            target.name, Refusal.TOO_FEW_POSITIVES, why, remedy=portraits.to_build_again() or remedy,
            positives=int(chosen.labels.sum()),
        )  # fmt: skip


def few_positives(target: Target, chosen: Spine) -> tuple[str, str] | None:
    """Returns by which key a spine has too few positives, and what can be done; None if there are enough."""
    (to_learn, to_judge), rule = positives(chosen, target), target.promotion
    if to_learn >= rule.min_training_positives and to_judge >= rule.min_test_positives:
        return None
    why = (
        f"{to_learn} positives in training (promotion.min_training_positives: at least {rule.min_training_positives}) "
        f"and {to_judge} in the test windows (promotion.min_test_positives: at least {rule.min_test_positives})"
    )
    return why, (
        f"land more customers or months, lengthen horizon_days ({target.horizon_days}) in {target.name}.yaml, or lower "
        "the key there: fewer positives give wide intervals"
    )


def positives(chosen: Spine, target: Target) -> tuple[int, int]:
    """Returns how many positives the last model would learn from, and how many it would be judged on."""
    labels = chosen.labels
    split = temporal_split(chosen.as_of, labels, target.embargo_days, target.folds) if len(labels) else None
    if split is not None:
        last = split.folds[-1]
        return int(labels[last.train].sum()), int(labels[last.test].sum())
    total = int(labels.sum())
    return total * (target.folds.groups - 1) // target.folds.groups, total


def _judged_untreated(split: Split, data: Dataset) -> Split:
    """Returns a split that judges only rows whose label our own contacts cannot have changed."""
    treated = data.treated
    if treated is None:
        return split
    return replace(split, folds=tuple(replace(fold, test=fold.test[~treated[fold.test]]) for fold in split.folds))


def _checked(target: Target, data: Dataset) -> Dataset:
    """Returns the matrix. Raises NotReadyError if it is empty, ConfigurationError for a direction without feature."""
    if not len(data.rows):
        raise NotReadyError("no customer of the cohort has a portrait", remedy="run `insight build`")
    numbers = [feature.name for feature in data.features if feature.kind != "category"]
    for name in target.monotone:
        if name not in numbers:
            what = "is a category and has no direction" if name in data.names else "is no feature of this target"
            near = close_names(name, numbers)
            raise ConfigurationError(
                f"target '{target.name}': monotone: '{name}' {what}",
                remedy=f"did you mean '{near[0]}'?" if near else "see features/CATALOGUE.md",
            )
    return data
