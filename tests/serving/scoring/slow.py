"""LightGBM's arithmetic again, slowly and by itself."""

from __future__ import annotations

import re

import numpy as np


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
