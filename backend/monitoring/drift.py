"""Compares what a model is asked with what it was trained on."""

from functools import cache
from math import erfc, exp, lgamma, log, sqrt

import numpy as np

from features.binning import ABOVE, BELOW, EXTRA, MISSING, Array, FeatureBins
from monitoring.reports import ClassDrift, FeatureDrift, Observed, Verdict, divide
from schemas import Category, Description, Feature

MIN_ROWS = 100  # fewer tell nothing
# Siddiqi, Credit Risk Scorecards, 2006: below the one stable, from the other on shifted.
MODERATE, SHIFTED = 0.1, 0.25
CHANCE = 1e-5  # how often chance alone may reach the bound below
NO_VERDICT: tuple[None, Verdict] = (None, "unknown")
SPARSE = 0.05  # of the training rows; bins of fewer are merged, as chance rules them
SMOOTHING = 0.5  # added to each count, or one empty bin would make the index infinite


def compare_feature(feature: Feature, counts: Array) -> FeatureDrift:
    """What the counts of a feature, as FeatureBins makes them, say beside its histogram."""
    rows = int(counts.sum())
    trained = _count_trained(feature)
    psi, verdict = NO_VERDICT if trained is None else judge(*_arrange(feature, trained, counts))
    strange = divide(counts[BELOW] + counts[ABOVE], rows)
    none = divide(0, rows)
    is_category = isinstance(feature, Category)
    return FeatureDrift(
        feature=feature.name,
        psi=psi,
        verdict=verdict,
        missing=divide(counts[MISSING], rows),
        outside=none if is_category else strange,
        unknown=strange if is_category else none,
        observed=Observed(counts=counts[:-EXTRA].tolist()),
    )


def compare_classes(description: Description, counts: Array) -> ClassDrift:
    """Of the classes predicted, beside those of the training table."""
    psi, verdict = judge(_count_trained_classes(description), counts)
    observed = dict(zip(description.target.classes, counts.tolist(), strict=True))
    return ClassDrift(psi=psi, verdict=verdict, observed=observed)


def judge(expected: Array, observed: Array) -> tuple[float | None, Verdict]:
    """The PSI of counts in the same bins, and what it means.

    A shift has to be larger than chance makes it: of samples of n and m from one distribution over
    b bins the PSI is (1/n + 1/m) times chi-squared with b - 1 degrees of freedom (Yurdakul and
    Naranjo, Statistical properties of the population stability index, 2020).
    """
    if not expected.sum() or observed.sum() < MIN_ROWS:
        return NO_VERDICT
    psi = population_stability_index(expected, observed)
    freedom = max(len(expected) - 1, 1)
    chance = (1 / expected.sum() + 1 / observed.sum()) * _find_chi_squared(freedom)
    if psi < max(MODERATE, chance):
        return psi, "stable"
    return psi, "moderate" if psi < max(SHIFTED, chance) else "shifted"


@cache
def _find_chi_squared(freedom: int) -> float:
    """The value that it exceeds by chance alone, found by bisection."""
    low, high = 0.0, 100.0 + 10 * freedom
    for _ in range(60):
        middle = (low + high) / 2
        is_low = _exceeds(middle, freedom) > CHANCE
        low, high = (middle, high) if is_low else (low, middle)
    return high


def _exceeds(chi_squared: float, freedom: int) -> float:
    """How probably it does (Abramowitz and Stegun, 26.4.4 and 26.4.5)."""
    half, odd = chi_squared / 2, freedom % 2
    powers = [step + odd / 2 for step in range(freedom // 2)]
    terms = sum(exp(power * log(half) - half - lgamma(power + 1)) for power in powers)
    return terms + (erfc(sqrt(half)) if odd else 0)


def population_stability_index(expected: Array, observed: Array) -> float:
    """Of counts in the same bins; 0 where both have the same shares."""
    bins = len(expected)
    before = (expected + SMOOTHING) / (expected.sum() + SMOOTHING * bins)
    after = (observed + SMOOTHING) / (observed.sum() + SMOOTHING * bins)
    return float(((after - before) * np.log(after / before)).sum())


def _arrange(feature: Feature, trained: Array, counts: Array) -> tuple[Array, Array]:
    """Both in the same bins: few enough that none is sparse, and all that fits none somewhere."""
    expected, observed = trained[:MISSING].copy(), counts[:-EXTRA].copy()
    if isinstance(feature, Category):
        # The unknown are alike to the model, and so are the rare.
        order = np.argsort(-expected, kind="stable")
        expected, observed = expected[order], observed[order]
        observed[-1] += counts[BELOW]
    else:
        observed[0] += counts[BELOW]
        observed[-1] += counts[ABOVE]
    expected, observed = _merge_sparse(expected, observed)
    if feature.nullable or counts[MISSING]:
        expected = np.append(expected, trained[MISSING])
        observed = np.append(observed, counts[MISSING])
    return expected, observed


def _merge_sparse(expected: Array, observed: Array) -> tuple[Array, Array]:
    """Neighbours put together until each bin has its share; at least two are left."""
    least = SPARSE * expected.sum()
    starts, held = [0], 0
    for place, count in enumerate(expected[:-1].tolist()):
        held += count
        if held >= least and expected[place + 1 :].sum() >= least:
            starts.append(place + 1)
            held = 0
    if len(starts) < min(len(expected), 2):
        return expected, observed
    return np.add.reduceat(expected, starts), np.add.reduceat(observed, starts)


def _count_trained(feature: Feature) -> Array | None:
    """Rows of the training table by bin, then those without a value; None where unknown."""
    histogram = feature.histogram
    columns = list(histogram.counts.values()) if histogram else []
    has_bins = set(map(len, columns)) == {FeatureBins(feature).bins}
    if not (histogram and has_bins and any(map(sum, columns))):
        return None
    return np.array([*map(sum, zip(*columns, strict=True)), sum(histogram.missing.values())])


def _count_trained_classes(description: Description) -> Array:
    """Rows of the training table by class, as any feature's histogram has them."""
    histogram = description.features[0].histogram
    counts, missing = (histogram.counts, histogram.missing) if histogram else ({}, {})
    names = description.target.classes
    return np.array([sum(counts.get(name, ())) + missing.get(name, 0) for name in names])
