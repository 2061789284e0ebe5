"""Raw scores of rows: bit-equal to LightGBM's, since leaf values are added in float64 in the order of the trees."""

from __future__ import annotations

import numpy as np

from features.kit.arrays import Floats, Vectors
from serving.scoring.kernel.codes import Codes, Masks, encode, encode_row, goes_left, node_masks
from serving.scoring.kernel.tables import Tables
from serving.scoring.kernel.trees import MOST_LEAVES
from serving.scoring.kernel.vectors import BLOCKS, GROUP, PUT_AT_ONCE, ROWS, compiled, entry, put, split


@entry
def margins_of(values: Vectors, tables: Tables, result: Floats) -> None:
    """Writes the raw scores of float32 [n, k] vectors, float64 [n]."""
    planes = np.empty((tables.column_planes[-1], GROUP), np.uint8)
    masks = np.empty((MOST_LEAVES, BLOCKS), np.uint64)
    reached = np.empty((2 * MOST_LEAVES + PUT_AT_ONCE, BLOCKS), np.uint64)
    leaves = np.empty(ROWS, np.uint8)
    sums = np.empty((BLOCKS, ROWS), np.float64)
    for first in range(0, len(values), GROUP):
        rows = min(GROUP, len(values) - first)
        blocks = (rows + ROWS - 1) // ROWS
        for block in range(blocks):
            encode(values, first + block * ROWS, tables, planes, block * ROWS)
        sums[:] = 0.0
        for tree in range(len(tables.points)):
            node_masks(tables, tree, blocks, planes, masks)
            _spread(tables, tree, masks, reached)
            for block in range(blocks):
                _leaves_of(tables, tree, reached, block, leaves)
                _add(sums[block], leaves, tables.leaves[tables.leaf_start[tree] : tables.leaf_start[tree + 1]])
        for row in range(rows):
            result[first + row] = sums[row // ROWS, row % ROWS]


@compiled
def _spread(tables: Tables, tree: int, masks: Masks, reached: Masks) -> None:
    """Writes which rows come to each node, then to each leaf, uint64 [nodes + leaves, blocks of a group]."""
    start = tables.node_start[tree]
    nodes, size = tables.node_start[tree + 1] - start, BLOCKS * 8
    at, at_masks = reached.ctypes.data, masks.ctypes.data
    reached[0] = np.uint64(0xFFFFFFFFFFFFFFFF)
    for node in range(nodes):
        left, right = tables.left[start + node], tables.right[start + node]
        split(
            np.uintp(at + left * size), np.uintp(at + right * size), np.uintp(at + node * size),
            np.uintp(at_masks + node * size),
        )  # fmt: skip
    reached[2 * nodes + 1 : 2 * nodes + PUT_AT_ONCE] = 0  # rows at leaves that are not there


@compiled
def _leaves_of(tables: Tables, tree: int, reached: Masks, block: int, leaves: Codes) -> None:
    """Writes the leaf that each row of a block ends in, uint8 [64]."""
    nodes = tables.node_start[tree + 1] - tables.node_start[tree]
    leaves[:] = 0
    for leaf in range(1, nodes + 1, PUT_AT_ONCE):
        rows = reached.ctypes.data + ((nodes + leaf) * BLOCKS + block) * 8
        put(np.uintp(leaves.ctypes.data), np.uintp(rows), np.uint8(leaf))


@compiled
def _add(sums: Floats, leaves: Codes, values: Floats) -> None:
    for row in range(len(sums)):
        sums[row] += values[leaves[row]]


@entry
def margins_of_rows(values: Vectors, tables: Tables, result: Floats) -> None:
    """Writes the same for a few rows: each goes down each tree."""
    codes = np.empty(tables.column_planes[-1], np.uint8)
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
