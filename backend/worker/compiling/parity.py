"""Compares a compiled model with the estimator it was made from, where they would differ first."""

from collections.abc import Iterator, Sequence

import numpy as np

from engines.engine import Engine, NotCompiled, Probabilities
from engines.leaf_bits import LeafBits
from engines.lines import UNKNOWN, Array
from schemas import Boolean, Description, Feature, Number, Value

ROWS = 1_000
TOLERANCE = 1e-6
UNKNOWN_SPAN = 10.0  # where nothing is known of a number's range
LARGEST_PROBE = 1e38  # beyond single precision the engine answers nothing, nor the estimator
RARE = 0.1  # of the values tried, how many are missing or unknown


def draw_probes(description: Description, engine: Engine) -> list[list[Value]]:
    """The examples; values as people type them; each missing; and numbers beside thresholds."""
    random = np.random.default_rng(0)
    columns = [_draw(feature, random) for feature in description.features]
    rows = [list(values) for values in zip(*columns, strict=True)]
    names = [feature.name for feature in description.features]
    examples = [[each.inputs.get(name) for name in names] for each in description.examples]
    holes = [(at, None) for at, each in enumerate(description.features) if each.may_be_missing]
    edges = _draw_edges(engine, random)
    return [*examples, *rows, *_change(rows, holes), *_change(rows, edges)]


def require_parity(answered: list[Probabilities], expected: Array) -> None:
    """Raises NotCompiled unless each has the same class and probabilities; None is no answer."""
    given = [index for index, answer in enumerate(answered) if answer is not None]
    ours, theirs = np.array([answered[index] for index in given]), expected[given]
    if not given:
        raise NotCompiled("The compiled form answers nothing.")
    if not np.allclose(ours, theirs, rtol=0, atol=TOLERANCE):
        farthest = np.nanmax(np.abs(ours - theirs))
        raise NotCompiled(f"The compiled form's probabilities differ by up to {farthest:.1g}.")
    if (ours.argmax(axis=1) != theirs.argmax(axis=1)).any():
        raise NotCompiled("The compiled form chooses another class where two are as likely.")


def _change(rows: list[list[Value]], changes: Sequence[tuple[int, Value]]) -> Iterator[list[Value]]:
    """The first rows, each with another value at one place."""
    for row, (at, value) in zip(rows, changes, strict=False):
        yield [*row[:at], value, *row[at + 1 :]]


def _draw(feature: Feature, random: np.random.Generator) -> list[Value]:
    """Numbers with up to three decimals from a little below to a little above their range."""
    if isinstance(feature, Number):
        low = -UNKNOWN_SPAN if feature.min is None else feature.min
        high = UNKNOWN_SPAN if feature.max is None else feature.max
        margin = (high - low) / 10
        numbers = random.uniform(low - margin, high + margin, ROWS)
        magnitude = 10.0 ** np.floor(np.log10(max(high - low, 1e-300)))
        steps = magnitude / 10.0 ** random.integers(0, 4, ROWS)
        values: list[Value] = (np.round(numbers / steps) * steps).round(12).tolist()
    elif isinstance(feature, Boolean):
        values = (random.random(ROWS) < 1 / 2).tolist()
    else:
        known = np.array([*feature.values, UNKNOWN], dtype=object)
        values = known[random.integers(0, len(known), ROWS)].tolist()
    is_missing = random.random(ROWS) < (RARE if feature.nullable else 0)
    return [None if missing else value for value, missing in zip(values, is_missing, strict=True)]


def _draw_edges(engine: Engine, random: np.random.Generator) -> list[tuple[int, float]]:
    """A place among the features and a number: a threshold or one of its neighbours."""
    if not isinstance(engine, LeafBits):
        return []
    edges = [
        (at, edge)
        for at, feature in enumerate(engine.features)
        for threshold in feature.thresholds or ()
        for edge in _surround(threshold)
    ]
    chosen = random.choice(len(edges), min(len(edges), ROWS), replace=False)
    return [edges[index] for index in chosen.tolist()]


def _surround(threshold: float) -> list[float]:
    """It and the doubles and floats on both sides."""
    around = [
        float(np.nextafter(kind(threshold), kind(to)))
        for kind in (np.float64, np.float32)
        for to in (-np.inf, threshold, np.inf)
    ]
    return [number for number in around if abs(number) < LARGEST_PROBE]
