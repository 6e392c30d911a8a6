"""Fits the classifiers, and the steps before them, that a user may drop into the models folder."""

import warnings
from collections.abc import Iterator
from typing import Any

from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.pipeline import make_pipeline, make_union
from sklearn.utils import all_estimators

CLASSES = dict(all_estimators())


def make(name: str, **parameters: Any) -> Any:
    return CLASSES[name](**parameters)


LOGISTIC, TREE = make("LogisticRegression", max_iter=1000), make("DecisionTreeClassifier")
BOTH = [("a", LOGISTIC), ("b", make("GaussianNB"))]
GRID = {"C": [0.1, 1]}

AS_THEY_COME = """
BernoulliNB CategoricalNB ComplementNB DecisionTreeClassifier DummyClassifier ExtraTreeClassifier
GaussianNB GaussianProcessClassifier KNeighborsClassifier LabelSpreading LinearDiscriminantAnalysis
LinearSVC LogisticRegression MLPClassifier MultinomialNB NearestCentroid Perceptron
QuadraticDiscriminantAnalysis RadiusNeighborsClassifier RidgeClassifier RidgeClassifierCV SVC
"""
CLASSIFIERS = [
    *map(make, AS_THEY_COME.split()),
    make("AdaBoostClassifier", n_estimators=2),
    make("BaggingClassifier", n_estimators=2),
    make("CalibratedClassifierCV", estimator=LOGISTIC, method="temperature"),
    make("CalibratedClassifierCV", estimator=make("LinearSVC"), method="isotonic"),
    make("CalibratedClassifierCV", estimator=make("SVC"), ensemble=False),
    make("ExtraTreesClassifier", n_estimators=3),
    make("FixedThresholdClassifier", estimator=LOGISTIC),
    make("GradientBoostingClassifier", n_estimators=2),
    make("GridSearchCV", estimator=LOGISTIC, param_grid=GRID),
    make("HistGradientBoostingClassifier", max_iter=2),
    make("KNeighborsClassifier", algorithm="ball_tree", metric="manhattan"),
    make("KNeighborsClassifier", algorithm="brute", weights="distance"),
    make("LogisticRegressionCV", Cs=2),
    make("NuSVC", nu=0.1),
    make("OneVsOneClassifier", estimator=LOGISTIC),
    make("OneVsRestClassifier", estimator=LOGISTIC),
    make("OutputCodeClassifier", estimator=LOGISTIC),
    make("RandomForestClassifier", n_estimators=3),
    make("RandomizedSearchCV", estimator=LOGISTIC, param_distributions=GRID, n_iter=2),
    make("SGDClassifier", loss="log_loss"),
    make("SGDClassifier", loss="modified_huber"),
    make("SelfTrainingClassifier", estimator=LOGISTIC),
    make("StackingClassifier", estimators=BOTH),
    make("VotingClassifier", estimators=BOTH, voting="soft"),
]

STEPS_AS_THEY_COME = """
Binarizer KBinsDiscretizer KNNImputer LinearDiscriminantAnalysis MaxAbsScaler MinMaxScaler
Normalizer Nystroem PCA PolynomialFeatures PowerTransformer QuantileTransformer RBFSampler
RobustScaler SelectPercentile SplineTransformer StandardScaler TargetEncoder TruncatedSVD
VarianceThreshold
"""
ENCODER = make("OneHotEncoder", handle_unknown="ignore")
TRANSFORMERS = [
    *map(make, STEPS_AS_THEY_COME.split()),
    ENCODER,
    make("IterativeImputer", max_iter=2),
    make("OrdinalEncoder", handle_unknown="use_encoded_value", unknown_value=-1),
    make("RFE", estimator=TREE),
    make("SelectFromModel", estimator=TREE),
    make("SelectKBest", k=2),
    make("SimpleImputer", add_indicator=True),
    make_union(make("PCA", n_components=1), make("StandardScaler")),
]
# Not "passthrough": that needs FunctionTransformer, which can call anything.
MIXED = make_column_transformer(
    (
        make_pipeline(make("SimpleImputer"), make("StandardScaler")),
        make_column_selector(dtype_include="number"),
    ),
    (make_pipeline(make("SimpleImputer", strategy="most_frequent"), ENCODER), ["word"]),
    (make("OneHotEncoder", drop="if_binary"), ["flag"]),
)


def fit_all() -> Iterator[Any]:
    """Each classifier on three classes and on two, each transformer before a classifier."""
    warnings.simplefilter("ignore")
    iris = load_iris(as_frame=True)
    cancer, cancer_labels = load_breast_cancer(return_X_y=True)
    many = (iris.data.to_numpy(), iris.target_names[iris.target].astype(object))
    two = (cancer[::4, :4], cancer_labels[::4])
    for classifier in CLASSIFIERS:
        if "Threshold" not in type(classifier).__name__:  # for two classes only
            yield classifier.fit(*many)
        yield classifier.fit(*two)
    for transformer in TRANSFORMERS:
        yield make_pipeline(transformer, LOGISTIC).fit(*many)
    mixed = iris.data.assign(word=["one", "two", None] * 50, flag=[True, False] * 75)
    yield make_pipeline(MIXED, TREE).fit(mixed, iris.target)
