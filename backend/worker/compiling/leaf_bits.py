"""Writes trees out as masks of leaves; `engines/leaf_bits.py` says how they answer."""

from collections import defaultdict
from itertools import zip_longest

import numpy as np

from engines.decoding import MAX_LEAVES, MAX_MASK_BYTES
from engines.lines import Array
from worker.compiling.preparation import Preparation, Prepared
from worker.compiling.trees import HIGHEST, Trees, find_boxes
from worker.exchange import Message

HIGHEST_END = (0, np.inf)  # a column that is never beyond the threshold


def is_small(trees: Trees, features: int) -> bool:
    """Whether the masks of these trees take megabytes, not gigabytes."""
    nodes = trees.nodes
    is_inner = ~nodes.is_leaf
    splits = np.stack([nodes.columns, nodes.thresholds])[:, is_inner]
    intervals = np.unique(splits, axis=1).shape[1] + 3 * features
    leaves = (~is_inner).sum()
    return bool(leaves <= MAX_LEAVES and intervals * leaves / 8 <= MAX_MASK_BYTES / 2)


def compile_leaf_bits(trees: Trees, preparation: Preparation) -> Message:
    compiler, features = _Compiler(trees, preparation), preparation.features
    rows = [compiler.mask(each.columns, row) for each in features for row in each.rows.values()]
    arrays = {
        "masks": np.stack([compiler.mask_constants(), *rows]),
        "values": trees.nodes.values[compiler.leaves],
    }
    for index, (thresholds, numbers) in enumerate(compiler.mask_numbers()):
        arrays |= {f"thresholds{index}": thresholds, f"masks{index}": np.stack(numbers)}
    return Message({"kind": "leaf_bits", "trees": len(trees.nodes.roots)}, arrays)


class _Compiler:
    def __init__(self, trees: Trees, preparation: Preparation) -> None:
        self._trees = trees
        self._preparation = preparation
        self.leaves: list[int] = []
        bounds = defaultdict(list)
        for place, (leaf, box) in enumerate(find_boxes(trees.nodes)):
            self.leaves.append(leaf)
            for column, (low, high) in box.items():
                bounds[column].append((place, low, high))
        # The leaves that each prepared column bounds, above which value and up to which.
        self._boxes = {column: np.array(found).T for column, found in bounds.items()}

    def mask_numbers(self) -> list[tuple[Array, list[Array]]]:
        """Thresholds for each feature, and the masks of the intervals between them."""
        ends = self._find_ends()
        prepared = self._preparation.transform_numbers(ends)
        found = []
        for index, feature in enumerate(self._preparation.features):
            thresholds, first = np.unique(ends[:, index], return_index=True)
            rows = prepared[first][:, feature.columns]
            masks = [self.mask(feature.columns, row) for row in rows]
            found.append((thresholds[thresholds < HIGHEST], masks))
        return found

    def mask_constants(self) -> Array:
        """The leaves that the columns which no feature changes leave within reach."""
        changed = np.concatenate([feature.columns for feature in self._preparation.features])
        constant = np.setdiff1d(np.arange(len(self._preparation.start)), changed)
        return self.mask(constant, self._preparation.start[constant])

    def mask(self, columns: Array, prepared: Array) -> Array:
        """Bits of the leaves within reach of these values; none where it refuses them."""
        row = self._trees.round(prepared)
        bits = np.full(len(self.leaves), np.isfinite(row).all())
        for column, value in zip(columns.tolist(), row.tolist(), strict=True):
            if column in self._boxes:
                leaves, low, high = self._boxes[column]
                bits[leaves.astype(np.intp)] &= (low < value) & (value <= high)
        return np.packbits(bits, bitorder="little")

    def _find_ends(self) -> Array:
        """Shape (n, f): for each split of a number the last value that goes left, or the highest.

        Preparing and rounding a number are monotone, so it is found by bisection, to the bit.
        """
        features = self._preparation.features
        splits = zip_longest(*map(self._list_splits, features), fillvalue=HIGHEST_END)
        table = np.array([*splits, [HIGHEST_END] * len(features)])
        columns, thresholds = table[..., 0].astype(np.intp), table[..., 1]
        low = np.full(columns.shape, _order(-HIGHEST))
        high = np.full(columns.shape, _order(HIGHEST))
        while (low < high).any():
            middle = (low | high) - ((low ^ high) >> 1)  # their mean, rounded up
            prepared = self._trees.round(self._preparation.transform_numbers(_number(middle)))
            goes_left = np.take_along_axis(prepared, columns, axis=1) <= thresholds
            low, high = np.where(goes_left, middle, low), np.where(goes_left, high, middle - 1)
        return _number(low)

    def _list_splits(self, feature: Prepared) -> list[tuple[int, float]]:
        """Prepared columns and thresholds: the trees', and the ends of what the estimator takes."""
        ends = {-np.inf, float(np.finfo(self._trees.precision).max)}
        return [
            (column, threshold)
            for column in feature.columns[feature.slopes > 0].tolist()
            for threshold in ends.union(*self._boxes.get(column, np.empty((3, 0)))[1:].tolist())
        ]


def _order(number: float) -> int:
    """Integers in the order of the doubles they stand for, without a gap."""
    bits = int(np.float64(number).view(np.int64))
    return bits if bits >= 0 else -(bits + 2**63)


def _number(order: Array) -> Array:
    return np.where(order >= 0, order, np.int64(-(2**63)) - order).view(np.float64)
