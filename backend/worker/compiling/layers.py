"""Writes out classifiers whose scores are sums of products, or of squares of such sums."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.linalg import block_diag

from engines.decoding import MAX_PRODUCTS
from engines.engine import NotCompiled
from engines.lines import Array, Layer
from worker.compiling.preparation import Preparation
from worker.exchange import Message


def compile_linear(classifier: Any, preparation: Preparation) -> Message:
    return _compile([(classifier.coef_, classifier.intercept_)], "identity", preparation)


def compile_network(classifier: Any, preparation: Preparation) -> Message:
    """As `_forward_pass_fast` in scikit-learn's neural_network/_multilayer_perceptron.py."""
    weights = [layer.T for layer in classifier.coefs_]
    layers = list(zip(weights, classifier.intercepts_, strict=True))
    return _compile(layers, classifier.activation, preparation)


def compile_naive_bayes(classifier: Any, preparation: Preparation) -> Message:
    """As `GaussianNB._joint_log_likelihood` in scikit-learn's naive_bayes.py."""
    _require_few(classifier.theta_.size * len(preparation.start))
    constants = np.log(classifier.class_prior_)
    constants -= 0.5 * np.log(2.0 * np.pi * classifier.var_).sum(axis=1)
    whitening = list(map(np.diag, classifier.var_**-0.5))
    layers = _lay_out_gaussians(classifier.theta_, whitening, constants)
    return _compile(layers, "square", preparation)


def compile_quadratic(classifier: Any, preparation: Preparation) -> Message:
    """As `_decision_function` in scikit-learn's discriminant_analysis.py."""
    scalings = classifier.scalings_
    constants = np.log(classifier.priors_) - 0.5 * np.array([np.log(s).sum() for s in scalings])
    pairs = zip(classifier.rotations_, scalings, strict=True)
    whitening = [rotation * scaling**-0.5 for rotation, scaling in pairs]
    layers = _lay_out_gaussians(classifier.means_, whitening, constants)
    return _compile(layers, "square", preparation)


def _lay_out_gaussians(means: Array, whitening: Sequence[Array], constants: Array) -> list[Layer]:
    """A unit for each whitened direction of each class, and minus half the sum of their squares."""
    pairs = zip(means, whitening, strict=True)
    intercept = np.concatenate([-mean @ directions for mean, directions in pairs])
    halves = block_diag(*[np.full((1, each.shape[1]), -0.5) for each in whitening])
    return [(np.concatenate([each.T for each in whitening]), intercept), (halves, constants)]


def _compile(layers: Sequence[Layer], activation: str, preparation: Preparation) -> Message:
    (weights, intercept), *further = [
        [np.asarray(array, dtype=np.float64) for array in layer] for layer in layers
    ]
    arrays = fold(weights, intercept, preparation)
    for place, (products, starts) in enumerate(further, 1):
        arrays |= {f"weights{place}": products, f"intercept{place}": starts}
    return Message({"kind": "layers", "activation": activation}, arrays)


def fold(weights: Array, intercept: Array, preparation: Preparation) -> dict[str, Array]:
    """The parts of `engines.lines`: what comes before a layer folded into it."""
    features, start = preparation.features, preparation.start
    _require_few(len(weights) * sum(max(1, len(feature.rows)) for feature in features))
    lines = [weights[:, feature.columns] @ feature.slopes for feature in features]
    rows = [
        weights[:, feature.columns] @ (row - start[feature.columns])
        for feature in features
        for row in feature.rows.values()
    ]
    return {
        "weights0": np.stack(lines, axis=1),
        "intercept0": weights @ start + intercept,
        "rows": np.reshape(rows, (len(rows), len(weights))),
    }


def _require_few(products: int) -> None:
    if products > MAX_PRODUCTS:
        raise NotCompiled("It has more weights than are worth writing out.")
