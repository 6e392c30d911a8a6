"""Compares a new model with the one that is live."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sklearn.base import clone

from table.dataset import Dataset
from training.candidates import Candidate
from training.comparison import Result, p_value

SIGNIFICANCE = 0.05


class NotComparable(Exception):
    """The live model is of another table, or of another kind; the message says which."""


def make_rival(
    manifest: Mapping[str, Any], candidates: list[Candidate], dataset: Dataset
) -> Candidate:
    """Its classifier with its parameters, from the manifest alone: its pickle is not trusted.

    Raises NotComparable.
    """
    version = manifest.get("version")
    if _columns(manifest) != dataset.kinds:
        raise NotComparable(f"The live model {version} has other features")
    if manifest.get("target", {}).get("classes") != dataset.classes:
        raise NotComparable(f"The live model {version} has other classes")
    for candidate in candidates:
        if candidate.name == manifest.get("estimator"):
            return _restore(candidate, manifest)
    raise NotComparable(f"The live model {version} is none of the candidates")


def is_worse(new: Result, live: Result) -> bool:
    """Whether chance alone would hardly make the new one look so much worse."""
    return p_value(new, live) < SIGNIFICANCE


def _columns(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {feature.get("name"): feature.get("type") for feature in manifest.get("features", [])}


def _restore(candidate: Candidate, manifest: Mapping[str, Any]) -> Candidate:
    version, params = manifest["version"], manifest.get("params", {})
    try:
        known = {name: params[name] for name in candidate.grid}
        classifier = clone(candidate.classifier).set_params(**known)
    except (KeyError, ValueError):
        raise NotComparable(f"The live model {version} has other parameters") from None
    return replace(candidate, name=f"Live {version}", classifier=classifier, grid={})
