"""Exact path-dependent TreeSHAP by quadrature: products grow down the edges, features get their parts on the way back.

Both ways give the same bits: `contributions_of` goes on with 64 rows at once, `contributions_of_rows` row by row; each
adds the same numbers in the same order.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.kit.arrays import Flags, Vectors
from serving.scoring.kernel.codes import Masks, encode, encode_row, goes_left, node_masks
from serving.scoring.kernel.tables import FACTORS, Tables
from serving.scoring.kernel.trees import (
    DOWN_LEFT,
    DOWN_RIGHT,
    MOST_LEAVES,
    OF_LEAVES,
    OF_LEFT_LEAF,
    OF_NODES,
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
    gather,
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
def contributions_of_rows(values: Vectors, tables: Tables, depth: int, result: Vectors) -> None:
    """Writes the same for a few rows, to the last bit: one row at a time, and of a tree all points at once."""
    most = -(-_most_points(tables) // POINTS) * POINTS
    codes = np.empty(tables.column_planes[-1], np.uint8)
    products = np.ones((depth + 1, most), np.float32)
    sums = np.empty((depth + 4, most), np.float32)
    gets = np.empty(most, np.float32)
    follows = np.empty(2 * MOST_LEAVES, np.bool_)
    for row in range(len(values)):
        encode_row(values[row], tables, codes)
        result[row] = 0
        for tree in range(len(tables.points)):
            start = tables.node_start[tree]
            follows[0] = True
            for node in range(tables.node_start[tree + 1] - start):
                former, is_left = follows[tables.node_before[start + node]], goes_left(tables, start + node, codes)
                follows[2 * node + 1], follows[2 * node + 2] = former and is_left, former and not is_left
            _walk_row(tables, tree, follows, products, sums, gets, result[row])


@compiled
def _walk_row(  # noqa: C901 - the loop of `_walk`, where a row either follows or does not
    tables: Tables, tree: int, follows: Flags, products: Vectors, sums: Vectors, gets: Vectors, parts: Vectors
) -> None:
    """Goes along all edges of a tree for one row; what lies beyond the last point is multiplied, and never read."""
    points, start, size = tables.points[tree], tables.node_start[tree], products.shape[1] * 4
    here, top = np.intp(products.ctypes.data), np.intp(sums.ctypes.data) + 2 * size
    got, of_first, of_second = gets.ctypes.data, np.intp(sums.ctypes.data), np.intp(sums.ctypes.data) + size
    for step in range(tables.step_start[tree], tables.step_start[tree + 1]):
        kind, node = tables.step_kinds[step], tables.step_nodes[step]
        former = follows[tables.node_before[start + node]]
        side = 1 if kind in (DOWN_RIGHT, OF_RIGHT_LEAF) else 0  # the child that comes first
        factors = tables.factors.ctypes.data + (tables.factor_start[tree] + 2 * FACTORS * points * node) * 4
        first = factors + FACTORS * points * 4 * side
        second = factors + FACTORS * points * 4 * (1 - side)
        first_taken, second_taken = follows[2 * node + 1 + side], follows[2 * node + 2 - side]
        by_first = first + (0 if first_taken else 1 if former else 2) * points * 4
        by_second = second + (0 if second_taken else 1 if former else 2) * points * 4
        if kind < OF_LEAVES:
            for point in range(0, points * 4, POINTS * 4):
                multiply(np.uintp(here + size + point), np.uintp(here + point), np.uintp(by_first + point))
            here += size
            continue
        gets_first = first + (3 if first_taken else 4) * points * 4
        gets_second = second + (3 if second_taken else 4) * points * 4
        left, right = of_first, of_second
        if kind == OF_NODES:
            top -= size
            left, right = top - size, top
        elif kind == OF_LEAVES:
            top += size
        else:
            right = top - size
        for point in range(0, points * 4, POINTS * 4):
            if kind != OF_NODES:
                multiply(np.uintp(left + point), np.uintp(here + point), np.uintp(by_first + point))
            if kind == OF_LEAVES:
                multiply(np.uintp(right + point), np.uintp(here + point), np.uintp(by_second + point))
            gather(
                np.uintp(got + point), np.uintp(top - size + point), np.uintp(left + point), np.uintp(right + point),
                np.uintp(gets_first + point), np.uintp(gets_second + point),
            )  # fmt: skip
        if former:
            total = np.float32(0)
            for each in range(points):
                total += gets[each]
            parts[tables.node_features[start + node]] += total
        here -= size
