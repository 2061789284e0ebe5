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
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from features.kit.arrays import Floats
from serving.scoring.kernel.trees import CATEGORY, CLOSE, Tree, UnsupportedModelError, trees_of

MOST_THRESHOLDS = 254
WORD = 32
"""Categories a word of membership bits holds."""
INFINITE = 1e300
"""What LightGBM takes for infinite: a threshold of this lets infinity pass to the left."""
PADDING = 8
"""Factors after the last one, which may be read though never used."""
Node = tuple[int, int, float, tuple[int, ...]]
"""Feature, kind, threshold and set of a node, see `trees.Tree`."""


class Tables(NamedTuple):
    """The arrays of a compiled model; what belongs to one tree or column is what lies between two of its starts.

    Attributes:
        column_features: The feature of each column, [c]. A column is a feature with one way to treat what is missing.
        column_kinds: How the column decides, see `trees`, [c].
        threshold_start: Where a column's thresholds start, [c + 1].
        thresholds: Sorted within a column, float32.
        word_start: Where a column's words of one-hot bits start, [c + 1].
        node_start: Where a tree's nodes start, [trees + 1].
        node_columns: The column that a node compares.
        node_codes: A value goes left if its code is at most this.
        set_start: Where a node's sets start, [nodes + 1]; empty for a number.
        set_words: The word of one-hot bits that a set is held against.
        sets: The categories that go left, as bits.
        left: A node's left child: a node of its tree, or the number of its nodes plus a leaf.
        right: Its right child.
        leaf_start: Where a tree's leaves start, [trees + 1].
        leaves: Values, float64.
        edge_start: Where a tree's edges start, [trees + 1].
        edge_nodes: See `trees.Edge`, as for the next four.
        edge_sides: 1 to the right, 0 to the left.
        edge_features: The feature.
        edge_before: The former edge of the same feature, or -1.
        edge_leaves: The leaf, `INNER` or `CLOSE`.
        factor_at: Where an edge's factors start.
        factors: Per edge, for its points: if followed, if left here, gets if followed, gets if left, leaf; and: if left
            before.
        points: Quadrature points of each tree.
    """

    column_features: npt.NDArray[np.int32]
    column_kinds: npt.NDArray[np.int32]
    threshold_start: npt.NDArray[np.int32]
    thresholds: npt.NDArray[np.float32]
    word_start: npt.NDArray[np.int32]
    node_start: npt.NDArray[np.int32]
    node_columns: npt.NDArray[np.int32]
    node_codes: npt.NDArray[np.uint8]
    set_start: npt.NDArray[np.int32]
    set_words: npt.NDArray[np.int32]
    sets: npt.NDArray[np.uint32]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    leaf_start: npt.NDArray[np.int32]
    leaves: npt.NDArray[np.float64]
    edge_start: npt.NDArray[np.int32]
    edge_nodes: npt.NDArray[np.int32]
    edge_sides: npt.NDArray[np.int32]
    edge_features: npt.NDArray[np.int32]
    edge_before: npt.NDArray[np.int32]
    edge_leaves: npt.NDArray[np.int32]
    factor_at: npt.NDArray[np.int32]
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
    word_start = _starts([largest[feature] // WORD + 1 if kind == CATEGORY else 0 for feature, kind in columns])
    node_columns, node_codes, node_sets = [], [], []
    for feature, kind, threshold, members in nodes:
        column = column_of[feature, kind]
        node_columns.append(column)
        node_codes.append(0 if members else int(np.searchsorted(thresholds[column], threshold)))
        node_sets.append(_bits(members, int(word_start[column])))
    edges = [edge for tree in trees for edge in tree.edges]
    factors = [_factors(tree) for tree in trees]
    widths = [0 if edge.leaf == CLOSE else 5 * _points(tree) + 1 for tree in trees for edge in tree.edges]
    tables = Tables(
        column_features=_i32([feature for feature, _ in columns]),
        column_kinds=_i32([kind for _, kind in columns]),
        threshold_start=_starts([len(each) for each in thresholds]),
        thresholds=_rounded_down(np.concatenate([np.empty(0), *thresholds])),
        word_start=word_start,
        node_start=_starts([len(tree.features) for tree in trees]),
        node_columns=_i32(node_columns),
        node_codes=np.array(node_codes, dtype=np.uint8),
        set_start=_starts([len(each) for each in node_sets]),
        set_words=_i32([word for each in node_sets for word, _ in each]),
        sets=np.array([bits for each in node_sets for _, bits in each], dtype=np.uint32),
        left=_i32([child for tree in trees for child in tree.left]),
        right=_i32([child for tree in trees for child in tree.right]),
        leaf_start=_starts([len(tree.leaves) for tree in trees]),
        leaves=np.array([value for tree in trees for value in tree.leaves]),
        edge_start=_starts([len(tree.edges) for tree in trees]),
        edge_nodes=_i32([edge.node for edge in edges]),
        edge_sides=_i32([edge.is_right for edge in edges]),
        edge_features=_i32([edge.feature for edge in edges]),
        edge_before=_i32([edge.before for edge in edges]),
        edge_leaves=_i32([edge.leaf for edge in edges]),
        factor_at=_starts(widths)[:-1],
        factors=np.concatenate([*(of_tree.ravel() for of_tree in factors), np.zeros(PADDING)]).astype(np.float32),
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


def _bits(members: tuple[int, ...], first_word: int) -> list[tuple[int, int]]:
    """Returns the words that hold a set, with its bits in them."""
    bits: dict[int, int] = {}
    for member in members:
        word = first_word + member // WORD
        bits[word] = bits.get(word, 0) | 1 << member % WORD
    return sorted(bits.items())


def _points(tree: Tree) -> int:
    return max(1, (tree.most_features + 1) // 2)


def _factors(tree: Tree) -> Floats:
    """Returns the factors of a tree's edges but the ways back, float64 [edges, 5 * points + 1]."""
    edges = [edge for edge in tree.edges if edge.leaf != CLOSE]
    points = _points(tree)
    nodes, weights = np.polynomial.legendre.leggauss(points)
    t, weights = (nodes + 1) / 2, weights / 2
    share = np.array([edge.share for edge in edges])[:, None]
    before = np.array([edge.share_before for edge in edges])[:, None]
    repeated = np.array([edge.before >= 0 for edge in edges], dtype=bool)[:, None]
    leaf = np.array([tree.leaves[edge.leaf] if edge.leaf >= 0 else 0.0 for edge in edges])[:, None]
    followed, left, former = t + (1 - t) * share, (1 - t) * share, t + (1 - t) * before
    gets_before = np.where(repeated, (1 - before) / former, 0.0)
    gets, loses = (1 - share) / followed - gets_before, -1 / (1 - t) - gets_before
    once = np.divide(share, before, out=np.zeros_like(share), where=before > 0)
    return np.hstack([followed / former, left / former, gets, np.broadcast_to(loses, gets.shape), weights * leaf, once])


def _mean(trees: list[Tree]) -> float:
    """Returns the mean margin over the training rows, added in LightGBM's order."""
    mean = 0.0
    for tree in trees:
        total = sum(tree.counts)
        mean += sum(count / total * value for count, value in zip(tree.counts, tree.leaves, strict=True))
    return mean


def _rounded_down(thresholds: Floats) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):
        rounded = thresholds.astype(np.float32)
    above = (rounded.astype(np.float64) > thresholds) & (thresholds < INFINITE)
    rounded[above] = np.nextafter(rounded[above], np.float32(-np.inf))
    return rounded


def _starts(sizes: list[int]) -> npt.NDArray[np.int32]:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)


def _i32(values: list[Any]) -> npt.NDArray[np.int32]:
    return np.array(values, dtype=np.int32)
