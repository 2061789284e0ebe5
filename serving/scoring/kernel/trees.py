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


DOWN_LEFT, DOWN_RIGHT, OF_LEAVES, OF_LEFT_LEAF, OF_RIGHT_LEAF, OF_NODES = range(6)
"""Steps of a walk: down to a child that is a node; back at a node whose children are both leaves, one leaf or none."""


@dataclass
class Tree:
    """One tree: nodes in the order of a depth-first walk, so that a parent comes before its children.

    Children are node numbers, or the number of nodes plus a leaf's. An edge is 1 + 2 * node to the left, one more to
    the right; 0 is where the walk begins.

    Attributes:
        edges: The edge that leads to a node.
        before: The last edge on the way to a node that decided by its feature, 0 if there is none.
        shares: Shares of training rows that take a node's left, its right edge and all former edges of its feature,
            given the rest of the path; and the share of those former edges alone, 1 if there are none.
        steps: The walk along all edges: what is done, and at which node.
        most_features: The most different features on one path.
    """

    features: list[int] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    thresholds: list[float] = field(default_factory=list)
    sets: list[tuple[int, ...]] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    edges: list[int] = field(default_factory=list)
    before: list[int] = field(default_factory=list)
    shares: list[tuple[float, float, float]] = field(default_factory=list)
    leaves: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    steps: list[tuple[int, int]] = field(default_factory=list)
    most_features: int = 0
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
    _walk(tree, root, inner, {}, 0, 1)
    return tree


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    stack = [node]
    while stack:
        each = stack.pop()
        yield each
        stack += [each[side] for side in ("left_child", "right_child") if side in each]


def _walk(
    tree: Tree, node: Mapping[str, Any], inner: int, path: dict[int, tuple[int, float]], edge: int, depth: int
) -> int:
    """Adds a node and all below it, returns its number; `path` holds each feature's last edge and share."""
    number, feature = len(tree.features), int(node["split_feature"])
    before, former = path.get(feature, (0, 1.0))
    children = node["left_child"], node["right_child"]
    is_node = ["split_index" in child for child in children]
    counts = [child.get("internal_count", child.get("leaf_count")) for child in children]
    left, right = (former * count / node["internal_count"] for count in counts)
    tree.features.append(feature)
    _add_decision(tree, node)
    tree.edges.append(edge)
    tree.before.append(before)
    tree.shares.append((left, right, former))
    tree.depth = max(tree.depth, depth)
    tree.most_features = max(tree.most_features, len(path) + (feature not in path))
    tree.left.append(0)
    tree.right.append(0)
    for side, (numbers, share) in enumerate(((tree.left, left), (tree.right, right))):
        if is_node[side]:
            tree.steps.append((DOWN_LEFT + side, number))
            taken = 1 + 2 * number + side
            below = path | {feature: (taken, share)}
            numbers[number] = _walk(tree, children[side], inner, below, taken, depth + 1)
        else:
            numbers[number] = inner + _add_leaf(tree, children[side])
    tree.steps.append((OF_LEAVES + 2 * is_node[0] + is_node[1], number))
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
