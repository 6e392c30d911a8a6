"""Makes an engine of the numbers that a model worker sends, and trusts none of them.

Whoever sends them may get wrong probabilities or a refusal, but no endless loop, no failing request
and no memory out of proportion.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from engines.engine import Engine, NotCompiled
from engines.layers import Layers, Linear
from engines.leaf_bits import LeafBits, Masks, to_mask
from engines.lines import Array, Layer, Lines, Special
from engines.trees import LeafSum, Nodes, Walk
from schemas import Category, Description
from worker.exchange import Message

MAX_PLAIN_PRODUCTS = 5_000  # one takes 25 ns in plain Python
MAX_PRODUCTS = 1_000_000  # of a layer: a millisecond in NumPy
MAX_LAYERS = 10
MAX_MASK_BYTES = 64 * 1024**2  # what is compiled has half of it at the most
MAX_STEPS = 1_000_000  # in trees that are walked: 0.1 s
STEP = 100  # trees that would take as long as the rest of a step
LARGEST = 1e100  # value of a leaf, so that no sum of them overflows


def read_engine(message: Message, description: Description) -> Engine:
    """Raises NotCompiled with the reason if anything is wrong with the message."""
    parts = _Parts(message, description)
    try:
        engine = _READERS[message.head["kind"]](parts)
        if "probes" in message.head:
            engine.detail += f"; as the pickle answers on {parts.count('probes')} probes"
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise NotCompiled(f"Its compiled form is damaged: {error!r:.200}.") from None
    return engine


class _Parts:
    """Raises NotCompiled for a part that is wrong, or what Python does for one that is missing."""

    def __init__(self, message: Message, description: Description) -> None:
        self.head, self._arrays = message
        self.features = description.features
        self.classes = len(description.target.classes)

    def take(self, name: str, *shape: int | None, dtype: str = "<f8") -> Array:
        """An array of finite numbers; a length of None is any."""
        array = self._arrays[name]
        _require(array.dtype.str == dtype, f"Its {name} are not of type {dtype}")
        fits = [it in (None, length) for it, length in zip(shape, array.shape, strict=True)]
        _require(all(fits), f"Its {name} have the shape {array.shape}")
        _require(bool(np.isfinite(array).all()), f"Not all of its {name} are finite")
        return array.copy()  # aligned, and without the rest of the message

    def take_places(self, name: str, end: int, *shape: int | None) -> Array:
        """An array of places before the end."""
        places = self.take(name, *shape, dtype="<i8")
        _require(bool(((places >= 0) & (places < end)).all()), f"Some {name} lead outside")
        return places

    def count(self, name: str) -> int:
        return _require_count(self.head[name])

    def specials(self, rows: int) -> list[Special | None]:
        """Places among so many rows for each feature; None if its values are always numbers."""
        found = [Special(**it) for it in self.head["special"]]
        for it in found:
            places = (*it.texts.values(), it.unknown, it.missing)
            fits = all(place is None or _require_count(place) < rows for place in places)
            _require(fits, "What stands for a value leads outside")
        is_plain = [not isinstance(it, Category) and not it.nullable for it in self.features]
        return [None if plain else it for plain, it in zip(is_plain, found, strict=True)]

    def layer(self, place: int, numbers: int) -> Layer:
        intercept = self.take(f"intercept{place}", None)
        weights = self.take(f"weights{place}", len(intercept), numbers)
        _require(weights.size <= MAX_PRODUCTS, "It has more weights than are worth it")
        return weights, intercept

    def lines(self) -> Lines:
        layer = self.layer(0, len(self.features))
        rows = self.take("rows", None, len(layer[1]))
        specials = enumerate(self.specials(len(rows)))
        return Lines(layer, rows, [(i, it) for i, it in specials if it is not None])

    def leaf_sum(self, values: Array, trees: int) -> LeafSum:
        start, is_score = self.take("start", self.classes), bool(self.head["is_score"])
        _require(0 < trees <= len(values), "It has more trees than leaves, or none")
        if is_score:
            largest = max(np.abs(values).max(), np.abs(start).max())
            _require(bool(largest <= LARGEST), "Its leaves are too large")
        else:
            are_probable = (values >= 0).all() and np.allclose(values.sum(axis=1), 1)
            _require(bool(are_probable), "Its leaves have values that are not probabilities")
        return LeafSum(start, trees, is_score)


def _require_count(value: Any) -> int:
    _require(type(value) is int and value >= 0, "It has a count that is not a count")
    return int(value)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise NotCompiled(f"{otherwise}, so its compiled form is refused.")


def _read_layers(parts: _Parts) -> Engine:
    lines = parts.lines()
    layers = [lines.layer]
    _require(0 < parts.count("layers") <= MAX_LAYERS, "It has too many layers, or none")
    for place in range(1, parts.count("layers")):
        layers.append(parts.layer(place, len(layers[-1][1])))
    scores = len(layers[-1][1])
    _require(
        scores == parts.classes or (scores, parts.classes) == (1, 2), f"It has {scores} scores"
    )
    if len(layers) == 1 and lines.layer[0].size <= MAX_PLAIN_PRODUCTS:
        return Linear(lines)
    return Layers(lines, layers[1:], parts.head["activation"])


def _read_leaf_bits(parts: _Parts) -> Engine:
    values = parts.take("values", None, parts.classes)

    def read_masks(name: str, count: int | None) -> list[int]:
        packed = parts.take(name, count, (len(values) + 7) // 8, dtype="|u1")
        _require(packed.size <= MAX_MASK_BYTES, f"Its {name} are too large")
        masks = [to_mask(it) for it in packed]
        is_wide = any(it.bit_length() > len(values) for it in masks)
        _require(not is_wide, f"Its {name} are wider than its leaves")
        return masks

    others = read_masks("masks", None)
    features = []
    for index, special in enumerate(parts.specials(len(others) - 1)):
        thresholds = parts.take(f"thresholds{index}", None)
        _require(bool((thresholds[1:] > thresholds[:-1]).all()), "Its thresholds are not sorted")
        numbers = read_masks(f"masks{index}", len(thresholds) + 1)
        features.append(Masks(thresholds.tolist(), numbers, special))
    return LeafBits(features, others, values, parts.leaf_sum(values, parts.count("trees")))


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
    leaf_sum = parts.leaf_sum(values, len(nodes.roots))
    _require_trees(nodes)
    return Walk(nodes, leaf_sum, lines, np.float32 if parts.head["is_single"] else np.float64)


def _require_trees(nodes: Nodes) -> None:
    """Each root's nodes must be a tree: children after their parent, and no node with two."""
    size, roots, is_leaf = len(nodes.left), nodes.roots, nodes.is_leaf
    _require(roots[0] == 0 and bool((roots[1:] > roots[:-1]).all()), "Its trees are not sorted")
    sizes = np.diff(np.append(roots, size))
    end = np.repeat(roots + sizes, sizes)
    own = np.arange(size)
    for children in (nodes.left, nodes.right):
        is_sound = np.where(is_leaf, children == own, (children > own) & (children < end))
        _require(bool(is_sound.all()), "Its trees lead outside or back")
    parents = np.bincount(np.concatenate([nodes.left[~is_leaf], nodes.right[~is_leaf]]), None, size)
    parents[roots] += 1
    _require(bool((parents == 1).all()), "Its trees share nodes")
    _require_few_steps(nodes)


def _require_few_steps(nodes: Nodes) -> None:
    is_leaf, level, steps = nodes.is_leaf, nodes.roots, 0
    while len(level):
        steps += STEP + len(nodes.roots)
        _require(steps <= MAX_STEPS, "Its trees are too many, or too deep")
        level = level[~is_leaf[level]]
        level = np.concatenate([nodes.left[level], nodes.right[level]])


_READERS: dict[str, Callable[[_Parts], Engine]] = {
    "layers": _read_layers,
    "leaf_bits": _read_leaf_bits,
    "walk": _read_walk,
}
