"""Takes the trees of an ensemble apart, and writes out those that are to be walked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from engines.engine import NotCompiled
from engines.lines import Array
from engines.trees import Nodes
from worker.compiling.layers import fold
from worker.compiling.preparation import Preparation, Prepared
from worker.exchange import Message

HIGHEST = np.finfo(np.float64).max


@dataclass
class Trees:
    """`start` is that of a sum of scores, None for probabilities; rows have this `precision`."""

    nodes: Nodes
    start: Array | None
    precision: type

    def round(self, prepared: Array) -> Array:
        return prepared.astype(self.precision).astype(np.float64)


def take_apart(classifier: Any) -> Trees:
    if isinstance(classifier, HistGradientBoostingClassifier):
        return _take_boosting_apart(classifier)
    trees = [each.tree_ for each in getattr(classifier, "estimators_", [classifier])]
    return Trees(_join_trees([_read_tree(tree) for tree in trees]), None, np.float32)


def _read_tree(tree: Any) -> tuple[Array, ...]:
    is_leaf = tree.children_left < 0
    values = tree.value[:, 0, :]
    return tree.feature, tree.threshold, is_leaf, tree.children_left, tree.children_right, values


def _take_boosting_apart(classifier: Any) -> Trees:
    if classifier.is_categorical_ is not None:
        raise NotCompiled("It splits by categories of its own, which is not compiled.")
    size = len(classifier.classes_)
    start = np.zeros(size)
    # Two classes have one score, for the second; that of the first is 0.
    start[-classifier._baseline_prediction.size :] = classifier._baseline_prediction
    trees = [
        _read_boosted(predictor.nodes, place, size)
        for round_ in classifier._predictors
        for place, predictor in enumerate(round_, size - len(round_))
    ]
    return Trees(_join_trees(trees), start, np.float64)


def _read_boosted(nodes: Array, place: int, size: int) -> tuple[Array, ...]:
    values = np.zeros((len(nodes), size))
    values[:, place] = nodes["value"]
    left, right = nodes["left"].astype(np.intp), nodes["right"].astype(np.intp)
    is_leaf = nodes["is_leaf"].astype(bool)
    return nodes["feature_idx"], nodes["num_threshold"], is_leaf, left, right, values


def _join_trees(trees: Sequence[tuple[Array, ...]]) -> Nodes:
    sizes = [len(tree[0]) for tree in trees]
    roots = np.cumsum([0, *sizes[:-1]])
    columns, thresholds, is_leaf, left, right, values = (
        np.concatenate(parts) for parts in zip(*trees, strict=True)
    )
    own, first = np.arange(len(columns)), np.repeat(roots, sizes)
    return Nodes(
        columns=np.where(is_leaf, 0, columns).astype(np.int64),
        # A split of the missing ones has infinity, which no number reaches either.
        thresholds=np.where(is_leaf, 0, np.minimum(thresholds, HIGHEST)).astype(np.float64),
        left=np.where(is_leaf, own, left + first),
        right=np.where(is_leaf, own, right + first),
        values=values.astype(np.float64),
        roots=roots,
    )


def find_boxes(nodes: Nodes) -> Iterator[tuple[int, dict[int, tuple[float, float]]]]:
    """Each leaf, tree by tree; of each column it bounds, above what and up to what."""
    is_leaf = nodes.is_leaf.tolist()
    columns, thresholds = nodes.columns.tolist(), nodes.thresholds.tolist()
    left, right = nodes.left.tolist(), nodes.right.tolist()
    for root in nodes.roots.tolist():
        stack: list[tuple[int, dict[int, tuple[float, float]]]] = [(root, {})]
        while stack:
            node, box = stack.pop()
            if is_leaf[node]:
                yield node, box
                continue
            column, threshold = columns[node], thresholds[node]
            low, high = box.get(column, (-np.inf, np.inf))
            stack.append((right[node], {**box, column: (max(low, threshold), high)}))
            stack.append((left[node], {**box, column: (low, min(high, threshold))}))


def compile_walk(trees: Trees, preparation: Preparation) -> Message:
    """Raises NotCompiled unless the steps keep each number, as its rounding is not known."""
    start = preparation.start
    if not all(_is_exact(each, start[each.columns]) for each in preparation.features):
        raise NotCompiled("Its trees are large, and what comes before them rounds its numbers.")
    size = len(start)
    arrays = fold(np.eye(size), np.zeros(size), preparation)
    head = {"kind": "walk", "is_single": trees.precision is np.float32}
    return Message(head, arrays | vars(trees.nodes))


def _is_exact(feature: Prepared, start: Array) -> bool:
    """Whether its columns are added up to the last bit."""
    moved = feature.slopes != 0
    is_same = bool((feature.slopes[moved] == 1).all() and not start[moved].any())
    return is_same and all((start + (row - start) == row).all() for row in feature.rows.values())
