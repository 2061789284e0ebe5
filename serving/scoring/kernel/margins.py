"""Raw scores of rows: bit-equal to LightGBM's, since leaf values are added in float64 in the order of the trees."""

from __future__ import annotations

import numpy as np

from features.kit.arrays import Floats, Vectors
from serving.scoring.kernel.codes import Codes, Masks, encode, encode_row, goes_left, node_masks
from serving.scoring.kernel.tables import Tables
from serving.scoring.kernel.trees import MOST_LEAVES
from serving.scoring.kernel.vectors import PUT_AT_ONCE, ROWS, compiled, put


@compiled
def margins_of(values: Vectors, tables: Tables, result: Floats) -> None:
    """Writes the raw scores of float32 [n, k] vectors, float64 [n]."""
    codes = np.empty((len(tables.column_features), ROWS), np.uint8)
    words = np.empty((tables.word_start[-1] + 1, ROWS), np.uint32)
    masks = np.empty(MOST_LEAVES, np.uint64)
    reached = np.empty(2 * MOST_LEAVES + PUT_AT_ONCE, np.uint64)
    leaves = np.empty(ROWS, np.uint8)
    sums = np.empty(ROWS, np.float64)
    for first in range(0, len(values), ROWS):
        encode(values, first, tables, codes, words)
        sums[:] = 0.0
        for tree in range(len(tables.points)):
            node_masks(tables, tree, codes, words, masks)
            _leaves_of(tables, tree, masks, reached, leaves)
            _add(sums, leaves, tables.leaves[tables.leaf_start[tree] : tables.leaf_start[tree + 1]])
        for row in range(min(ROWS, len(values) - first)):
            result[first + row] = sums[row]


@compiled
def _leaves_of(tables: Tables, tree: int, masks: Masks, reached: Masks, leaves: Codes) -> None:
    """Writes the leaf that each row ends in, uint8 [64]; `reached` holds the rows at each node, then at each leaf."""
    start = tables.node_start[tree]
    nodes = tables.node_start[tree + 1] - start
    reached[0] = np.uint64(0xFFFFFFFFFFFFFFFF)
    for node in range(nodes):
        here = reached[node]
        goes_left = here & masks[node]
        reached[tables.left[start + node]] = goes_left
        reached[tables.right[start + node]] = here ^ goes_left
    leaves[:] = 0
    reached[2 * nodes + 1 : 2 * nodes + PUT_AT_ONCE] = 0  # rows at leaves that are not there
    for leaf in range(1, nodes + 1, PUT_AT_ONCE):
        put(np.uintp(leaves.ctypes.data), np.uintp(reached.ctypes.data + (nodes + leaf) * 8), np.uint8(leaf))


@compiled
def _add(sums: Floats, leaves: Codes, values: Floats) -> None:
    for row in range(len(sums)):
        sums[row] += values[leaves[row]]


@compiled
def margins_of_rows(values: Vectors, tables: Tables, result: Floats) -> None:
    """Writes the same for a few rows: each goes down each tree."""
    codes = np.empty(len(tables.column_features), np.uint8)
    for row in range(len(values)):
        encode_row(values[row], tables, codes)
        total = 0.0
        for tree in range(len(tables.points)):
            start = tables.node_start[tree]
            nodes, node = tables.node_start[tree + 1] - start, 0
            while node < nodes:
                is_left = goes_left(tables, start + node, codes)
                node = tables.left[start + node] if is_left else tables.right[start + node]
            total += tables.leaves[tables.leaf_start[tree] + node - nodes]
        result[row] = total
