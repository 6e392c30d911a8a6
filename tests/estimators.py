"""Fits the classifiers, and the steps before them, that a user may drop into the models folder."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn import (
    calibration,
    compose,
    decomposition,
    discriminant_analysis,
    dummy,
    ensemble,
    feature_selection,
    gaussian_process,
    impute,
    kernel_approximation,
    linear_model,
    model_selection,
    multiclass,
    naive_bayes,
    neighbors,
    neural_network,
    pipeline,
    preprocessing,
    semi_supervised,
    svm,
    tree,
)
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.experimental import enable_iterative_imputer  # noqa: F401

LOGISTIC = linear_model.LogisticRegression(max_iter=1000)

CLASSIFIERS = [
    LOGISTIC,
    linear_model.LogisticRegressionCV(
        Cs=2, max_iter=1000, l1_ratios=(0,), use_legacy_attributes=False
    ),
    linear_model.SGDClassifier(loss="log_loss"),
    linear_model.SGDClassifier(loss="modified_huber"),
    linear_model.Perceptron(),
    linear_model.RidgeClassifier(),
    linear_model.RidgeClassifierCV(),
    discriminant_analysis.LinearDiscriminantAnalysis(),
    discriminant_analysis.QuadraticDiscriminantAnalysis(reg_param=0.1),
    naive_bayes.GaussianNB(),
    naive_bayes.BernoulliNB(),
    naive_bayes.MultinomialNB(),
    naive_bayes.ComplementNB(),
    naive_bayes.CategoricalNB(min_categories=500),
    neighbors.KNeighborsClassifier(),
    neighbors.KNeighborsClassifier(algorithm="ball_tree", metric="manhattan"),
    neighbors.KNeighborsClassifier(algorithm="brute", weights="distance"),
    neighbors.RadiusNeighborsClassifier(radius=1e4),
    neighbors.NearestCentroid(),
    svm.SVC(),
    svm.NuSVC(nu=0.1),
    svm.LinearSVC(),
    calibration.CalibratedClassifierCV(svm.SVC(), ensemble=False),
    calibration.CalibratedClassifierCV(svm.LinearSVC(), method="isotonic", cv=2),
    calibration.CalibratedClassifierCV(LOGISTIC, method="temperature", cv=2),
    tree.DecisionTreeClassifier(max_depth=3),
    tree.ExtraTreeClassifier(max_depth=3),
    ensemble.RandomForestClassifier(3),
    ensemble.ExtraTreesClassifier(3),
    ensemble.GradientBoostingClassifier(n_estimators=2),
    ensemble.HistGradientBoostingClassifier(max_iter=2),
    ensemble.AdaBoostClassifier(n_estimators=2),
    ensemble.BaggingClassifier(n_estimators=2),
    ensemble.VotingClassifier([("a", LOGISTIC), ("b", naive_bayes.GaussianNB())], voting="soft"),
    ensemble.StackingClassifier([("a", LOGISTIC), ("b", naive_bayes.GaussianNB())], cv=2),
    neural_network.MLPClassifier((4,), max_iter=5),
    gaussian_process.GaussianProcessClassifier(max_iter_predict=5),
    multiclass.OneVsRestClassifier(LOGISTIC),
    multiclass.OneVsOneClassifier(LOGISTIC),
    multiclass.OutputCodeClassifier(LOGISTIC),
    semi_supervised.SelfTrainingClassifier(LOGISTIC),
    semi_supervised.LabelSpreading(),
    model_selection.GridSearchCV(LOGISTIC, {"C": [0.1, 1]}, cv=2),
    model_selection.RandomizedSearchCV(LOGISTIC, {"C": [0.1, 1]}, n_iter=2, cv=2),
    model_selection.FixedThresholdClassifier(LOGISTIC),
    dummy.DummyClassifier(),
]

TRANSFORMERS = [
    preprocessing.StandardScaler(),
    preprocessing.MinMaxScaler(),
    preprocessing.MaxAbsScaler(),
    preprocessing.RobustScaler(),
    preprocessing.Normalizer(),
    preprocessing.Binarizer(),
    preprocessing.PolynomialFeatures(2),
    preprocessing.SplineTransformer(),
    preprocessing.PowerTransformer(),
    preprocessing.QuantileTransformer(n_quantiles=10),
    preprocessing.KBinsDiscretizer(quantile_method="averaged_inverted_cdf"),
    preprocessing.OneHotEncoder(handle_unknown="ignore"),
    preprocessing.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    preprocessing.TargetEncoder(cv=2),
    impute.SimpleImputer(add_indicator=True),
    impute.KNNImputer(),
    impute.IterativeImputer(max_iter=2),
    decomposition.PCA(2),
    decomposition.TruncatedSVD(2),
    discriminant_analysis.LinearDiscriminantAnalysis(),
    feature_selection.SelectKBest(k=2),
    feature_selection.SelectPercentile(),
    feature_selection.SelectFromModel(tree.DecisionTreeClassifier()),
    feature_selection.RFE(tree.DecisionTreeClassifier(), n_features_to_select=2),
    feature_selection.VarianceThreshold(),
    kernel_approximation.Nystroem(n_components=5),
    kernel_approximation.RBFSampler(n_components=5),
    pipeline.FeatureUnion([("a", decomposition.PCA(1)), ("b", preprocessing.StandardScaler())]),
]


def fit_all() -> Iterator[tuple[str, Any]]:
    """Each classifier on three classes and on two, each transformer before a classifier."""
    warnings.simplefilter("ignore")
    iris, iris_labels = load_iris(return_X_y=True)
    cancer, cancer_labels = load_breast_cancer(return_X_y=True)
    many = (iris, load_iris().target_names[iris_labels].astype(object))
    two = (cancer[::4, :4], cancer_labels[::4])
    for classifier in CLASSIFIERS:
        name = type(classifier).__name__
        if "Threshold" not in name:  # for two classes only
            yield f"{name} of three", classifier.fit(*many)
        yield f"{name} of two", classifier.fit(*two)
    for transformer in TRANSFORMERS:
        name = type(transformer).__name__
        yield name, pipeline.make_pipeline(transformer, LOGISTIC).fit(*many)
    yield "mixed columns", _mixed().fit(*_mixed_table())


def _mixed() -> pipeline.Pipeline:
    numbers = pipeline.make_pipeline(impute.SimpleImputer(), preprocessing.StandardScaler())
    words = pipeline.make_pipeline(
        impute.SimpleImputer(strategy="most_frequent"),
        preprocessing.OneHotEncoder(handle_unknown="ignore"),
    )
    columns = compose.ColumnTransformer(
        [
            ("numbers", numbers, compose.make_column_selector(dtype_include="number")),
            ("words", words, ["word"]),
            # Not "passthrough": that needs FunctionTransformer, which can call anything.
            ("flags", preprocessing.OneHotEncoder(drop="if_binary"), ["flag"]),
        ]
    )
    return pipeline.make_pipeline(columns, ensemble.RandomForestClassifier(3))


def _mixed_table() -> tuple[pd.DataFrame, pd.Series]:
    random = np.random.default_rng(0)
    words = np.array(["one", "two", None], dtype=object)
    table = pd.DataFrame(
        {
            "number": np.where(random.random(60) < 0.1, np.nan, random.random(60)),
            "word": words[random.integers(0, 3, 60)],
            "flag": random.integers(0, 2, 60).astype(bool),
        }
    )
    return table, pd.Series(random.integers(0, 2, 60)).map({0: "no", 1: "yes"})
