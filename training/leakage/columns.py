"""Finds columns that carry the label: known only afterwards, overwritten by it, or blank where the answer is known.

Checks on the rows that would be learned from, each with its evidence in figures:

- one value of the column is followed by the event almost without exception (`label_copy`);
- the column alone ranks almost perfectly, or it ranks well and adds more to a model of all other columns than an honest
  single column does (`label_copy`);
- whether the column is blank ranks well by itself *and* adds much to a model of all other columns (`missingness`). Only
  columns whose knowledge time is not proven (snapshots, declared attributes) are suspected; a portrait that is blank
  because nothing had happened before the as-of date is honest. Blanks that other columns explain (no internet, so no
  online backup) add nothing and are left alone. A column that is filled only where a leaking one is filled came with
  it, and goes with it;
- the column ranks well who will have the event *months later* and does not move until then (`overwritten_snapshot`);
- the column numbers the customers, and neighbours in that order share the label (`id_order`);
- the column is a group's event rate over the judged rows (`target_statistics`, see `statistics.py`);
- it belongs to columns that leak together, however little it tells alone (`groups.py`);
- its name is an outcome's (`another_outcome`): reported, and left out where it ranks well by itself.

After each removal the rest is looked at again, until nothing more is found. Candidates are tried against a model
without any candidate, so that leaking twins cannot hide each other, and once more without those only that stood out, so
that an honest one is not blamed for what the others took away.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from features.kit.arrays import Rows
from features.portraits.feature_list import definitions
from training.dataset.dataset import Dataset
from training.evaluation import metrics
from training.leakage.findings import Effect, Leak, leak
from training.leakage.groups import Sketch, strongest_of_all, worst_group
from training.leakage.outcome_names import is_outcome_like
from training.leakage.statistics import ordered_by_label, statistics_of_labels
from training.leakage.trial import MIN_ROWS, Trial

MAX_ROWS = 20_000
ROUNDS = 40
PURE_RATE, PURE_BASE = 0.97, 0.5
SUSPICIOUS_BLANKS = 0.60
SUSPICIOUS_VALUE = 0.85
TOO_GOOD = 0.95
SAME_AS_BLANKS = 0.02
AHEAD_DAYS, AHEAD_UNMOVED = 60, 0.9
NESTED, NESTED_BASE = 0.99, 0.9


def leaking_columns(
    data: Dataset, rows: Rows, judged: Rows, unproven: Collection[str], *, seed: int, threads: int = 1
) -> tuple[Leak, ...]:
    """Returns the leaking columns, by name.

    Of `rows`, which would be learned from, at most 20,000 are looked at; `judged` are the rows of the test folds. Of
    the `unproven` columns, whose knowledge time is not proven, only the blanks are suspected.
    """
    if len(rows) > MAX_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MAX_ROWS, replace=False))
    part = data.take(rows)
    positives = int(part.labels.sum())
    if min(positives, len(part.labels) - positives) < MIN_ROWS:
        return ()
    trial = Trial.of(part, seed=seed, threads=threads)
    sketch = Sketch(trial)
    unsure = [place for place, feature in enumerate(part.features) if feature.name in set(unproven)]
    found = _by_their_shape(data, judged)
    found |= {place: leak for place, leak in _too_good(part, trial).items() if place not in found}
    for _ in range(ROUNDS):
        # A group costs milliseconds, a trial of single columns a model each: those wait until no group is left.
        new = _in_a_group(part, sketch, found) or _standing_out(part, trial, found, unsure)
        if not new:
            break
        found |= new
    found |= _nested(part, found, unsure)
    places, evidence = strongest_of_all(sketch, found)
    for place in places:
        evidence_of = f"alone ranks with AUC {sketch.strength(place):.3f}; {evidence}"
        found[place] = leak(part.features[place].name, "label_copy", evidence_of, effect="reported")
    ours = {definition.feature.name for definition in definitions()}
    for place in unsure:
        name = part.features[place].name
        if place not in found and name not in ours and is_outcome_like(name):
            strength = sketch.strength(place)
            evidence = f"is called like an outcome and alone ranks with AUC {strength:.3f}"
            effect: Effect = "column_left_out" if strength >= SUSPICIOUS_VALUE else "reported"
            found[place] = leak(name, "another_outcome", evidence, effect=effect)
    return tuple(sorted(found.values(), key=lambda leak: leak.name))


def _in_a_group(part: Dataset, sketch: Sketch, found: Collection[int]) -> dict[int, Leak]:
    """Returns the columns of the group that leaks most, without those that were found before."""
    places, evidence = worst_group(sketch, found)
    if not places:
        return {}
    by_blanks = sketch.together(places, only_blanks=True) >= sketch.together(places) - SAME_AS_BLANKS
    kind = "missingness" if by_blanks else "label_copy"
    return {
        place: leak(part.features[place].name, kind, f"alone ranks with AUC {sketch.strength(place):.3f}; {evidence}")
        for place in places
    }


def _standing_out(part: Dataset, trial: Trial, found: Collection[int], unsure: list[int]) -> dict[int, Leak]:
    """Returns the single columns that add more than an honest one does, without those that were found before."""
    suspects = [(place, True) for place in unsure if trial.blanks_alone(place) >= SUSPICIOUS_BLANKS]
    suspects += [(place, False) for place in range(len(part.features)) if trial.alone(place) >= SUSPICIOUS_VALUE]
    new: dict[int, Leak] = {}
    for (place, blanks), (base, gain) in trial.standing_out(suspects, without=found).items():
        if place in new:
            continue
        lifts = f"lifts a model of all other columns from {base:.3f} to {base + gain:.3f}"
        evidence = f"alone ranks with AUC {trial.alone(place):.3f} and {lifts}"
        if blanks:
            missing = np.isnan(part.values[:, place])
            filled_rate, blank_rate = part.labels[~missing].mean(), part.labels[missing].mean()
            evidence = (
                f"{filled_rate:.0%} positive where filled, {blank_rate:.0%} where blank; blank or not alone ranks with "
                f"AUC {trial.blanks_alone(place):.3f} and {lifts}"
            )
        new[place] = leak(part.features[place].name, "missingness" if blanks else "label_copy", evidence)
    return new


def _by_their_shape(data: Dataset, judged: Rows) -> dict[int, Leak]:
    """Returns the columns whose very shape gives them away: overwritten, numbered, or rates of the judged rows."""
    found: dict[int, Leak] = {}
    future = _future(data)
    for place, feature in enumerate(data.features):
        column = data.values[:, place]
        for kind, evidence in (
            ("id_order", ordered_by_label(column, data) if feature.kind == "number" else ""),
            ("overwritten_snapshot", _overwritten(data, place, future)),
            (
                "target_statistics",
                statistics_of_labels(column, data.labels, judged) if feature.kind == "number" else "",
            ),
        ):
            if evidence:
                found[place] = leak(feature.name, kind, evidence)
                break
    return found


def _too_good(part: Dataset, trial: Trial) -> dict[int, Leak]:
    """Returns the columns with a pure value, and those that alone rank almost perfectly."""
    found: dict[int, Leak] = {}
    for place, feature in enumerate(part.features):
        evidence, is_blank = _pure(part, place)
        if evidence:
            found[place] = leak(feature.name, "missingness" if is_blank else "label_copy", evidence)
            continue
        strength = trial.alone(place)
        if strength >= TOO_GOOD:
            kind = "missingness" if trial.blanks_alone(place) >= strength - SAME_AS_BLANKS else "label_copy"
            evidence = f"alone ranks with AUC {strength:.3f}, too good to be known beforehand"
            found[place] = leak(feature.name, kind, evidence)
    return found


def _future(data: Dataset) -> tuple[Rows, Rows]:
    """Returns the negative rows whose customers have a row `AHEAD_DAYS` or more later, and each one's positive row.

    The second holds the first positive row that is so much later, or -1 if there is none; customers without any later
    row are left out, because nobody knows what became of them.
    """
    order = np.lexsort((data.as_of, data.customers))
    customers, days = data.customers[order], data.as_of[order].astype("datetime64[D]").astype(np.int64)
    labels = data.labels[order]
    starts = np.flatnonzero(np.concatenate([[True], customers[1:] != customers[:-1]])) if len(order) else order
    rows: list[int] = []
    later: list[int] = []
    for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
        if end - start < 2:
            continue
        positives = start + np.flatnonzero(labels[start:end])
        for at in range(start, end):
            if labels[at] or days[end - 1] - days[at] < AHEAD_DAYS:
                continue
            far = positives[days[positives] >= days[at] + AHEAD_DAYS]
            rows.append(int(order[at]))
            later.append(int(order[far[0]]) if len(far) else -1)
    return np.array(rows, dtype=np.intp), np.array(later, dtype=np.intp)


def _overwritten(data: Dataset, place: int, future: tuple[Rows, Rows]) -> str:
    """Returns the evidence that a column shows an event long before it, in the value that it still has then."""
    rows, later = future
    comes = later >= 0
    if len(np.unique(data.customers[rows[comes]])) < MIN_ROWS:
        return ""
    column = data.values[:, place]
    then, now = column[rows[comes]], column[later[comes]]
    unmoved = float(((then == now) | (np.isnan(then) & np.isnan(now))).mean())
    if unmoved < AHEAD_UNMOVED:
        return ""
    values, codes = np.unique(column[rows], return_inverse=True, equal_nan=True)
    scores = np.where(np.isnan(column[rows]), -3e38, column[rows]).astype(np.float64)
    if data.features[place].kind == "category":
        halves = Trial.of(data.take(rows), seed=0, threads=1).half
        scores = _crosswise_rates(codes, comes, halves, len(values))
    area = metrics.area(scores, comes.astype(np.int8))
    area = max(area, 1.0 - area)
    if area < SUSPICIOUS_VALUE:
        return ""
    return (
        f"ranks who has the event {AHEAD_DAYS} days or more later with AUC {area:.3f}, and {unmoved:.0%} of the values "
        f"stay the same until then"
    )


def _crosswise_rates(codes: Rows, comes: np.ndarray, halves: np.ndarray, count: int) -> np.ndarray:
    scores = np.empty(len(codes))
    for learn_on in (halves, ~halves):
        hits, seen = (np.bincount(codes[learn_on], w, minlength=count) for w in (comes[learn_on], None))
        scores[~learn_on] = ((hits + 1) / (seen + 10))[codes[~learn_on]]
    return scores


def _nested(part: Dataset, found: dict[int, Leak], unsure: list[int]) -> dict[int, Leak]:
    """Returns the columns that are filled (or blank) only where a column with leaking blanks is so, too."""
    blank = np.isnan(part.values)
    result: dict[int, Leak] = {}
    for leaking in (place for place, found_leak in found.items() if found_leak.kind == "missingness"):
        for place in set(unsure) - set(found) - set(result):
            for side, word in ((~blank, "filled"), (blank, "blank")):
                rows, share = int(side[:, place].sum()), float(side[:, leaking].mean())
                if rows < MIN_ROWS or share > NESTED_BASE:
                    continue
                inside = float(side[side[:, place], leaking].mean())
                if inside >= NESTED:
                    name = part.features[leaking].name
                    evidence = (
                        f"{inside:.1%} of its {word} rows are {word} in '{name}', which leaks ({share:.0%} of all are)"
                    )
                    result[place] = leak(part.features[place].name, "missingness", evidence)
    return result


def _pure(part: Dataset, place: int) -> tuple[str, bool]:
    """Returns the evidence that one value is nearly always followed by the event, and whether that value is blank."""
    labels = part.labels
    if labels.mean() >= PURE_BASE:
        return "", False
    column = part.values[:, place]
    values, codes = np.unique(column, return_inverse=True, equal_nan=True)
    rows, hits = np.bincount(codes), np.bincount(codes, labels)
    pure = np.flatnonzero((rows >= MIN_ROWS) & (hits >= PURE_RATE * rows))
    if not len(pure):
        return "", False
    feature, value = part.features[place], values[pure[0]]
    if np.isnan(value):
        text = "blank"
    else:
        text = feature.categories[int(value)] if feature.kind == "category" else f"{value:g}"
    first = f"{hits[pure[0]]:.0f} of {rows[pure[0]]} rows with the value {text} are positive"
    return f"{first}, {labels.mean():.0%} of all", bool(np.isnan(value))
