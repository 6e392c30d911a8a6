"""Describes a model for those who will serve it."""

import json
from itertools import accumulate
from typing import Any

import pandas as pd

from publishing.publisher import library_versions
from runs.record import Model
from table.dataset import Dataset
from training.candidates import read_params
from training.comparison import Result

MAX_EXAMPLES = 10
MAX_EXAMPLE_BYTES = 150_000


def describe(
    dataset: Dataset, features: list[dict[str, Any]], winner: Result, model: Model
) -> dict[str, Any]:
    """All of the manifest that neither the file itself tells nor MLflow."""
    return {
        "name": dataset.name,
        "features": features,
        "target": {"name": dataset.target, "classes": list(model.pipeline.classes_)},
        "estimator": model.estimator,
        "params": read_params(model.pipeline["classify"]),
        "metrics": winner.summary(),
        "dataset": {"name": dataset.name, "rows": len(dataset.X), "sha256": dataset.sha256},
        "libraries": library_versions(),
        "examples": _examples(dataset, model),
    }


def _examples(dataset: Dataset, model: Model) -> list[dict[str, Any]]:
    """The first row of each class, a whole one where there is one, and what the model says.

    As many as there is room for.
    """
    order = dataset.X.isna().any(axis="columns").sort_values(kind="stable").index
    rows = dataset.y.loc[order].drop_duplicates().sort_index().index[:MAX_EXAMPLES]
    X = dataset.X.loc[rows]
    probabilities = model.pipeline.predict_proba(X)
    examples = [
        {
            "inputs": {name: _to_json(row[name], dataset.kinds[name]) for name in X.columns},
            "probabilities": answer,
        }
        for row, answer in zip(X.to_dict("records"), probabilities.tolist(), strict=True)
    ]
    ends = accumulate(len(json.dumps(it)) for it in examples)
    return [it for it, end in zip(examples, ends, strict=True) if end <= MAX_EXAMPLE_BYTES]


def _to_json(value: Any, kind: str) -> Any:
    if pd.isna(value):
        return None
    return bool(value) if kind == "boolean" else value
