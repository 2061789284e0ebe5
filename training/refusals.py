"""Why a training makes no model: stable codes, each raised with its reason and its remedy."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from features.kit.errors import NotReadyError


class Refusal(StrEnum):
    """What keeps data from carrying a target."""

    NO_FEED = "no_feed"
    NO_LABELLED_DATES = "no_labelled_dates"
    TOO_FEW_POSITIVES = "too_few_positives"
    SPLIT_OVERLAP = "split_overlap"
    DIMENSION_EMPTIED = "dimension_emptied"


class TrainingRefusedError(NotReadyError):
    """The data cannot carry a target: `insight train` ends with its code, `insight audit` with its message.

    Attributes:
        facts: Figures for the summary and MLflow.
    """

    def __init__(self, target: str, refusal: Refusal, why: str, *, remedy: str = "", **facts: Any) -> None:
        super().__init__(f"{target}: {why}", remedy=remedy)
        self.refusal = refusal
        self.why = "; ".join(filter(None, (why, remedy)))
        self.facts = facts
