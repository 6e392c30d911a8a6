"""Opens a verified model, and tries it out on the examples of its manifest."""

import warnings
from typing import Any

import numpy as np
import sklearn
from sklearn.base import is_classifier
from sklearn.exceptions import InconsistentVersionWarning

from inputs import to_array
from predictions import ask
from unpickling import NotAllowed, unpickle
from verification import Verified, refuse

TOLERANCE = 1e-6  # other processors round differently in the last digits


def try_out(model: Verified, manifest: dict[str, Any]) -> str | None:
    """Return what there is to remark; raises ModelRefused if it does not answer its examples."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InconsistentVersionWarning)  # compared below
            estimator = unpickle(model.pickled)
    except NotAllowed as reason:
        raise refuse(model.version, f"Its pickle is refused: {reason}") from None
    except Exception as error:  # a damaged pickle can raise anything
        raise refuse(model.version, f"It cannot be unpickled: {error!r}") from None
    made_with = str(manifest["libraries"].get("scikit-learn", sklearn.__version__))
    is_other = made_with.split(".")[:2] != sklearn.__version__.split(".")[:2]
    versions = f"It was made with scikit-learn {made_with}; this is {sklearn.__version__}"
    try:
        _match(estimator, model)
        _answer_examples(estimator, model, manifest["examples"])
    except Exception as error:  # as above
        also = f". {versions}" if is_other else ""
        raise refuse(model.version, f"{error}{also}") from None
    return f"{versions}, and answers its examples rightly." if is_other else None


def _match(estimator: Any, model: Verified) -> None:
    """Raise ValueError if the manifest describes another estimator."""
    if not is_classifier(estimator) or not hasattr(estimator, "predict_proba"):
        raise ValueError("It is not a classifier with probabilities")
    names = [feature.name for feature in model.features]
    if list(map(str, estimator.classes_)) != model.classes:
        raise ValueError("Its classes are not those of its manifest")
    if list(getattr(estimator, "feature_names_in_", names)) != names:
        raise ValueError("Its features are not those of its manifest")


def _answer_examples(estimator: Any, model: Verified, examples: list[dict[str, Any]]) -> None:
    """Raise ValueError if the answers differ, or if there is nothing to compare."""
    if not examples:
        raise ValueError("Its manifest has no examples to try it out on")
    for example in examples:
        X = to_array(model.features, [example["inputs"]])
        expected = [example["probabilities"]]
        answered = ask(estimator, X, len(model.classes))
        if not np.allclose(answered, expected, rtol=0, atol=TOLERANCE):
            raise ValueError("It answers an example of its manifest with other probabilities")
