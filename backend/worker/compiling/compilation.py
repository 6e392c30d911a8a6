"""Compiles an estimator to numbers that are known to answer as it does."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import discriminant_analysis, ensemble, linear_model, naive_bayes, neural_network, tree
from sklearn.pipeline import Pipeline

from engines.decoding import read_engine
from engines.engine import NotCompiled
from worker.compiling.layers import (
    compile_linear,
    compile_naive_bayes,
    compile_network,
    compile_quadratic,
)
from worker.compiling.leaf_bits import compile_leaf_bits, is_small
from worker.compiling.parity import draw_probes, require_parity
from worker.compiling.preparation import Preparation
from worker.compiling.trees import compile_walk, take_apart
from worker.exchange import Message
from worker.opened_model import OpenedModel


@np.errstate(all="ignore")  # numbers as large as can be are part of what is tried
def compile_model(model: OpenedModel) -> Message:
    """What `read_engine` takes, compared with the model; raises NotCompiled with the reason."""
    message = compile_untried(model)
    engine = read_engine(*message, model.description)
    probes = draw_probes(model.description, engine)
    _, expected = model.answer(model.to_array(probes))
    if expected is None:
        raise NotCompiled("It has no predict_proba to compare with.")
    require_parity(engine.predict_many(probes), expected)
    return Message(message.head | {"probes": len(probes)}, message.arrays)


@np.errstate(all="ignore")
def compile_untried(model: OpenedModel) -> Message:
    """Raises NotCompiled where no form is known to be exact."""
    estimator = model.estimator
    steps = [step for _, step in estimator.steps] if type(estimator) is Pipeline else [estimator]
    classifier = steps.pop()
    compile_it = _COMPILERS.get(type(classifier))
    if compile_it is None:
        kind = type(classifier).__name__
        raise NotCompiled(f"A {kind} has no other form that is known to be exact.")
    preparation = Preparation(steps, model.description.features)
    head, arrays = compile_it(classifier, preparation)
    special = [[*feature.rows] for feature in preparation.features]
    return Message(head | {"special": special}, arrays)


def _compile_trees(classifier: Any, preparation: Preparation) -> Message:
    trees = take_apart(classifier)
    compile_it = compile_leaf_bits if is_small(trees, len(preparation.features)) else compile_walk
    head, arrays = compile_it(trees, preparation)
    return Message(head, arrays if trees.start is None else arrays | {"start": trees.start})


# Not nearest neighbours, which decide by the last bit between two at the same distance.
_COMPILERS: dict[type, Callable[[Any, Preparation], Message]] = {
    discriminant_analysis.LinearDiscriminantAnalysis: compile_linear,
    discriminant_analysis.QuadraticDiscriminantAnalysis: compile_quadratic,
    ensemble.ExtraTreesClassifier: _compile_trees,
    ensemble.HistGradientBoostingClassifier: _compile_trees,
    ensemble.RandomForestClassifier: _compile_trees,
    linear_model.LogisticRegression: compile_linear,
    naive_bayes.GaussianNB: compile_naive_bayes,
    neural_network.MLPClassifier: compile_network,
    tree.DecisionTreeClassifier: _compile_trees,
    tree.ExtraTreeClassifier: _compile_trees,
}
