"""Names that an outcome would have: whoever delivers `left_later` may have delivered an answer of another question."""

from __future__ import annotations

import re
from pathlib import Path

from features.kit.config import load_data

PATTERNS: dict[str, str] = load_data(dict[str, str], Path(__file__).with_suffix(".yaml"))
"""What such a name looks like, a kind of outcome each (`outcome_names.yaml`)."""


def is_outcome_like(name: str) -> bool:
    """Returns whether a column is called like an outcome, as `Churn Reason`, `hasLeft` and `是否离网` are."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    plain = re.sub(r"[\W_]+", "_", words).strip("_").lower()
    return any(re.search(pattern, plain) for pattern in PATTERNS.values())
