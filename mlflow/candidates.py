"""Lists the pipelines that are compared."""

from typing import Any

from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC


def list_candidates(seed: int) -> dict[str, Pipeline]:
    """Unfitted pipelines by the name of their classifier, from simple to complex."""
    classifiers: dict[str, BaseEstimator] = {
        "LogisticRegression": LogisticRegression(max_iter=1000),
        "LinearDiscriminantAnalysis": LinearDiscriminantAnalysis(),
        "GaussianNB": GaussianNB(),
        "KNeighborsClassifier": KNeighborsClassifier(n_neighbors=15),
        "CalibratedSVC": CalibratedClassifierCV(SVC(), ensemble=False),
        "RandomForestClassifier": RandomForestClassifier(random_state=seed),
    }
    return {
        name: Pipeline([("scale", StandardScaler()), ("classify", classifier)])
        for name, classifier in classifiers.items()
    }


def read_params(pipeline: Pipeline) -> dict[str, Any]:
    """The classifier's own parameters, as JSON can hold them."""
    params = pipeline["classify"].get_params()
    return {
        name: value if isinstance(value, int | float | str | None) else str(value)
        for name, value in params.items()
    }
