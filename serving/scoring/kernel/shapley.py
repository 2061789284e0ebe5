"""Exact path-dependent TreeSHAP by quadrature: products grow down the edges, features get their parts on the way back.

Both ways give the same bits: `contributions_of` goes on with 64 rows at once, `contributions_of_rows` row by row; each
adds the same numbers in the same order.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.kit.arrays import Flags, Vectors
from serving.scoring.kernel.codes import Masks, encode, encode_row, goes_left, node_masks
from serving.scoring.kernel.tables import Tables
from serving.scoring.kernel.trees import CLOSE, MOST_LEAVES
from serving.scoring.kernel.vectors import POINTS, ROWS, add, add_where, collect, compiled, multiply, scale

_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


@compiled
def contributions_of(values: Vectors, tables: Tables, depth: int, result: Vectors) -> None:
    """Writes what each feature adds to the raw score, float32 [n, k]."""
    most = tables.points.max()
    codes = np.empty((len(tables.column_features), ROWS), np.uint8)
    words = np.empty((tables.word_start[-1] + 1, ROWS), np.uint32)
    masks = np.empty(MOST_LEAVES, np.uint64)
    products = np.ones((depth + 1, most, ROWS), np.float32)
    sums = np.zeros((depth + 1, most, ROWS), np.float32)
    follows = np.empty(4 * MOST_LEAVES, np.uint64)
    gets = np.zeros(ROWS, np.float32)
    parts = np.zeros((result.shape[1], ROWS), np.float32)
    for first in range(0, len(values), ROWS):
        encode(values, first, tables, codes, words)
        parts[:] = 0
        for tree in range(len(tables.points)):
            node_masks(tables, tree, codes, words, masks)
            _walk(tables, tree, masks, products, sums, follows, gets, parts)
        for row in range(min(ROWS, len(values) - first)):
            for feature in range(result.shape[1]):
                result[first + row, feature] = parts[feature, row]


@compiled
def _walk(
    tables: Tables,
    tree: int,
    masks: Masks,
    products: Vectors,
    sums: Vectors,
    follows: Masks,
    gets: Vectors,
    parts: Vectors,
) -> None:
    """Goes along all edges of a tree for 64 rows; `follows`: who took an edge and every former one of its feature."""
    points, start, level = tables.points[tree], tables.edge_start[tree], 0
    step, size = ROWS * 4, products.shape[1] * ROWS * 4
    at_products, at_sums, at_gets = products.ctypes.data, sums.ctypes.data, gets.ctypes.data
    stack = np.empty(products.shape[0] + 1, np.int32)
    sums[0] = 0
    for edge in range(start, tables.edge_start[tree + 1]):
        leaf = tables.edge_leaves[edge]
        if leaf != CLOSE:
            at, before = tables.factor_at[edge], tables.edge_before[edge]
            taken = masks[tables.edge_nodes[edge]]
            if tables.edge_sides[edge]:
                taken = ~taken
            former = _ALL if before < 0 else follows[before]
            taken &= former
            follows[edge - start] = taken
            once = tables.factors[at + 5 * points]
            for point in range(points):
                scale(
                    np.uintp(at_products + (level + 1) * size + point * step),
                    np.uintp(at_products + level * size + point * step),
                    taken, former, tables.factors[at + point], tables.factors[at + points + point], once,
                )  # fmt: skip
            level += 1
            stack[level] = edge
            if leaf < 0:
                sums[level] = 0
                continue
            for point in range(points):
                here = level * size + point * step
                weight = tables.factors[at + 4 * points + point]
                scale(np.uintp(at_sums + here), np.uintp(at_products + here), _ALL, _ALL, weight, weight, weight)
        edge_back = stack[level]
        at, before = tables.factor_at[edge_back], tables.edge_before[edge_back]
        gets[:] = 0
        for point in range(points):
            collect(
                np.uintp(at_gets),
                np.uintp(at_sums + (level - 1) * size + point * step),
                np.uintp(at_sums + level * size + point * step),
                follows[edge_back - start],
                tables.factors[at + 2 * points + point], tables.factors[at + 3 * points + point],
            )  # fmt: skip
        former = _ALL if before < 0 else follows[before]
        add_where(np.uintp(parts.ctypes.data + tables.edge_features[edge_back] * step), np.uintp(at_gets), former)
        level -= 1


@compiled
def contributions_of_rows(values: Vectors, tables: Tables, depth: int, result: Vectors) -> None:
    """Writes the same for a few rows, to the last bit: one row at a time, and of a tree all points at once."""
    most = -(-tables.points.max() // POINTS) * POINTS
    codes = np.empty(len(tables.column_features), np.uint8)
    is_left = np.empty(MOST_LEAVES, np.bool_)
    products = np.ones((depth + 1, most), np.float32)
    sums = np.zeros((depth + 1, most), np.float32)
    follows = np.empty(4 * MOST_LEAVES, np.bool_)
    stack = np.empty(depth + 2, np.int32)
    gets = np.empty(most, np.float32)
    for row in range(len(values)):
        encode_row(values[row], tables, codes)
        result[row] = 0
        for tree in range(len(tables.points)):
            start = tables.node_start[tree]
            for node in range(start, tables.node_start[tree + 1]):
                is_left[node - start] = goes_left(tables, node, codes)
            _walk_row(tables, tree, is_left, products, sums, follows, stack, gets, result[row])


@compiled
def _walk_row(  # noqa: C901 - the loop of `_walk`, where a row either follows or does not
    tables: Tables,
    tree: int,
    is_left: Flags,
    products: Vectors,
    sums: Vectors,
    follows: Flags,
    stack: npt.NDArray[np.int32],
    gets: Vectors,
    parts: Vectors,
) -> None:
    """Goes along all edges of a tree for one row; what lies beyond the last point is multiplied, and never read."""
    points, start, level = tables.points[tree], tables.edge_start[tree], 0
    size = products.shape[1] * 4
    at_products, at_sums, at_factors = products.ctypes.data, sums.ctypes.data, tables.factors.ctypes.data
    sums[0] = 0
    for edge in range(start, tables.edge_start[tree + 1]):
        leaf = tables.edge_leaves[edge]
        if leaf != CLOSE:
            at, before = tables.factor_at[edge], tables.edge_before[edge]
            former = True if before < 0 else follows[before]
            taken = former and is_left[tables.edge_nodes[edge]] != (tables.edge_sides[edge] == 1)
            follows[edge - start] = taken
            if former:
                first = at if taken else at + points
                for point in range(0, points, POINTS):
                    here = at_products + level * size + point * 4
                    multiply(np.uintp(here + size), np.uintp(here), np.uintp(at_factors + (first + point) * 4))
            else:
                once = tables.factors[at + 5 * points]
                for point in range(points):
                    products[level + 1, point] = products[level, point] * once
            level += 1
            stack[level] = edge
            if leaf < 0:
                sums[level] = 0
                continue
            for point in range(0, points, POINTS):
                here, weights = level * size + point * 4, at_factors + (at + 4 * points + point) * 4
                multiply(np.uintp(at_sums + here), np.uintp(at_products + here), np.uintp(weights))
        edge_back = stack[level]
        at, before = tables.factor_at[edge_back], tables.edge_before[edge_back]
        first = at + (2 if follows[edge_back - start] else 3) * points
        for point in range(0, points, POINTS):
            here = at_sums + level * size + point * 4
            multiply(np.uintp(gets.ctypes.data + point * 4), np.uintp(here), np.uintp(at_factors + (first + point) * 4))
            add(np.uintp(here - size), np.uintp(here))
        if before < 0 or follows[before]:
            total = np.float32(0)
            for point in range(points):
                total += gets[point]
            parts[tables.edge_features[edge_back]] += total
        level -= 1
