"""Describes a model for those who will serve it."""

from typing import Any

import pandas as pd

from candidates import read_params
from comparison import Result
from datasets import Dataset
from features import describe_features
from publishing import library_versions
from records import Model

MAX_EXAMPLES = 10


def describe(dataset: Dataset, winner: Result, model: Model) -> dict[str, Any]:
    """All of the manifest that neither the file itself tells nor MLflow."""
    return {
        "name": dataset.name,
        "features": describe_features(dataset),
        "target": {"name": dataset.target, "classes": list(model.pipeline.classes_)},
        "estimator": model.estimator,
        "params": read_params(model.pipeline["classify"]),
        "metrics": winner.summary(),
        "dataset": {"name": dataset.name, "rows": len(dataset.X), "sha256": dataset.sha256},
        "libraries": library_versions(),
        "examples": _examples(dataset, model),
    }


def _examples(dataset: Dataset, model: Model) -> list[dict[str, Any]]:
    """The first row of each class, a whole one where there is one, and what the model says."""
    order = dataset.X.isna().any(axis="columns").sort_values(kind="stable").index
    rows = dataset.y.loc[order].drop_duplicates().sort_index().index[:MAX_EXAMPLES]
    X = dataset.X.loc[rows]
    probabilities = model.pipeline.predict_proba(X)
    return [
        {
            "inputs": {name: _to_json(row[name], dataset.kinds[name]) for name in X.columns},
            "probabilities": answer,
        }
        for row, answer in zip(X.to_dict("records"), probabilities.tolist(), strict=True)
    ]


def _to_json(value: Any, kind: str) -> Any:
    if pd.isna(value):
        return None
    return bool(value) if kind == "boolean" else value
