import asyncio
from functools import partial

import numpy as np
import pytest
from conftest import NAMES, fit, fit_iris, make_model
from mixed import FEATURES, INSTANCE, fit_mixed, fit_unscaled
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler
from sklearn.svm import SVC

from engines.decoding import read_engine
from engines.engine import Engine, NotCompiled
from engines.leaf_bits import LeafBits
from serving.sharing import SharedCall
from worker.compiling import compilation, leaf_bits, parity
from worker.compiling.parity import require_parity

ACTIVATIONS = ["identity", "logistic", "relu", "tanh"]
X, y = load_iris(return_X_y=True)
NUMBERS = [
    {"name": name, "type": "number", "min": column.min(), "max": column.max()}
    for name, column in zip(NAMES, X.T, strict=True)
]


def model_of(estimator, features=NUMBERS):
    return make_model(estimator, features=features)


@pytest.fixture(autouse=True)
def many_rows(monkeypatch):
    monkeypatch.setattr(parity, "ROWS", 3000)


@pytest.fixture
def no_masks(monkeypatch):
    monkeypatch.setattr(leaf_bits, "MAX_MASK_BYTES", 0)


def compile_model(model):
    return read_engine(*compilation.compile_model(model.worker), model.description)


@np.errstate(all="ignore")
def find_difference(model, engine):
    """On rows as people type them, and on neighbours of the thresholds of masks."""
    rows = parity.draw_probes(model.description, engine)
    answers = engine.predict_many(rows)
    _, expected = model.answer(model.to_array(rows))
    assert len(rows) > parity.ROWS + 100 or not isinstance(engine, LeafBits)
    assert None not in answers
    assert (np.argmax(answers, axis=1) == expected.argmax(axis=1)).all()
    return np.abs(answers - expected).max()


def compile_trees(classifier, *steps):
    model = model_of(make_pipeline(*steps, classifier).fit(X, y))
    return model, compile_untried(model)


def compile_untried(model):
    return read_engine(*compilation.compile_untried(model.worker), model.description)


@pytest.mark.parametrize("leaves", [1, 4])
@pytest.mark.parametrize("steps", [[], [StandardScaler()]])
def test_a_compiled_forest_answers_to_the_last_bit(steps, leaves):
    model, engine = compile_trees(RandomForestClassifier(50, min_samples_leaf=leaves), *steps)

    assert engine.name == "trees"
    assert find_difference(model, engine) == 0


def test_a_forest_leaves_numbers_beyond_single_precision_to_the_estimator():
    _, engine = compile_trees(RandomForestClassifier(5))

    found = [engine.predict_one([it, 3.5, 1.4, 0.2]) is None for it in (3.5e38, -3.5e38, 3.4e38)]

    assert found == [True, True, False]


@pytest.mark.usefixtures("no_masks")
@pytest.mark.parametrize(
    ("fit_it", "features", "left"),
    [
        (lambda it: it.fit(X, y), NUMBERS, [3.5e38, 3.5, 1.4, 0.2]),
        (fit_unscaled, FEATURES, [*(INSTANCE | {"sex": None}).values()]),
    ],
)
def test_trees_too_large_for_masks_are_walked_to_the_same_answer(fit_it, features, left):
    model = model_of(fit_it(RandomForestClassifier(20, random_state=0)), features)
    engine = compile_untried(model)

    assert "step" in engine.detail
    assert find_difference(model, engine) == 0
    assert engine.predict_many([left]) == [None]


def test_boosting_is_compiled_for_two_classes_and_for_more():
    three, engine = compile_trees(HistGradientBoostingClassifier(max_iter=20))
    cancer, labels = load_breast_cancer(return_X_y=True)
    two = model_of(HistGradientBoostingClassifier(max_iter=20).fit(cancer[:, :4], labels))

    assert find_difference(three, engine) < 1e-12
    assert find_difference(two, compile_model(two)) < 1e-12


FOUR, NAMED = [[-1.0], [1.0], [3.0], [5.0]], ["a", "a", "b", "b"]


@pytest.mark.parametrize(
    ("estimator", "left", "answered"),
    [
        (LogisticRegression().fit([[-1.0], [1.0]], [0, 1]), [[0.0], [1e308]], [0.1]),
        (GaussianNB().fit(FOUR, NAMED), [[2.0], [1e9], [1e308]], [3.0]),
        (fit(), [[1e308] * 4, [-1e308] * 4], X[0].tolist()),
    ],
)
def test_a_tie_and_what_overflows_is_left_to_the_estimator(estimator, left, answered):
    engine = compile_model(model_of(estimator, NUMBERS[: len(answered)]))

    assert engine.predict_many(left) == [None] * len(left)
    assert sum(engine.predict_one(answered)) == pytest.approx(1)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "classifier",
    [
        GaussianNB(),
        GaussianNB(priors=[0.98, 0.01, 0.01]),
        QuadraticDiscriminantAnalysis(reg_param=0.1),
        QuadraticDiscriminantAnalysis(solver="eigen", shrinkage=0.1, priors=[0.98, 0.01, 0.01]),
        *(MLPClassifier((9, 5), activation=it, max_iter=30, random_state=0) for it in ACTIVATIONS),
        MLPClassifier((), max_iter=30, random_state=0),
    ],
)
def test_layers_answer_as_the_estimator_for_two_classes_and_for_more(classifier):
    three = model_of(make_pipeline(StandardScaler(), classifier).fit(X, y))
    if getattr(classifier, "priors", None):
        classifier.set_params(priors=[0.9, 0.1])
    two = model_of(clone(classifier).fit(X, y > 0))
    mixed = make_model(fit_unscaled(clone(classifier)), features=FEATURES)

    for model in (three, two, mixed):
        engine = compile_model(model)
        assert engine.name == (
            "linear" if classifier.get_params().get("hidden_layer_sizes") == () else "layers"
        )
        assert find_difference(model, engine) < 1e-9


def test_missing_and_unknown_values_are_answered_as_the_estimator_does_or_left_to_it():
    model = model_of(fit_mixed(), FEATURES)
    values = [*INSTANCE.values()]
    refusing = compile_untried(model_of(fit_mixed(unknown="error"), FEATURES))

    assert any(None in row for row in parity.draw_probes(model.description, Engine()))
    assert find_difference(model, compile_model(model)) < 1e-12
    assert refusing.predict_one(values) is not None
    assert refusing.predict_one([*values[:-1], "other"]) is None


# A number that is encoded as a category is no line.
ENCODED = ColumnTransformer([("x", OneHotEncoder(handle_unknown="ignore"), [0])])


@pytest.mark.parametrize(
    ("estimator", "reason"),
    [
        (KNeighborsClassifier(), "KNeighborsClassifier has no other form"),
        (CalibratedClassifierCV(SVC(), ensemble=False), "CalibratedClassifierCV has no other form"),
        (make_pipeline(PolynomialFeatures(), GaussianNB()), "PolynomialFeatures"),
        (SVC(), "SVC has no other form"),
        (make_pipeline(ENCODED, LogisticRegression()), r"differ|another class"),
    ],
)
def test_what_is_not_known_to_be_exact_is_not_compiled(estimator, reason):
    with pytest.raises(NotCompiled, match=reason):
        compile_model(model_of(estimator.fit(X.round(), y)))


def test_parity_looks_at_labels_as_well_as_probabilities():
    with pytest.raises(NotCompiled, match="another class"):
        require_parity([[0.5 + 1e-8, 0.5 - 1e-8]], np.array([[0.5 - 1e-8, 0.5 + 1e-8]]))


def test_waiting_instances_share_one_call_and_its_failure():
    calls = []

    async def double(instances):
        calls.append(instances)
        if 9 in instances:
            raise ArithmeticError
        return [2 * it for it in instances]

    async def ask_all():
        ask = partial(SharedCall().ask, function=double)
        return [
            await asyncio.gather(*map(ask, each), return_exceptions=True)
            for each in (range(5), [7], [8, 9, 10])
        ]

    answered, alone, failed = asyncio.run(ask_all())
    assert (answered, alone) == ([0, 2, 4, 6, 8], [14])
    assert [type(it) for it in failed] == [ArithmeticError] * 3
    assert calls == [[0, 1, 2, 3, 4], [7], [8, 9, 10]]


def test_no_more_than_a_few_share_a_call():
    calls = []

    async def count(instances):
        calls.append(len(instances))
        return instances

    async def ask_many():
        return await asyncio.gather(*map(partial(SharedCall().ask, function=count), range(100)))

    assert asyncio.run(ask_many()) == [*range(100)]
    assert calls == [64, 36]


def test_one_who_has_gone_does_not_keep_the_answer_from_the_others():
    async def echo(instances):
        return instances

    async def ask_two():
        shared = SharedCall()
        gone, stays = (asyncio.ensure_future(shared.ask(it, echo)) for it in (1, 2))
        await asyncio.sleep(0)
        gone.cancel()
        return await stays

    assert asyncio.run(ask_two()) == 2


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (LogisticRegression(max_iter=1000), "linear"),
        (RandomForestClassifier(5), "trees"),
        (KNeighborsClassifier(), "scikit-learn"),
    ],
)
def test_the_live_version_says_which_engine_serves_and_why(publish, start_live, estimator, name):
    publish(estimator=fit_iris(estimator))

    entry = start_live().get("/models/live").json()

    assert entry["engine"]["name"] == name
    assert entry["engine"]["detail"]
