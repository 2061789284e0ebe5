"""The eleven kinds of leak in words (`findings.yaml`): what each is, why it harms, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from features.kit.config import load_data

Effect = Literal["column_left_out", "rows_left_out", "training_refused", "reported"]


@dataclass(frozen=True)
class Kind:
    """One way in which a label leaks."""

    explanation: str  # what it is and why a model that learns from it fails in service
    remedy: str
    zh: str
    effect: Effect = "column_left_out"


KINDS: dict[str, Kind] = load_data(dict[str, Kind], Path(__file__).with_suffix(".yaml"))
"""Every kind by its stable name."""


@dataclass(frozen=True)
class Leak:
    """One finding."""

    name: str  # the column; else `rows`, `customer_id` or the fold
    kind: str  # a code of `KINDS`
    evidence: str  # the figures in words
    effect: Effect = "column_left_out"

    def as_dict(self) -> dict[str, Any]:
        """Returns the finding with its explanation and remedy, as a report needs it."""
        kind = KINDS[self.kind]
        return {
            "name": self.name,
            "kind": self.kind,
            "effect": self.effect,
            "evidence": self.evidence,
            "explanation": kind.explanation,
            "remedy": kind.remedy,
        }


def leak(name: str, kind: str, evidence: str, *, effect: Effect | None = None) -> Leak:
    """Returns a finding with the effect of its kind, unless another is given."""
    return Leak(name, kind, evidence, effect or KINDS[kind].effect)
