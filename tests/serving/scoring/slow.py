"""LightGBM's arithmetic, and the choice of reasons, again: slowly and by themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.scoring.reasons.book import ReasonBook


def walk(text: str, row: np.ndarray) -> float:
    """Returns the raw score of one row by walking every tree of LightGBM's text format."""
    total = 0.0
    for block in text.split("\nTree=")[1:]:
        tree = dict(re.findall(r"^(\w+)=(.*)$", block.split("\n\n")[0], re.MULTILINE))
        leaves = [float(part) for part in tree["leaf_value"].split()]
        if int(tree["num_leaves"]) == 1:
            total += leaves[0]
            continue
        feature, left, right, kind = (
            [int(part) for part in tree[name].split()]
            for name in ("split_feature", "left_child", "right_child", "decision_type")
        )
        threshold = [float(part) for part in tree["threshold"].split()]
        bounds = [int(part) for part in tree.get("cat_boundaries", "").split()]
        bits = [int(part) for part in tree.get("cat_threshold", "").split()]
        node = 0
        while node >= 0:
            value, how = float(row[feature[node]]), kind[node]
            if how & 1:
                words = bits[bounds[int(threshold[node])] : bounds[int(threshold[node]) + 1]]
                code = -1 if np.isnan(value) else int(value)
                goes_left = 0 <= code < 32 * len(words) and bool(words[code // 32] >> (code % 32) & 1)
            elif np.isnan(value) and how >> 2 == 2:
                goes_left = bool(how & 2)
            else:
                goes_left = (0.0 if np.isnan(value) else value) <= threshold[node]
            node = (left if goes_left else right)[node]
        total += leaves[~node]
    return total


def pick_slowly(
    book: ReasonBook, facts: Mapping[str, Any], sums: Mapping[str, float], *, most: int, most_per_dimension: int
) -> list[tuple[str, float]]:
    """Returns one customer's reason codes with what their groups add, strongest first, by going through them in order.

    Args:
        book: All reasons.
        facts: The customer's facts, code to slot values.
        sums: What the feature group of each code of the target adds to the raw score.
        most: The most reasons to return.
        most_per_dimension: The most reasons of one dimension.
    """
    held = [code for code in facts if code in sums and book.holds(code, facts) and sums[code] > 0]
    picked: list[tuple[str, float]] = []
    of_dimension: dict[str, int] = {}
    for code in sorted(held, key=lambda code: (-sums[code], code)):
        dimension = book.reasons[code].dimension
        if len(picked) < most and of_dimension.get(dimension, 0) < most_per_dimension:
            picked.append((code, sums[code]))
            of_dimension[dimension] = of_dimension.get(dimension, 0) + 1
    return picked or [(book.fallback, 0.0)]
