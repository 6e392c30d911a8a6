"""Takes the trees of an ensemble apart: nodes in arrays, and how their leaves become an answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier

from engines.preparation import NotCompiled

Array = npt.NDArray[Any]


@dataclass
class Nodes:
    """The m nodes of all trees; a row goes left where its column is at most the threshold.

    Leaves are their own children. Of `values`, shape (m, k), only those of leaves count.
    """

    columns: Array
    thresholds: Array
    left: Array
    right: Array
    values: Array
    roots: Array

    @property
    def is_leaf(self) -> npt.NDArray[np.bool_]:
        return np.equal(self.left, np.arange(len(self.left)))


@dataclass
class LeafSum:
    """Makes probabilities of the leaves' values, summed over the trees.

    A mean of probabilities, or scores that begin at `start`, shape (k,), and go through softmax.
    """

    start: Array
    trees: int
    is_score: bool

    def finish(self, values: Array) -> list[float]:
        """Probabilities, shape (k,), of values of shape (trees, k), in the trees' order."""
        # Down the rows NumPy adds one by one, as scikit-learn does: equal to the last bit.
        total = np.add.reduce(values, axis=0)
        if not self.is_score:
            return list((total / self.trees).tolist())
        total += self.start
        powers = np.exp(total - total.max())
        return list((powers / powers.sum()).tolist())


def take_apart(classifier: Any) -> tuple[Nodes, LeafSum, type]:
    """Nodes, their sum, and the precision that rows are compared in."""
    if isinstance(classifier, HistGradientBoostingClassifier):
        return *_take_boosting_apart(classifier), np.float64
    trees = [it.tree_ for it in getattr(classifier, "estimators_", [classifier])]
    nodes = _join([_read_tree(tree) for tree in trees])
    start = np.zeros(nodes.values.shape[1])
    return nodes, LeafSum(start, len(trees), is_score=False), np.float32


def _read_tree(tree: Any) -> tuple[Array, ...]:
    is_leaf = tree.children_left < 0
    values = tree.value[:, 0, :]
    return tree.feature, tree.threshold, is_leaf, tree.children_left, tree.children_right, values


def _take_boosting_apart(classifier: Any) -> tuple[Nodes, LeafSum]:
    if classifier.is_categorical_ is not None:
        raise NotCompiled("It splits by categories of its own, which is not compiled.")
    start = np.ravel(classifier._baseline_prediction)
    # With two classes there is one score, for the second; that of the first is 0.
    places = [1] if len(start) == 1 else range(len(start))
    size = max(len(start), 2)
    trees = [
        _read_boosted(predictor.nodes, place, size)
        for round_ in classifier._predictors
        for place, predictor in zip(places, round_, strict=True)
    ]
    start = np.array([0.0, *start]) if len(start) == 1 else start
    return _join(trees), LeafSum(start, len(trees), is_score=True)


def _read_boosted(nodes: Array, place: int, size: int) -> tuple[Array, ...]:
    values = np.zeros((len(nodes), size))
    values[:, place] = nodes["value"]
    left, right = nodes["left"].astype(np.intp), nodes["right"].astype(np.intp)
    is_leaf = nodes["is_leaf"].astype(bool)
    return nodes["feature_idx"], nodes["num_threshold"], is_leaf, left, right, values


def _join(trees: list[tuple[Array, ...]]) -> Nodes:
    sizes = [len(tree[0]) for tree in trees]
    roots = np.cumsum([0, *sizes[:-1]])
    columns, thresholds, is_leaf, left, right, values = (
        np.concatenate(parts) for parts in zip(*trees, strict=True)
    )
    own, first = np.arange(len(columns)), np.repeat(roots, sizes)
    return Nodes(
        columns=np.where(is_leaf, 0, columns).astype(np.intp),
        thresholds=np.where(is_leaf, np.inf, thresholds).astype(np.float64),
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
