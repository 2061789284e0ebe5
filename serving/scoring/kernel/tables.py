"""A model compiled to tables: what blocks of rows need to be scored and explained without a look at a tree.

*Codes.* A feature's thresholds are sorted; a value's code is how many of them lie below it, so that a node's comparison
is one of small numbers. Thresholds are rounded down to float32, which decides float32 values exactly as before.

*Factors.* Path-dependent SHAP of a leaf is an integral over t of the product of `t * o + (1 - t) * z` over the features
of its path (o: whether the row follows, z: share of training rows that do). The polynomial's degree is known, so
Gauss-Legendre quadrature with half as many points is exact. An edge holds, per point, by what the product is multiplied
when the row follows and when it does not, and what its feature gets of everything below it.
Sources: Lundberg et al. 2020 (path-dependent TreeSHAP), Yu et al. 2022 (Linear TreeShap, the polynomial).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from features.kit.arrays import Floats
from serving.scoring.kernel.trees import CATEGORY, OF_LEAVES, Tree, UnsupportedModelError, trees_of

MOST_THRESHOLDS = 254
PIVOTS = 16
"""A column's thresholds are a multiple of this, less one: a search first finds the sixteenth that a value lies in."""
HALF = 128
"""Categories that a set of 16 bytes holds: bit `code // 16` of byte `code % 16`."""
INFINITE = 1e300
"""What LightGBM takes for infinite: a threshold of this lets infinity pass to the left."""
PADDING = 8
"""Factors after the last one, which may be read though never used."""
FACTORS = 5
"""Kinds of factors of an edge."""
Node = tuple[int, int, float, tuple[int, ...]]
"""Feature, kind, threshold and set of a node, see `trees.Tree`."""


class Tables(NamedTuple):
    """The arrays of a compiled model; what belongs to one tree or column is what lies between two of its starts.

    Attributes:
        column_features: The feature of each column, [c]. A column is a feature with one way to treat what is missing.
        column_kinds: How the column decides, see `trees`, [c].
        column_planes: Where a column's planes start, [c + 1]. A plane holds a byte per row: the code of a number; of a
            category code % 16, and for each half of 128 categories one bit that says which 16 of the half it is in.
        threshold_start: Where a column's thresholds start, [c + 1].
        thresholds: Sorted within a column, float32; filled up with infinity, which lies below no value.
        node_start: Where a tree's nodes start, [trees + 1].
        node_planes: The plane that a node compares; the first plane of a category.
        node_codes: A value goes left if its code is at most this.
        node_edges: The edge that leads to the node, see `trees.Tree`.
        node_before: The last edge of the same feature.
        node_features: The feature.
        set_start: Where a node's sets start, [nodes + 1]; empty for a number.
        set_halves: The half of the categories that a set is of.
        sets: The categories of a half that go left, uint8 [sets, 16].
        order: A tree's nodes: first all that decide by a number, then all that decide by a category.
        numbers: How many of a tree's nodes decide by a number.
        left: A node's left child: a node of its tree, or the number of its nodes plus a leaf.
        right: Its right child.
        leaf_start: Where a tree's leaves start, [trees + 1].
        leaves: Values, float64.
        step_start: Where the steps of a tree's walk start, [trees + 1].
        step_kinds: What is done, see `trees`.
        step_nodes: At which node.
        way_back: A tree's nodes, each after those below it, in the order of the steps back.
        factor_start: Where a tree's factors start, [trees + 1].
        factors: Per node and side: if followed, if left here, if left before, gets if followed, gets if left here; each
            for all points. On the side of a leaf the first three hold its value.
        points: Quadrature points of each tree.
    """

    column_features: npt.NDArray[np.int32]
    column_kinds: npt.NDArray[np.int32]
    column_planes: npt.NDArray[np.int32]
    threshold_start: npt.NDArray[np.int32]
    thresholds: npt.NDArray[np.float32]
    node_start: npt.NDArray[np.int32]
    node_planes: npt.NDArray[np.int32]
    node_codes: npt.NDArray[np.uint8]
    node_edges: npt.NDArray[np.int32]
    node_before: npt.NDArray[np.int32]
    node_features: npt.NDArray[np.int32]
    set_start: npt.NDArray[np.int32]
    set_halves: npt.NDArray[np.int32]
    sets: npt.NDArray[np.uint8]
    order: npt.NDArray[np.int32]
    numbers: npt.NDArray[np.int32]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    leaf_start: npt.NDArray[np.int32]
    leaves: npt.NDArray[np.float64]
    step_start: npt.NDArray[np.int32]
    step_kinds: npt.NDArray[np.int32]
    step_nodes: npt.NDArray[np.int32]
    way_back: npt.NDArray[np.int32]
    factor_start: npt.NDArray[np.int32]
    factors: npt.NDArray[np.float32]
    points: npt.NDArray[np.int32]


class CompiledModel(NamedTuple):
    """The tables with what is not an array of the kernel.

    Attributes:
        tables: The tables.
        features: Inputs of the model.
        depth: Nodes on the longest path.
        expected: The mean margin of the training rows, the last column of contributions.
    """

    tables: Tables
    features: int
    depth: int
    expected: float


def compile_model(dump: Mapping[str, Any]) -> CompiledModel:
    """Returns the tables of a model that `Booster.dump_model` described.

    Raises:
        UnsupportedModelError: If only LightGBM itself can score it.
    """
    trees = trees_of(dump)
    nodes = [node for tree in trees for node in zip(tree.features, tree.kinds, tree.thresholds, tree.sets, strict=True)]
    columns = sorted({(feature, kind) for feature, kind, _, _ in nodes})
    column_of = {key: number for number, key in enumerate(columns)}
    of_feature, largest = _decided_by(nodes)
    thresholds = [np.array(sorted(of_feature[feature]) if kind != CATEGORY else []) for feature, kind in columns]
    if any(len(each) > MOST_THRESHOLDS for each in thresholds):
        raise UnsupportedModelError(f"more than {MOST_THRESHOLDS} thresholds of a feature")
    planes = _starts([2 + largest[feature] // HALF if kind == CATEGORY else 1 for feature, kind in columns])
    node_columns = [column_of[feature, kind] for feature, kind, _, _ in nodes]
    sets = [_bits(members) for _, _, _, members in nodes]
    factors = [_factors(tree).ravel() for tree in trees]
    tables = Tables(
        column_features=_i32([feature for feature, _ in columns]),
        column_kinds=_i32([kind for _, kind in columns]),
        column_planes=planes,
        threshold_start=_starts([_padded(len(each)) for each in thresholds]),
        thresholds=np.concatenate([np.empty(0, np.float32), *(_rounded_down(each) for each in thresholds)]),
        node_start=_starts([len(tree.features) for tree in trees]),
        node_planes=_i32([planes[column] for column in node_columns]),
        node_codes=np.array(
            [
                0 if kind == CATEGORY else np.searchsorted(thresholds[column], threshold)
                for column, (_, kind, threshold, _) in zip(node_columns, nodes, strict=True)
            ],
            dtype=np.uint8,
        ),
        node_edges=_i32([edge for tree in trees for edge in tree.edges]),
        node_before=_i32([before for tree in trees for before in tree.before]),
        node_features=_i32([feature for feature, _, _, _ in nodes]),
        set_start=_starts([len(each) for each in sets]),
        set_halves=_i32([half for each in sets for half in each]),
        sets=np.array([bits for each in sets for bits in each.values()], dtype=np.uint8).reshape(-1, HALF // 8),
        order=_i32([node for tree in trees for node in np.argsort(np.array(tree.kinds) == CATEGORY, kind="stable")]),
        numbers=_i32([sum(kind != CATEGORY for kind in tree.kinds) for tree in trees]),
        left=_i32([child for tree in trees for child in tree.left]),
        right=_i32([child for tree in trees for child in tree.right]),
        leaf_start=_starts([len(tree.leaves) for tree in trees]),
        leaves=np.array([value for tree in trees for value in tree.leaves]),
        step_start=_starts([len(tree.steps) for tree in trees]),
        step_kinds=_i32([kind for tree in trees for kind, _ in tree.steps]),
        step_nodes=_i32([node for tree in trees for _, node in tree.steps]),
        way_back=_i32([node for tree in trees for kind, node in tree.steps if kind >= OF_LEAVES]),
        factor_start=_starts([len(each) for each in factors]),
        factors=np.concatenate([*factors, np.zeros(PADDING)]).astype(np.float32),
        points=_i32([_points(tree) for tree in trees]),
    )
    return CompiledModel(
        tables, int(dump["max_feature_idx"]) + 1, max([1, *(tree.depth for tree in trees)]), _mean(trees)
    )


def _decided_by(nodes: Sequence[Node]) -> tuple[dict[int, set[float]], dict[int, int]]:
    """Returns feature -> its thresholds, whatever is missing to the nodes; and feature -> its largest category."""
    thresholds: dict[int, set[float]] = {}
    largest: dict[int, int] = {}
    for feature, kind, threshold, members in nodes:
        if kind == CATEGORY:
            largest[feature] = max(largest.get(feature, 0), *members)
        else:
            thresholds.setdefault(feature, set()).add(threshold)
    return thresholds, largest


def _bits(members: tuple[int, ...]) -> dict[int, list[int]]:
    """Returns half -> the set's bits in it, a byte for each code % 16."""
    halves: dict[int, list[int]] = {}
    for member in members:
        bits = halves.setdefault(member // HALF, [0] * (HALF // 8))
        bits[member % 16] |= 1 << member % HALF // 16
    return halves


def _points(tree: Tree) -> int:
    return max(1, (tree.most_features + 1) // 2)


def _factors(tree: Tree) -> Floats:
    """Returns the factors of a tree's nodes, float64 [nodes, 10, points]."""
    points, inner = _points(tree), len(tree.features)
    t, weights = _quadrature(points)
    shares = np.array(tree.shares).reshape(-1, 3)
    share, before = shares[:, :2, None], shares[:, None, 2:]  # [nodes, side, point]
    children = np.array([tree.left, tree.right], dtype=int).T
    values = np.array(tree.leaves)[np.maximum(children - inner, 0)][..., None]
    ends = np.where(children[..., None] >= inner, weights * values, 1.0)
    followed, left, former = t + (1 - t) * share, (1 - t) * share, t + (1 - t) * before
    gets_before = np.where(np.array(tree.before)[:, None, None] > 0, (1 - before) / former, 0.0)
    gets, loses = (1 - share) / followed - gets_before, -1 / (1 - t) - gets_before
    once = np.divide(share, before, out=np.zeros_like(share), where=before > 0)
    kinds = [followed / former * ends, left / former * ends, once * ends, gets, np.broadcast_to(loses, gets.shape)]
    return np.stack([np.broadcast_to(kind, gets.shape) for kind in kinds], axis=2).reshape(inner, 2 * FACTORS, points)


@cache
def _quadrature(points: int) -> tuple[Floats, Floats]:
    """Returns the points in [0, 1] and their weights."""
    nodes, weights = np.polynomial.legendre.leggauss(points)
    return (nodes + 1) / 2, weights / 2


def _mean(trees: list[Tree]) -> float:
    """Returns the mean margin over the training rows, added in LightGBM's order."""
    mean = 0.0
    for tree in trees:
        total = sum(tree.counts)
        mean += sum(count / total * value for count, value in zip(tree.counts, tree.leaves, strict=True))
    return mean


def _padded(count: int) -> int:
    """Returns how many places a column's thresholds take."""
    return (count // PIVOTS + 1) * PIVOTS - 1 if count else 0


def _rounded_down(thresholds: Floats) -> npt.NDArray[np.float32]:
    """Returns thresholds that decide float32 values as before, filled up with infinity."""
    with np.errstate(over="ignore"):
        rounded = thresholds.astype(np.float32)
    above = (rounded.astype(np.float64) > thresholds) & (thresholds < INFINITE)
    rounded[above] = np.nextafter(rounded[above], np.float32(-np.inf))
    return np.pad(rounded, (0, _padded(len(rounded)) - len(rounded)), constant_values=np.inf)


def _starts(sizes: list[int]) -> npt.NDArray[np.int32]:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)


def _i32(values: list[Any]) -> npt.NDArray[np.int32]:
    return np.array(values, dtype=np.int32)
