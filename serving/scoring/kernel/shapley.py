"""Exact path-dependent TreeSHAP by quadrature: products grow down the edges, features get their parts on the way back.

Both ways give the same bits: `contributions_of` goes on with 64 rows at once, `contributions_of_rows` row by row; each
adds the same numbers in the same order.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.kit.arrays import Vectors
from serving.scoring.kernel.codes import Codes, Masks, encode, encode_row, goes_left, node_masks
from serving.scoring.kernel.tables import FACTORS, Tables
from serving.scoring.kernel.trees import (
    DOWN_LEFT,
    MOST_LEAVES,
    OF_LEAVES,
    OF_LEFT_LEAF,
    OF_RIGHT_LEAF,
)
from serving.scoring.kernel.vectors import (
    BLOCKS,
    GROUP,
    LANES,
    POINTS,
    ROWS,
    compiled,
    entry,
    go_back,
    go_down,
    multiply,
    of_leaf_and_node,
    of_leaves,
    of_nodes,
)

_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
Lanes = npt.NDArray[np.uint32]


@entry
def contributions_of(values: Vectors, tables: Tables, depth: int, result: Vectors) -> None:
    """Writes what each feature adds to the raw score, float32 [n, k]."""
    most, features = _most_points(tables), result.shape[1]
    planes = np.empty((tables.column_planes[-1], GROUP), np.uint8)
    masks = np.empty((MOST_LEAVES, BLOCKS), np.uint64)
    follows = np.empty((2 * MOST_LEAVES, BLOCKS), np.uint64)
    products = np.ones((depth + 1, most, LANES), np.float32)
    sums = np.empty((depth + 1, most, LANES), np.float32)
    parts = np.empty((GROUP // LANES, features, LANES), np.float32)
    for first in range(0, len(values), GROUP):
        rows = min(GROUP, len(values) - first)
        blocks = (rows + ROWS - 1) // ROWS
        for block in range(blocks):
            encode(values, first + block * ROWS, tables, planes, block * ROWS)
        parts[:] = 0
        for tree in range(len(tables.points)):
            node_masks(tables, tree, blocks, planes, masks)
            _follow(tables, tree, masks, follows)
            for each in range((rows + LANES - 1) // LANES):
                _walk(tables, tree, follows.view(np.uint32)[:, each], products, sums, parts[each])
        for row in range(rows):
            for feature in range(features):
                result[first + row, feature] = parts[row // LANES, feature, row % LANES]


@compiled
def _most_points(tables: Tables) -> int:
    most = 0
    for tree in range(len(tables.points)):
        most = max(most, tables.points[tree])
    return most


@compiled
def _follow(tables: Tables, tree: int, masks: Masks, follows: Masks) -> None:
    """Writes who takes each edge of a tree and every former one of its feature, uint64 [edges, blocks of a group]."""
    start = tables.node_start[tree]
    follows[0] = _ALL
    for node in range(tables.node_start[tree + 1] - start):
        before = tables.node_before[start + node]
        for block in range(BLOCKS):
            former, goes_left = follows[before, block], masks[node, block]
            follows[2 * node + 1, block] = former & goes_left
            follows[2 * node + 2, block] = former & ~goes_left


@compiled
def _walk(tables: Tables, tree: int, follows: Lanes, products: Vectors, sums: Vectors, parts: Vectors) -> None:
    """Goes along all edges of a tree for 32 rows; `sums` is a stack, one place for each child that is done."""
    points, start, size = tables.points[tree], tables.node_start[tree], products[0].nbytes
    here, top = np.intp(products.ctypes.data), np.intp(sums.ctypes.data) - size
    for step in range(tables.step_start[tree], tables.step_start[tree + 1]):
        kind, node = tables.step_kinds[step], tables.step_nodes[step]
        former = follows[tables.node_before[start + node]]
        left = tables.factors.ctypes.data + (tables.factor_start[tree] + 2 * FACTORS * points * node) * 4
        right = left + FACTORS * points * 4
        if kind < OF_LEAVES:
            taken, factors = (follows[2 * node + 1], left) if kind == DOWN_LEFT else (follows[2 * node + 2], right)
            go_down(np.uintp(here + size), np.uintp(here), points, former, taken, np.uintp(factors))
            here += size
            continue
        part = np.uintp(parts.ctypes.data + tables.node_features[start + node] * (LANES * 4))
        left_taken, right_taken = follows[2 * node + 1], follows[2 * node + 2]
        if kind == OF_LEAVES:
            top += size
            of_leaves(
                np.uintp(top), np.uintp(here), np.uintp(here), part, points, former,
                left_taken, right_taken, np.uintp(left), np.uintp(right),
            )  # fmt: skip
        elif kind == OF_LEFT_LEAF:
            of_leaf_and_node(
                np.uintp(top), np.uintp(here), np.uintp(top), part, points, former,
                left_taken, right_taken, np.uintp(left), np.uintp(right),
            )  # fmt: skip
        elif kind == OF_RIGHT_LEAF:
            of_leaf_and_node(
                np.uintp(top), np.uintp(here), np.uintp(top), part, points, former,
                right_taken, left_taken, np.uintp(right), np.uintp(left),
            )  # fmt: skip
        else:
            top -= size
            of_nodes(
                np.uintp(top), np.uintp(top), np.uintp(top + size), part, points, former,
                left_taken, right_taken, np.uintp(left), np.uintp(right),
            )  # fmt: skip
        here -= size


@entry
def contributions_of_rows(values: Vectors, tables: Tables, result: Vectors) -> None:
    """Writes the same for a few rows, to the last bit: one row at a time, and of a tree all points at once."""
    most = -(-_most_points(tables) // POINTS) * POINTS
    codes = np.empty(tables.column_planes[-1], np.uint8)
    products, sums = np.ones((MOST_LEAVES, most), np.float32), np.empty((MOST_LEAVES, most), np.float32)
    gets, ones = np.empty(most, np.float32), np.ones(most, np.float32)
    follows = np.empty(2 * MOST_LEAVES, np.uint8)
    for row in range(len(values)):
        encode_row(values[row], tables, codes)
        result[row] = 0
        for tree in range(len(tables.points)):
            start = tables.node_start[tree]
            follows[0] = 1
            for node in range(tables.node_start[tree + 1] - start):
                former, is_left = follows[tables.node_before[start + node]], goes_left(tables, start + node, codes)
                follows[2 * node + 1], follows[2 * node + 2] = former & is_left, former & (not is_left)
            _walk_row(tables, tree, follows, products, sums, gets, ones, result[row])


@compiled
def _walk_row(
    tables: Tables, tree: int, follows: Codes, products: Vectors, sums: Vectors, gets: Vectors, ones: Vectors,
    parts: Vectors,
) -> None:  # fmt: skip
    """Goes down all edges of a tree for one row, then back, without a branch that the row decides.

    What lies beyond the last point is multiplied, and never read.
    """
    points, start, size = tables.points[tree] * 4, tables.node_start[tree], products.shape[1] * 4
    nodes, edge_size = tables.node_start[tree + 1] - start, FACTORS * points
    factors = tables.factors.ctypes.data + tables.factor_start[tree] * 4 - edge_size  # edges are counted from 1
    at_products, at_sums = np.intp(products.ctypes.data), np.intp(sums.ctypes.data)
    for node in range(1, nodes):
        edge = tables.node_edges[start + node]
        above = (edge - 1) >> 1
        by = factors + edge * edge_size + (2 - follows[edge] - follows[tables.node_before[start + above]]) * points
        for point in range(0, points, POINTS * 4):
            to, source = at_products + node * size + point, at_products + above * size + point
            multiply(np.uintp(to), np.uintp(source), np.uintp(by + point))
    for place in range(start, start + nodes):
        node = tables.way_back[place]
        left, right, former = tables.left[start + node], tables.right[start + node], tables.node_before[start + node]
        side = np.intp(left < nodes) & np.intp(right >= nodes)  # as in blocks, a leaf comes before a node
        first, second = (right, left) if side else (left, right)
        edge, other = 2 * node + 1 + side, 2 * node + 2 - side
        by, by_other = factors + edge * edge_size, factors + other * edge_size
        gets_first, gets_second = by + (4 - follows[edge]) * points, by_other + (4 - follows[other]) * points
        by += (2 - follows[edge] - follows[former]) * points
        by_other += (2 - follows[other] - follows[former]) * points
        by = by if first >= nodes else np.intp(ones.ctypes.data)
        by_other = by_other if second >= nodes else np.intp(ones.ctypes.data)
        here = at_products + node * size
        first_at = here if first >= nodes else at_sums + first * size
        second_at = here if second >= nodes else at_sums + second * size
        for point in range(0, points, POINTS * 4):
            go_back(
                np.uintp(gets.ctypes.data + point), np.uintp(at_sums + node * size + point),
                np.uintp(first_at + point), np.uintp(second_at + point),
                np.uintp(by + point), np.uintp(by_other + point),
                np.uintp(gets_first + point), np.uintp(gets_second + point),
            )  # fmt: skip
        total = np.float32(0)
        for each in range(tables.points[tree]):
            total += gets[each]
        parts[tables.node_features[start + node]] += total if follows[former] else np.float32(0)
