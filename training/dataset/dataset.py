"""From labelled customers to a training matrix: Spine --point-in-time join--> Dataset(values float32 [n, k], ...)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.kit.arrays import Days, Flags, Floats, Labels, Rows, Vectors, take
from features.kit.home import Home
from features.portraits.feature_list import FeatureList
from features.portraits.vector import encode
from features.store.offline import stream_join
from training.bundle import BundleFeature
from training.dataset.splits import Split
from training.labels import own_actions
from training.labels.spine import Spine


@dataclass(frozen=True)
class Dataset:
    """A training matrix; all arrays have n rows.

    Attributes:
        values: Coded features, float32 [n, k]; a missing value is NaN, a category is its code.
        features: What the k columns are.
        as_of: The as-of dates, datetime64[D].
        labels: 0 or 1.
        kinds: The kind of a positive's event, else an empty string.
        rows: The place of each row in the spine that was joined.
        unmatched: Spine rows without a portrait; they are not here.
        weights: How many untreated rows each row stands for; None: itself.
        treated: Whether we contacted the customer before the label was decided; None: nobody.
        chance: Logged probability of the arm of a row that a campaign drew, else NaN; None: nobody was drawn.
    """

    values: Vectors
    features: tuple[BundleFeature, ...]
    customers: npt.NDArray[Any]
    as_of: Days
    labels: Labels
    kinds: npt.NDArray[Any]
    rows: Rows
    unmatched: int = 0
    weights: Floats | None = None
    treated: Flags | None = None
    chance: Floats | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Returns the names of the columns."""
        return tuple(feature.name for feature in self.features)

    @property
    def categories(self) -> tuple[int, ...]:
        """Returns the places of the categories."""
        return tuple(place for place, feature in enumerate(self.features) if feature.kind == "category")

    def take(self, rows: npt.NDArray[Any]) -> Dataset:
        """Returns some of the rows."""
        return take(self, rows)

    def weights_of(self, rows: Rows) -> Floats | None:
        """Returns how many rows each of some rows stands for; None: itself."""
        return None if self.weights is None else self.weights[rows]

    def without(self, left_out: Sequence[str]) -> Dataset:
        """Returns the dataset without some columns."""
        keep = [place for place, feature in enumerate(self.features) if feature.name not in set(left_out)]
        return replace(self, values=self.values[:, keep], features=tuple(self.features[place] for place in keep))

    def content_hash(self) -> str:
        """Returns 16 hex digits over names, keys, values and labels."""
        digest = hashlib.sha256("\n".join(self.names).encode())
        digest.update("\n".join(self.customers.tolist()).encode())
        for part in (self.as_of.astype(np.int64), self.values, self.labels):
            digest.update(np.ascontiguousarray(part).tobytes())
        for weighing in (self.weights, self.treated, self.chance):
            digest.update(b"" if weighing is None else np.ascontiguousarray(weighing).tobytes())
        return digest.hexdigest()[:16]


def dataset(home: Home, chosen: Spine, service: str) -> Dataset:
    """Returns the matrix of a spine: each row joined to the portrait of its own as-of date.

    Raises:
        NotReadyError: If no portrait has been built.
    """
    stream = stream_join(home, chosen.table, service)
    features = only(FeatureList.load(home), stream.features)
    # Filled in place, part by part: neither all texts nor a second matrix are ever in memory.
    values = np.empty((chosen.table.num_rows, len(features.features)), dtype=np.float32)
    places, found = np.empty(len(values), dtype=np.intp), 0
    for part in stream.parts:
        here = slice(found, found + part.num_rows)
        values[here], places[here] = encode(part, features), part["spine_row"].to_numpy()
        found = here.stop
    values, places = values[:found], places[:found]
    if (np.diff(places) < 0).any():
        order = np.argsort(places)
        values, places = values[order], places[order]
    rows = chosen.table.take(pa.array(places))
    return Dataset(
        values=values,
        features=tuple(BundleFeature(feature.name, feature.kind, feature.categories) for feature in features.features),
        customers=np.array(rows["customer_id"].to_pylist(), dtype=str),
        as_of=rows["as_of_date"].to_numpy().astype("datetime64[D]"),
        labels=rows["label"].to_numpy().astype(np.int8),
        kinds=np.array(rows["kind"].to_pylist(), dtype=str),
        rows=places,
        unmatched=chosen.table.num_rows - found,
        **own_actions.columns(rows),
    )


def only(features: FeatureList, names: Sequence[str]) -> FeatureList:
    """Returns the part of a feature list that a service names, in the service's order."""
    by_name = {feature.name: feature for feature in features.features}
    return replace(features, features=tuple(by_name[name] for name in names))


def thinned(labels: Labels, rows: Rows, per_positive: float | None, *, seed: int) -> npt.NDArray[Any]:
    """Returns the rows to learn from: all positives and a fixed draw of so many negatives each (None: all).

    Thinning shifts raw scores by a constant, which the calibration takes out; it leaves the order as it is.
    """
    positives = int(labels[rows].sum())
    negatives = len(rows) - positives
    if per_positive is None or negatives <= per_positive * positives:
        return rows
    share = per_positive * positives / negatives
    # One draw per row of the whole spine: a row's fate does not depend on the fold that asks.
    drawn = np.random.default_rng(seed).random(len(labels)) < share
    chosen: npt.NDArray[Any] = rows[(labels[rows] == 1) | drawn[rows]]
    return chosen


def thinned_split(split: Split, labels: Labels, per_positive: float | None, *, seed: int) -> Split:
    """Returns a split whose training rows are thinned; the judged rows and the log stay whole."""
    folds = tuple(replace(fold, train=thinned(labels, fold.train, per_positive, seed=seed)) for fold in split.folds)
    return replace(split, folds=folds)
