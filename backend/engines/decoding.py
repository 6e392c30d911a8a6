"""Makes an engine of the arrays that a model worker sends, and trusts none of them.

Whoever sends them may get wrong probabilities or a refusal, but no endless loop, no failing request
and no memory out of proportion.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from engines.engine import Engine, NotCompiled
from engines.layers import Layers, Linear
from engines.leaf_bits import LeafBits, Masks, to_mask
from engines.lines import Array, Layer, Lines, Special
from engines.trees import LeafSum, Nodes, Walk
from schemas import Category, Description

MAX_PLAIN_PRODUCTS = 5_000  # one takes 25 ns in plain Python
MAX_PRODUCTS = 1_000_000  # of a layer: a millisecond in NumPy
MAX_LAYERS = 10
MAX_MASK_BYTES = 64 * 1024**2  # what the worker compiles has half of it at the most
MAX_LEAVES = 1_000_000  # with a bit in each mask: a millisecond
MAX_TREES = 10_000
LARGEST_LEAF = 1e100  # value, so that no sum of them overflows


def read_engine(
    head: Mapping[str, Any], arrays: Mapping[str, Array], description: Description
) -> Engine:
    """`head` says what the arrays are. Raises NotCompiled if anything is wrong with them."""
    try:
        engine = _READERS[head["kind"]](_Parts(head, arrays, description))
        if "probes" in head:
            engine.detail += f"; as the pickle answers on {int(head['probes'])} probes"
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise NotCompiled(f"Its compiled form is damaged: {error!r:.200}.") from None
    return engine


class _Parts:
    """Raises NotCompiled for a part that is wrong, or what Python does for one that is missing."""

    def __init__(
        self, head: Mapping[str, Any], arrays: Mapping[str, Array], description: Description
    ) -> None:
        self.head, self.arrays = head, arrays
        self.are_texts = [isinstance(feature, Category) for feature in description.features]
        self.classes = len(description.target.classes)

    def take(self, name: str, *shape: int | None, dtype: str = "<f8") -> Array:
        """An array of finite numbers; a length of None is any."""
        array = self.arrays[name]
        _require(array.dtype.str == dtype, f"Its {name} are not of type {dtype}")
        fits = [wanted in (None, n) for wanted, n in zip(shape, array.shape, strict=True)]
        _require(all(fits), f"Its {name} have the shape {array.shape}")
        _require(bool(np.isfinite(array).all()), f"Not all of its {name} are finite")
        return array.copy()  # aligned, and without the rest of the message

    def take_places(self, name: str, end: int, *shape: int | None) -> Array:
        """An array of places before the end."""
        places = self.take(name, *shape, dtype="<i8")
        _require(bool(((places >= 0) & (places < end)).all()), f"Some {name} lead outside")
        return places

    def specials(self, rows: Array | list[int]) -> list[Special]:
        """The rows of each feature."""
        values = self.head["special"]
        _require(sum(map(len, values)) == len(rows), "Its special values are not those of its rows")
        rest = iter(rows)
        return [{value: next(rest) for value in own} for own in values]

    def layer(self, place: int, numbers: int) -> Layer:
        intercept = self.take(f"intercept{place}", None)
        weights = self.take(f"weights{place}", len(intercept), numbers)
        _require(weights.size <= MAX_PRODUCTS, "It has more weights than are worth it")
        return weights, intercept

    def lines(self) -> Lines:
        layer = self.layer(0, len(self.are_texts))
        rows = self.take("rows", None, len(layer[1]))
        texts = [index for index, is_text in enumerate(self.are_texts) if is_text]
        return Lines(layer, self.specials(rows), texts)

    def leaf_sum(self, values: Array, trees: int) -> LeafSum:
        _require(0 < trees <= min(len(values), MAX_TREES), "It has too many trees, or none")
        if "start" in self.arrays:
            start = self.take("start", self.classes)
            largest = max(np.abs(values).max(), np.abs(start).max())
            _require(bool(largest <= LARGEST_LEAF), "Its leaves are too large")
            return LeafSum(start, trees)
        are_probable = (values >= 0).all() and np.allclose(values.sum(axis=1), 1)
        _require(bool(are_probable), "Its leaves have values that are not probabilities")
        return LeafSum(None, trees)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise NotCompiled(f"{otherwise}, so its compiled form is refused.")


def _read_layers(parts: _Parts) -> Engine:
    lines = parts.lines()
    layers = [lines.layer]
    while f"weights{len(layers)}" in parts.arrays:
        layers.append(parts.layer(len(layers), len(layers[-1][1])))
    _require(len(layers) <= MAX_LAYERS, "It has too many layers")
    scores = len(layers[-1][1])
    is_for_two = (scores, parts.classes) == (1, 2)
    _require(scores == parts.classes or is_for_two, f"It has {scores} scores")
    if len(layers) == 1 and lines.layer[0].size <= MAX_PLAIN_PRODUCTS:
        return Linear(lines)
    return Layers(lines, layers[1:], parts.head["activation"])


def _read_leaf_bits(parts: _Parts) -> Engine:
    values = parts.take("values", None, parts.classes)
    _require(len(values) <= MAX_LEAVES, "It has too many leaves")
    masks_bytes = sum(
        parts.arrays[name].nbytes for name in parts.arrays if name.startswith("masks")
    )
    _require(masks_bytes <= MAX_MASK_BYTES, "Its masks are too large")

    def read_masks(name: str, count: int | None) -> list[int]:
        packed = parts.take(name, count, (len(values) + 7) // 8, dtype="|u1")
        masks = list(map(to_mask, packed))
        is_wide = any(mask.bit_length() > len(values) for mask in masks)
        _require(not is_wide, f"Its {name} are wider than its leaves")
        return masks

    leaf_sum = parts.leaf_sum(values, int(parts.head["trees"]))
    everywhere, *others = read_masks("masks", None)
    features = []
    specials = parts.specials(others)
    for index, (special, is_text) in enumerate(zip(specials, parts.are_texts, strict=True)):
        thresholds = parts.take(f"thresholds{index}", None)
        numbers = read_masks(f"masks{index}", len(thresholds) + 1)
        features.append(Masks(None if is_text else thresholds.tolist(), numbers, special))
    return LeafBits(features, everywhere, values, leaf_sum)


def _read_walk(parts: _Parts) -> Engine:
    values, lines = parts.take("values", None, parts.classes), parts.lines()
    size = len(values)
    nodes = Nodes(
        columns=parts.take_places("columns", len(lines.layer[1]), size),
        thresholds=parts.take("thresholds", size),
        left=parts.take_places("left", size, size),
        right=parts.take_places("right", size, size),
        values=values,
        roots=parts.take_places("roots", size, None),
    )
    is_forward = np.minimum(nodes.left, nodes.right) >= np.arange(size)
    _require(bool(is_forward.all()), "Its trees lead back")
    leaf_sum = parts.leaf_sum(values, len(nodes.roots))
    return Walk(nodes, leaf_sum, lines, np.float32 if parts.head["is_single"] else np.float64)


_READERS: dict[str, Callable[[_Parts], Engine]] = {
    "layers": _read_layers,
    "leaf_bits": _read_leaf_bits,
    "walk": _read_walk,
}
