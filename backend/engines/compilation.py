"""Compiles an estimator into the fastest form that is known to answer as it does."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from engines.engine import Engine
from engines.leaf_bits import compile_leaf_bits, is_small
from engines.linear import compile_linear
from engines.parity import ask, draw_probes, require_parity
from engines.preparation import NotCompiled, Preparation
from engines.trees import take_apart
from engines.walk import Walk
from inference import Model
from schemas import Feature

LINEAR = (LinearDiscriminantAnalysis, LogisticRegression)
TREES = (
    DecisionTreeClassifier,
    ExtraTreeClassifier,
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
# Those that ONNX Runtime computes in double precision, to 1e-7 at least. Not nearest neighbours,
# which decide otherwise between two at the same distance.
ONNX = (CalibratedClassifierCV, GaussianNB, MLPClassifier, QuadraticDiscriminantAnalysis)


@np.errstate(all="ignore")  # numbers as large as can be are part of what is tried
def compile_model(model: Model) -> Engine:
    """Compiled, and compared with the model; raises NotCompiled with the reason."""
    engine = compile_estimator(model.estimator, model.description.features)
    probes = draw_probes(model.description, engine)
    _, expected = model.answer(model.to_array(probes))
    if expected is None:
        raise NotCompiled("It has no predict_proba to compare with.")
    require_parity(ask(engine, probes), expected)
    engine.detail += f"; as the pickle answers on {len(probes)} probes"
    return engine


@np.errstate(all="ignore")
def compile_estimator(estimator: Any, features: Sequence[Feature]) -> Engine:
    """Raises NotCompiled where no form is known to be exact."""
    steps = [it for _, it in estimator.steps] if type(estimator) is Pipeline else [estimator]
    classifier = steps.pop()
    if type(classifier) in LINEAR:
        return compile_linear(classifier, Preparation(steps, features).recipe)
    if type(classifier) in TREES:
        return _compile_trees(classifier, Preparation(steps, features))
    if type(classifier) in ONNX:
        # Half a second of imports, and the memory of a runtime, that only this needs.
        from engines.onnx_graph import compile_onnx  # noqa: PLC0415

        return compile_onnx(classifier, Preparation(steps, features).recipe)
    raise NotCompiled(f"A {type(classifier).__name__} has no other form that is known to be exact.")


def _compile_trees(classifier: Any, preparation: Preparation) -> Engine:
    nodes, total, precision = take_apart(classifier)
    if is_small(nodes, len(preparation.recipe.features)):
        return compile_leaf_bits(nodes, total, precision, preparation)
    return Walk(nodes, total, precision, preparation.recipe)
