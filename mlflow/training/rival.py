"""Compares a new model with the one that is live."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scipy.stats import t as student
from sklearn.base import clone

from table.dataset import Dataset
from training.candidates import Candidate
from training.comparison import Result, corrected_error

SIGNIFICANCE = 0.05


class NotComparable(Exception):
    """The live model is of another table, or of another kind; the message says which."""


def find_rivals(
    live: Mapping[str, Any], candidates: list[Candidate], dataset: Dataset
) -> list[Candidate]:
    """The live model of this manifest as a candidate; none if it cannot be compared."""
    try:
        return [make_rival(live, candidates, dataset)]
    except NotComparable as reason:
        print(f"{reason}, so it is not compared.")
        return []


def make_rival(
    manifest: Mapping[str, Any], candidates: list[Candidate], dataset: Dataset
) -> Candidate:
    """Its classifier with its parameters, from the manifest alone: its pickle is not trusted.

    Raises NotComparable.
    """
    version, params = manifest.get("version"), manifest.get("params", {})
    live = f"The live model {version}"
    columns = {column.get("name"): column.get("type") for column in manifest.get("features", [])}
    if columns != dataset.kinds:
        raise NotComparable(f"{live} has other features")
    if manifest.get("target", {}).get("classes") != dataset.classes:
        raise NotComparable(f"{live} has other classes")
    same = [one for one in candidates if one.name == manifest.get("estimator")]
    if not same:
        raise NotComparable(f"{live} is none of the candidates")
    try:
        found = {name: params[name] for name in same[0].grid}
        classifier = clone(same[0].classifier).set_params(**found)
    except (KeyError, ValueError):
        raise NotComparable(f"{live} has other parameters") from None
    return replace(same[0], name=f"Live {version}", classifier=classifier, grid={})


def is_worse(new: Result, live: Result) -> bool:
    """Whether chance alone would hardly make the new one look so much worse."""
    return p_value(new, live) < SIGNIFICANCE


def p_value(new: Result, live: Result) -> float:
    """The p-value of a one-sided test whether the new one's log loss is higher.

    A t-test on the differences of the paired folds, with the corrected error.
    """
    differences = new.by_fold("log_loss") - live.by_fold("log_loss")
    error = corrected_error(differences)
    if error == 0:
        return 0.0 if differences.mean() > 0 else 1.0
    return float(student.sf(differences.mean() / error, df=len(differences) - 1))
