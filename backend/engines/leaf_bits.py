"""Answers with all trees at once: a bit for each leaf, and a mask for each interval of a feature.

A feature's thresholds in all trees cut its values into intervals. The mask of an interval has the
bits of the leaves that such a value can reach; the masks of all features have one bit of each tree
in common. (QuickScorer, Lucchese et al., SIGIR 2015, with masks for intervals in place of nodes.)
"""

from bisect import bisect_left
from collections import defaultdict
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from engines.engine import Probabilities
from engines.preparation import Preparation, Prepared
from engines.trees import LeafSum, Nodes, find_boxes
from schemas import EngineName, Value

Array = npt.NDArray[Any]

MAX_MASK_BYTES = 32 * 1024**2
HIGHEST = np.finfo(np.float64).max


class LeafBits:
    """Masks of every feature, and what the reached leaves sum up to."""

    name: ClassVar[EngineName] = "trees"

    def __init__(
        self, features: list["Masks"], everywhere: int, values: Array, leaf_sum: LeafSum
    ) -> None:
        """`values` of the leaves have shape (leaves, k)."""
        self._features = features
        self._plain = [(it.thresholds, it.numbers) for it in features if it.is_plain]
        self._everywhere = everywhere
        self._values = values
        self._bytes = len(values) // 8 + 1
        self._sum = leaf_sum
        self._pure = _find_pure(values) if not leaf_sum.is_score else None
        self.detail = f"{leaf_sum.trees} trees as the bits of {len(values)} leaves"

    def predict_one(self, values: list[Any]) -> Probabilities:
        """Probabilities, or None where the estimator itself should be asked."""
        bits = self._everywhere
        if len(self._plain) == len(values):
            for (thresholds, masks), value in zip(self._plain, values, strict=True):
                bits &= masks[bisect_left(thresholds, value)]
        else:
            for feature, value in zip(self._features, values, strict=True):
                bits &= feature.find(value)
        if not bits:
            return None
        if self._pure:
            return [(bits & mask).bit_count() / self._sum.trees for mask in self._pure]
        ones = np.frombuffer(bits.to_bytes(self._bytes, "little"), np.uint8)
        reached = np.unpackbits(ones, bitorder="little").nonzero()[0]
        return self._sum.finish(self._values.take(reached, axis=0))

    @property
    def thresholds(self) -> list[list[float]]:
        """Of each feature, the last values before its masks change."""
        return [feature.thresholds for feature in self._features]


def _find_pure(values: Array) -> list[int] | None:
    """For each class the bits of its leaves, where each leaf has one class only.

    Then the sum over the trees is a count, which is as exact in whatever order.
    """
    if not ((values == 0) | (values == 1)).all():
        return None
    return [_pack(column) for column in values.T == 1]


def _pack(bits: Array) -> int:
    return int.from_bytes(np.packbits(bits, bitorder="little").tobytes(), "little")


class Masks:
    """One feature's; a mask of no bits where the estimator itself should be asked."""

    def __init__(self, thresholds: list[float], numbers: list[int], is_plain: bool) -> None:
        self.thresholds = thresholds
        self.numbers = numbers
        self.is_plain = is_plain
        self.rows: dict[str, int] = {}
        self.unknown = 0
        self.missing = 0

    def find(self, value: Value) -> int:
        if value is None:
            return self.missing
        if isinstance(value, str):
            return self.rows.get(value, self.unknown)
        return self.numbers[bisect_left(self.thresholds, value)]


def is_small(nodes: Nodes, features: int) -> bool:
    """Whether the masks of these trees take megabytes, not gigabytes."""
    is_inner = ~nodes.is_leaf
    splits = np.stack([nodes.columns, nodes.thresholds])[:, is_inner]
    intervals = np.unique(splits, axis=1).shape[1] + 3 * features
    return bool(intervals * (~is_inner).sum() / 8 <= MAX_MASK_BYTES)


def compile_leaf_bits(
    nodes: Nodes, leaf_sum: LeafSum, precision: type, preparation: Preparation
) -> LeafBits:
    compiler = _Compiler(nodes, precision, preparation)
    features = compiler.make_features()
    return LeafBits(features, compiler.mask_constants(), nodes.values[compiler.leaves], leaf_sum)


class _Compiler:
    def __init__(self, nodes: Nodes, precision: type, preparation: Preparation) -> None:
        self._precision = precision
        self._preparation = preparation
        self.leaves: list[int] = []
        bounds = defaultdict(list)
        for place, (leaf, box) in enumerate(find_boxes(nodes)):
            self.leaves.append(leaf)
            for column, (low, high) in box.items():
                bounds[column].append((place, low, high))
        # Of each prepared column the leaves that it bounds, above which value and up to which.
        self._boxes = {column: np.array(it).T for column, it in bounds.items()}

    def make_features(self) -> list[Masks]:
        features = [self._make_masks(it) for it in self._preparation.recipe.features]
        ends = self._find_ends()
        prepared = self._round(self._preparation.transform_numbers(ends))
        for index, feature in enumerate(self._preparation.recipe.features):
            if not feature.rows:
                features[index].thresholds = sorted(set(ends[:, index].tolist()) - {HIGHEST})
                _, first = np.unique(ends[:, index], return_index=True)
                rows = prepared[first][:, feature.columns]
                features[index].numbers = [self._mask(feature.columns, row) for row in rows]
        return features

    def mask_constants(self) -> int:
        """The leaves that the columns which no feature changes leave within reach."""
        changed = np.concatenate([it.columns for it in self._preparation.recipe.features])
        constant = np.setdiff1d(np.arange(len(self._preparation.recipe.start)), changed)
        return self._mask(constant, self._round(self._preparation.recipe.start[constant]))

    def _make_masks(self, feature: Prepared) -> Masks:
        """Those of categories and of what is missing."""

        def mask(row: Array | None) -> int:
            return 0 if row is None else self._mask(feature.columns, self._round(row))

        masks = Masks([], [], feature.is_plain)
        masks.rows = {value: mask(row) for value, row in feature.rows.items()}
        masks.unknown, masks.missing = mask(feature.unknown), mask(feature.missing)
        return masks

    def _mask(self, columns: Array, row: Array) -> int:
        """Bits of the leaves within reach of these values; none where it refuses them."""
        bits = np.full(len(self.leaves), np.isfinite(row).all())
        for column, value in zip(columns.tolist(), row.tolist(), strict=True):
            if column in self._boxes:
                leaves, low, high = self._boxes[column]
                bits[leaves.astype(np.intp)] &= (low < value) & (value <= high)
        return _pack(bits)

    def _round(self, prepared: Array) -> Array:
        return prepared.astype(self._precision).astype(np.float64)

    def _find_ends(self) -> Array:
        """Shape (n, f): for each split of a number the last value that goes left, or the highest.

        Preparing and rounding a number are monotone, so it is found by bisection, to the bit.
        """
        columns, thresholds = self._list_splits()
        low = np.full(columns.shape, _order(-HIGHEST))
        high = np.full(columns.shape, _order(HIGHEST))
        while (low < high).any():
            middle = (low | high) - ((low ^ high) >> 1)  # their mean, rounded up
            prepared = self._round(self._preparation.transform_numbers(_number(middle)))
            goes_left = np.take_along_axis(prepared, columns, axis=1) <= thresholds
            low, high = np.where(goes_left, middle, low), np.where(goes_left, high, middle - 1)
        return _number(low)

    def _list_splits(self) -> tuple[Array, Array]:
        """Prepared columns and thresholds, shape (n, f); infinity fills the shorter lists."""
        splits = [self._list_splits_of(it) for it in self._preparation.recipe.features]
        shape = (max(map(len, splits)) + 1, len(splits))
        columns, thresholds = np.zeros(shape, dtype=np.intp), np.full(shape, np.inf)
        for index, found in enumerate(splits):
            for row, (column, threshold) in enumerate(found):
                columns[row, index], thresholds[row, index] = column, threshold
        return columns, thresholds

    def _list_splits_of(self, feature: Prepared) -> list[tuple[int, float]]:
        """The trees' own, and the ends of what the estimator takes."""
        ends = {-np.inf, float(np.finfo(self._precision).max)}
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
