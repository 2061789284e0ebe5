"""What a batch knows of a customer in few bytes: numbers and marks of one model, and whose portrait they are of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mmh3
import numpy as np
import numpy.typing as npt

from features.kit.arrays import Flags, Vectors
from serving.scoring.reasons.choice import NO_REASON, ReasonRows
from serving.scoring.scorer import ScoredRows, Scorer

Records = npt.NDArray[Any]
"""One record a customer, of the type that `record_type` names."""
Fingerprints = npt.NDArray[np.uint64]


def record_type(scorer: Scorer, most: int) -> np.dtype[Any]:
    """Returns the type of a model's records with up to so many reasons.

    Fields: `portrait` (see `fingerprints`), `margin`, `propensity` (NaN: not enough data), `missing` and `unseen` (a
    bit for each dimension and categorical input), `codes` and `contributions` (see `ReasonRows`).
    """
    marks = [(name, "u1", (-(-len(of) // 8),)) for name, of in
             (("missing", scorer.dimensions), ("unseen", scorer.categories))]  # fmt: skip
    return np.dtype(
        [("portrait", "<u8"), ("margin", "<f8"), ("propensity", "<f8"), *marks, ("codes", "<i2", (most,)),
         ("contributions", "<f4", (most,))]
    )  # fmt: skip


def pack(rows: ScoredRows, reasons: ReasonRows | None, portraits: Fingerprints, into: np.dtype[Any]) -> Records:
    """Returns the records of n customers; without reasons, and for whom there is not enough data, they have no code."""
    records = np.zeros(len(rows.margins), dtype=into)
    records["portrait"], records["margin"], records["propensity"] = portraits, rows.margins, rows.propensities
    records["missing"], records["unseen"] = np.packbits(rows.is_missing, axis=1), np.packbits(rows.is_unseen, axis=1)
    records["codes"] = NO_REASON
    if reasons is not None:
        some = rows.is_enough
        records["codes"][some], records["contributions"][some] = reasons.codes[some], reasons.contributions[some]
    return records


def unpack(records: Records, scorer: Scorer) -> ScoredRows:
    """Returns the scores in records of n customers, to the last bit."""
    propensities = np.ascontiguousarray(records["propensity"])
    return ScoredRows(
        margins=np.ascontiguousarray(records["margin"]),
        propensities=propensities,
        times_base=scorer.times_base(propensities),
        is_enough=~np.isnan(propensities),
        is_missing=_bits(records["missing"], len(scorer.dimensions)),
        is_unseen=_bits(records["unseen"], len(scorer.categories)),
    )


def fingerprints(values: Vectors, facts: Sequence[str]) -> Fingerprints:
    """Returns a number of 64 bits for each portrait that changes with any bit of its values or facts.

    Args:
        values: Portraits, float32 [n, features of the portrait].
        facts: Their facts, n texts.
    """
    hashed = (
        mmh3.hash64(row.tobytes() + text.encode(), signed=False)[0] for row, text in zip(values, facts, strict=True)
    )
    return np.fromiter(hashed, dtype=np.uint64, count=len(facts))


def _bits(marks: npt.NDArray[np.uint8], count: int) -> Flags:
    return np.unpackbits(marks, axis=1, count=count).astype(bool)
