"""LightGBM's trees as lists of nodes, paths and leaves; what the kernel does not support is refused by name.

Read from `Booster.dump_model`, whose numbers are exact (17 digits).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_LEAVES = 256
MOST_CATEGORY = 254
_MISSING = {"None": 0, "Zero": 1, "NaN": 3}


class UnsupportedModelError(Exception):
    """A model that only LightGBM itself can score; the text says why."""


@dataclass(frozen=True)
class Edge:
    """One step from a node to a child, in the order of a depth-first walk.

    Attributes:
        node: The node it leaves.
        is_right: Whether it goes right.
        feature: The feature that the node splits on.
        before: The last edge of the same feature on the way to here, or -1.
        leaf: The leaf it ends in; `INNER` where it ends in a node, `CLOSE` where the walk comes back from that node.
        share: Share of training rows that take this and all former edges of this feature, given the rest of the path.
        share_before: The same at `before`, 1 if there is none.
    """

    node: int
    is_right: bool
    feature: int
    before: int
    leaf: int
    share: float
    share_before: float


INNER, CLOSE = -1, -2


@dataclass
class Tree:
    """One tree: nodes in the order of a depth-first walk, so that a parent comes before its children.

    Children are node numbers, or the number of nodes plus a leaf's.
    """

    features: list[int] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    thresholds: list[float] = field(default_factory=list)
    sets: list[tuple[int, ...]] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    leaves: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    most_features: int = 0
    """The most different features on one path."""
    depth: int = 0


NUMBER, ZERO_LEFT, ZERO_RIGHT, NAN_LEFT, NAN_RIGHT, CATEGORY = range(6)
"""How a node decides: what is missing to it (nothing, zero, NaN) and where that goes; or a set of categories."""


def trees_of(dump: Mapping[str, Any]) -> list[Tree]:
    """Returns the trees of a dumped model.

    Raises:
        UnsupportedModelError: If the model is more than a plain sum of plain trees, or a tree is too large.
    """
    if dump["num_tree_per_iteration"] != 1 or dump.get("average_output"):
        raise UnsupportedModelError("not one plain sum of trees")
    return [_tree(each["tree_structure"]) for each in dump["tree_info"]]


def _tree(root: Mapping[str, Any]) -> Tree:
    tree = Tree()
    if "split_index" not in root:
        _add_leaf(tree, root)
        return tree
    inner = sum(1 for node in _nodes(root) if "split_index" in node)
    if inner >= MOST_LEAVES:
        raise UnsupportedModelError(f"a tree of more than {MOST_LEAVES} leaves")
    _walk(tree, root, inner, {}, 1)
    return tree


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    stack = [node]
    while stack:
        each = stack.pop()
        yield each
        stack += [each[side] for side in ("left_child", "right_child") if side in each]


def _walk(tree: Tree, node: Mapping[str, Any], inner: int, path: dict[int, tuple[int, float]], depth: int) -> int:
    """Adds a node and all below it, returns its number; `path` holds each feature's last edge and share."""
    number, feature = len(tree.features), int(node["split_feature"])
    tree.features.append(feature)
    _add_decision(tree, node)
    tree.left.append(0)
    tree.right.append(0)
    tree.depth = max(tree.depth, depth)
    before, share_before = path.get(feature, (-1, 1.0))
    for side, children in (("left_child", tree.left), ("right_child", tree.right)):
        child, is_right = node[side], side == "right_child"
        is_node = "split_index" in child
        share = share_before * child["internal_count" if is_node else "leaf_count"] / node["internal_count"]
        below = path | {feature: (len(tree.edges), share)}
        tree.most_features = max(tree.most_features, len(below))
        leaf = INNER if is_node else _add_leaf(tree, child)
        tree.edges.append(Edge(number, is_right, feature, before, leaf, share, share_before))
        if is_node:
            children[number] = _walk(tree, child, inner, below, depth + 1)
            tree.edges.append(Edge(number, is_right, feature, before, CLOSE, share, share_before))
        else:
            children[number] = inner + leaf
    return number


def _add_decision(tree: Tree, node: Mapping[str, Any]) -> None:
    if node["decision_type"] == "==":
        members = tuple(int(text) for text in str(node["threshold"]).split("||"))
        if max(members) > MOST_CATEGORY:
            raise UnsupportedModelError(f"a category code above {MOST_CATEGORY}")
        tree.kinds.append(CATEGORY)
        tree.thresholds.append(0.0)
        tree.sets.append(members)
        return
    missing = _MISSING[node["missing_type"]]
    tree.kinds.append(missing if missing == NUMBER or node["default_left"] else missing + 1)
    tree.thresholds.append(float(node["threshold"]))
    tree.sets.append(())


def _add_leaf(tree: Tree, node: Mapping[str, Any]) -> int:
    if "leaf_const" in node:
        raise UnsupportedModelError("linear trees")
    tree.leaves.append(float(node["leaf_value"]))
    tree.counts.append(int(node.get("leaf_count", 1)))
    return len(tree.leaves) - 1
