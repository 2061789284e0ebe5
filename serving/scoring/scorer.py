"""The one path from a portrait's vector to a score with its reasons, for batch and API alike.

Every step is either row-by-row arithmetic of the kernel or of LightGBM, or an elementwise numpy operation, so a row's
result does not depend on the rows that are scored with it: equal to the last bit in any chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
import orjson

from features.kit.arrays import Flags, Floats, Vectors
from features.kit.language import Locale
from serving.scoring.kernel.kernel import kernel_of
from serving.scoring.ranks import Bands, RankTable, percentile_of
from serving.scoring.reasons.book import ReasonBook
from serving.scoring.reasons.choice import Codes, ReasonPicker, ReasonRows, facts_held
from serving.scoring.reasons.writing import Reason, ReasonWriter
from serving.scoring.settings import ScoreSettings
from training.bundle import LoadedBundle, NamedFeature

Status = Literal["ok", "not_enough_data"]
STALE = "stale_portrait"
UNSEEN = "unseen_category:"


_GAIN_UNITS = 1 << 20
_NO_CODES: Codes = np.empty((0, 0), dtype=np.int16)


class PortraitFeature(NamedFeature, Protocol):
    """What the scorer must know of a feature of the portrait."""

    @property
    def dimension(self) -> str:
        """Returns the subject it belongs to."""


class PortraitList(Protocol):
    """What the scorer must know of a list of features."""

    @property
    def identity(self) -> str:
        """Returns the list's identity."""

    @property
    def features(self) -> Sequence[PortraitFeature]:
        """Returns the features in the order of a vector."""


@dataclass(frozen=True)
class ScoredRows:
    """The scores of n rows as columns.

    Attributes:
        margins: Raw scores, float64 [n].
        propensities: Calibrated propensities, float64 [n]; NaN where there is not enough data.
        times_base: Propensity over the model's base rate, float64 [n]; NaN where unknown.
        is_enough: Whether enough of the inputs is known, bool [n].
        is_missing: Whether every input of a dimension is unknown, bool [n, dimensions].
        is_unseen: Whether a category's value was unknown when the model was trained, bool [n, categorical inputs].
    """

    margins: Floats
    propensities: Floats
    times_base: Floats
    is_enough: Flags
    is_missing: Flags
    is_unseen: Flags


@dataclass(frozen=True)
class StoredRows:
    """What a batch of the same model on the same portraits found of n customers.

    Attributes:
        is_stored: Of whom there is something, bool [n]; the other rows hold anything.
        rows: Their scores.
        codes: Their reasons, as `ReasonRows.codes`; where more are asked for, nothing stored is used.
        at: When they were scored, UTC.
    """

    is_stored: Flags
    rows: ScoredRows
    codes: Codes
    at: datetime


@dataclass(frozen=True, slots=True)
class Score:
    """One customer's score on one target, never bare.

    Attributes:
        customer_id: The subscription.
        status: `ok`, or `not_enough_data`, which comes without a number.
        propensity: P(event in the label window), 0..1.
        percentile: Percent of the base that surely score lower, 0..99.9; None without a rank table.
        times_base: Propensity over the base rate.
        band: Rank group; None without a rank table.
        reasons: Strongest first.
        model_version: Which model said so.
        as_of: The as-of date of the portrait.
        portrait_age_hours: The portrait's age when it was scored.
        missing: Dimensions of which nothing is known.
        flags: `stale_portrait`, `unseen_category:<feature>`.
        stored_at: When the batch scored it, UTC; None if it was scored now.
    """

    customer_id: str
    status: Status
    propensity: float | None
    percentile: float | None
    times_base: float | None
    band: str | None
    reasons: tuple[Reason, ...]
    model_version: str
    as_of: date
    portrait_age_hours: float | None
    missing: tuple[str, ...]
    flags: tuple[str, ...]
    stored_at: datetime | None = None


class Scorer:
    """Scores portraits of one feature list with one model bundle. Thread-safe.

    Attributes:
        bundle: The model.
        identity: The feature list's identity.
        bands: The rank groups.
        dimensions: The columns of `ScoredRows.is_missing`.
        categories: The columns of `ScoredRows.is_unseen`: categorical inputs.
    """

    def __init__(
        self,
        bundle: LoadedBundle,
        features: PortraitList,
        *,
        settings: ScoreSettings,
        book: ReasonBook,
        writer: ReasonWriter,
    ) -> None:
        """Maps the model's inputs to the portrait's vector.

        Raises:
            BundleError: If the portrait lacks an input, gives names another meaning, or changed a category's codes.
            ConfigurationError: If a feature group of `reasons.yaml` names a feature that no portrait has.
        """
        names = [feature.name for feature in features.features]
        self.bundle = bundle
        self._model = kernel_of(bundle) or bundle
        self.identity = features.identity
        self.bands = Bands(settings.bands)
        self._settings = settings
        self._book = book
        self._writer = writer
        self._positions = bundle.positions(features.features, features.identity)
        inputs = [features.features[place] for place in self._positions]
        self._picker = ReasonPicker(book, bundle.manifest.target, bundle.manifest.feature_names, names)
        self.dimensions = tuple(dict.fromkeys(feature.dimension for feature in inputs))
        trained = bundle.manifest.features
        self._category_places = np.array([p for p, f in enumerate(trained) if f.kind == "category"], dtype=np.intp)
        self._category_sizes = np.array([len(trained[p].categories) for p in self._category_places], dtype=np.float32)
        self.categories = tuple(trained[place].name for place in self._category_places)
        gains = bundle.gains()
        gains = gains if gains.sum() > 0 else np.ones_like(gains)
        weights = np.rint(gains / gains.sum() * _GAIN_UNITS)
        belongs = [[feature.dimension == dimension for dimension in self.dimensions] for feature in inputs]
        self._unknown_counts = np.column_stack([weights, np.array(belongs, dtype=np.float64)])
        self._dimension_sizes = self._unknown_counts[:, 1:].sum(axis=0)
        self._most_unknown = (1 - settings.least_known_share) * float(weights.sum())

    @property
    def version(self) -> str:
        """Returns the model's version."""
        return self.bundle.manifest.version

    @property
    def target(self) -> str:
        """Returns what the model predicts."""
        return self.bundle.manifest.target

    def rows(self, values: Vectors, *, threads: int = 1) -> ScoredRows:
        """Returns the scores of portraits, float32 [n, features of the portrait], without ranks and reasons."""
        inputs = self._inputs(values)
        margins = self._model.margins(inputs, threads=threads)
        unknown = np.isnan(inputs)
        counts = unknown.astype(np.float64) @ self._unknown_counts  # whole numbers: exact in any order of adding
        is_enough = (counts[:, 0] <= self._most_unknown) & ~unknown.all(axis=1)
        propensities = np.where(is_enough, self.bundle.propensity(margins), np.nan)
        is_missing = counts[:, 1:] == self._dimension_sizes
        is_unseen = inputs[:, self._category_places] >= self._category_sizes
        return ScoredRows(margins, propensities, self.times_base(propensities), is_enough, is_missing, is_unseen)

    def times_base(self, propensities: Floats) -> Floats:
        """Returns propensities over the model's base rate, float64 [n]; NaN where it is 0."""
        base_rate = self.bundle.manifest.base_rate
        return propensities / base_rate if base_rate > 0 else np.full(len(propensities), np.nan)

    def contributions(self, values: Vectors, *, threads: int = 1) -> Floats:
        """Returns what each input of the model adds to the raw score, float64 [n, inputs + 1]."""
        return self._model.contributions(self._inputs(values), threads=threads)

    def reason_codes(self, values: Vectors, facts: Sequence[str], *, most: int, threads: int = 1) -> list[list[str]]:
        """Returns each customer's reason codes, strongest first.

        Args:
            values: Portraits, float32 [n, features of the portrait].
            facts: The portraits' facts, canonical JSON, n texts.
            most: The most codes per customer.
            threads: Native threads.
        """
        held = facts_held(self._book, [reasons_in(text) for text in facts])
        return [self._picker.names(of_row) for of_row in self.reasons(values, held, most=most, threads=threads).codes]

    def reasons(self, values: Vectors, held: Flags, *, most: int, threads: int = 1) -> ReasonRows:
        """Returns each customer's reasons; contributions are worked out only for whoever has a fact that could be one.

        Args:
            values: Portraits, float32 [n, features of the portrait].
            held: Whose facts hold: `facts_held` of the portraits.
            most: The most reasons per customer.
            threads: Native threads.
        """
        picker, rows = self._picker, self._picker.is_possible(held).nonzero()[0]
        found = picker.nothing(len(held), most)
        if len(rows):
            of_rows, most_per_dimension = held[rows], self._settings.reasons.most_per_dimension
            sums = picker.group_sums(self.contributions(values[rows], threads=threads), of_rows)
            some = picker.pick(of_rows, sums, most=most, most_per_dimension=most_per_dimension)
            found.codes[rows], found.contributions[rows] = some.codes, some.contributions
        return found

    @cached_property
    def configuration(self) -> str:
        """Returns a text that changes with anything in the configuration that could change a score or a reason."""
        return f"{self._book.content_hash()}-{self._settings.content_hash()}"

    @property
    def codes(self) -> tuple[str, ...]:
        """Returns what `ReasonRows.codes` counts."""
        return self._picker.codes

    def score(
        self,
        ids: Sequence[str],
        values: Vectors,
        facts: Sequence[str],
        *,
        as_of: date,
        ranks: RankTable | None,
        reasons: int = 3,
        locale: Locale = "zh",
        age_hours: float | None = None,
        stored: StoredRows | None = None,
    ) -> list[Score]:
        """Returns one whole score per customer, in order.

        Args:
            ids: The customers, n.
            values: Their portraits, float32 [n, features of the portrait].
            facts: Their portraits' facts, canonical JSON, n texts.
            as_of: The as-of date of the portraits.
            ranks: The rank table of this model version and as-of date, or None.
            reasons: How many reasons, 0..3.
            locale: The language of the reasons.
            age_hours: The portraits' age.
            stored: Rows of this model that have been scored before; the others are scored now.
        """
        if stored is not None and reasons > stored.codes.shape[1]:
            stored = None
        held = [reasons_in(text) for text in facts] if reasons else []
        rows, codes = self._numbers(values, held, reasons, stored)
        places = None if ranks is None else ranks.places(rows.margins)
        bands = None if places is None else self.bands.indices(places)
        stale = age_hours is not None and age_hours > self._settings.stale_after_hours
        scores = []
        for row, customer_id in enumerate(ids):
            ok = bool(rows.is_enough[row])
            times = float(rows.times_base[row])
            is_stored = stored is not None and bool(stored.is_stored[row])
            scores.append(
                Score(
                    customer_id=customer_id,
                    status="ok" if ok else "not_enough_data",
                    propensity=float(rows.propensities[row]) if ok else None,
                    percentile=percentile_of(int(places[row])) if ok and places is not None else None,
                    times_base=times if ok and times == times else None,  # noqa: PLR0124 - NaN: the base rate is 0
                    band=self.bands.names[bands[row]] if ok and bands is not None else None,
                    reasons=tuple(
                        self._writer.write(code, held[row], locale, as_of) for code in self._picker.names(codes[row])
                    )
                    if ok and reasons
                    else (),
                    model_version=self.version,
                    as_of=as_of,
                    portrait_age_hours=age_hours,
                    missing=self.missing_of(rows.is_missing[row]),
                    flags=((STALE,) if stale else ()) + self.flags_of(rows.is_unseen[row]),
                    stored_at=stored.at if stored is not None and is_stored else None,
                )
            )
        return scores

    def missing_of(self, is_missing: Flags) -> tuple[str, ...]:
        """Returns the dimensions of one row of `ScoredRows.is_missing`."""
        return tuple(self.dimensions[place] for place in is_missing.nonzero()[0])

    def flags_of(self, is_unseen: Flags) -> tuple[str, ...]:
        """Returns the flags of one row of `ScoredRows.is_unseen`."""
        return tuple(UNSEEN + self.categories[place] for place in is_unseen.nonzero()[0])

    def _numbers(
        self, values: Vectors, held: list[dict[str, Any]], most: int, stored: StoredRows | None
    ) -> tuple[ScoredRows, Codes]:
        """Returns scores and reason codes: what is stored as it is stored, the rest worked out."""
        if stored is None:
            codes = self.reasons(values, facts_held(self._book, held), most=most).codes if most else _NO_CODES
            return self.rows(values), codes
        live = (~stored.is_stored).nonzero()[0]
        if len(live):
            rows, codes = self._numbers(values[live], [held[row] for row in live] if most else held, most, None)
            for name, of_live in vars(rows).items():
                getattr(stored.rows, name)[live] = of_live
            if most:
                stored.codes[live, :most] = codes
        return stored.rows, stored.codes[:, :most]

    def _inputs(self, values: Vectors) -> Vectors:
        return np.take(values, self._positions, axis=1)


def reasons_in(facts: str) -> dict[str, Any]:
    """Returns a portrait's facts for reasons, code to slot values; `facts` is their canonical JSON."""
    return orjson.loads(facts).get("reasons") or {} if facts else {}
