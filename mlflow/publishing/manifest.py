"""Describes a model for those who will serve it."""

import json
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import numpy as np
import pandas as pd

from errors import UnusableTable
from table.cells import MISSING
from table.dataset import Dataset
from table.phrases import quote
from training.candidates import MAX_CATEGORIES, read_params
from training.comparison import Result
from training.evaluation import FittedModel, library_versions

MAX_EXAMPLES = 10
MAX_EXAMPLE_BYTES = 150_000
HISTOGRAM_BINS = 20
MAX_BYTES = 800_000  # of the features and classes: a manifest has 1 MB
MAX_DECIMALS = 6


def describe(
    dataset: Dataset, features: list[dict[str, Any]], winner: Result, model: FittedModel
) -> dict[str, Any]:
    """All of the manifest that neither the file itself tells nor MLflow."""
    return {
        "name": dataset.name,
        "features": features,
        "written": {"missing": MISSING} | _only(encoding=dataset.encoding),
        "target": {"name": dataset.target, "classes": list(model.pipeline.classes_)},
        "estimator": model.estimator,
        "params": read_params(model.pipeline["classify"]),
        "metrics": winner.summary(),
        "dataset": {"name": dataset.name, "rows": len(dataset.X), "sha256": dataset.sha256},
        "libraries": library_versions(),
        "examples": _list_examples(dataset, model),
    }


def _only(**said: str) -> dict[str, Any]:
    """What is not empty."""
    return {key: text for key, text in said.items() if text}


def _list_examples(dataset: Dataset, model: FittedModel) -> list[dict[str, Any]]:
    """The first row of each class, a whole one if there is one, and what the model says.

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
    ends = accumulate(len(json.dumps(example)) for example in examples)
    return [one for one, end in zip(examples, ends, strict=True) if end <= MAX_EXAMPLE_BYTES]


def _to_json(value: Any, kind: str) -> Any:
    if pd.isna(value):
        return None
    return bool(value) if kind == "boolean" else value


def describe_features(dataset: Dataset) -> list[dict[str, Any]]:
    """The manifest's `features`, in the order of the columns.

    Their histograms are as fine as there is room for; raises UnusableTable if there is none.
    """
    described = [_describe_feature(dataset, name) for name in dataset.X.columns]
    room = MAX_BYTES - _weigh(dataset.classes)
    for features in _coarsen(described):
        if _weigh(features) <= room:
            return features
    largest = quote(max(features, key=_weigh)["name"])
    raise UnusableTable(
        f"The table has {len(features):,} features, and a manifest has no room for so many. "
        f"Their descriptions take {_weigh(features):,} bytes of {room:,}. Leave columns out with "
        f"--drop; {largest} takes most."
    )


def _weigh(described: Any) -> int:
    return len(json.dumps(described, separators=(",", ":")))


def _coarsen(features: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Histograms of 20 bins, of 10, of 5, and at last of all classes together."""
    yield features
    yield [_merge_bins(feature, 2) for feature in features]
    coarse = [_merge_bins(feature, 4) for feature in features]
    yield coarse
    # Drift of the classes is told from the first feature's.
    yield [*coarse[:1], *map(_merge_classes, coarse[1:])]


def _merge_bins(feature: dict[str, Any], size: int) -> dict[str, Any]:
    if feature["type"] != "number":
        return feature
    histogram = feature["histogram"]
    counts = {
        label: [sum(bins[first : first + size]) for first in range(0, len(bins), size)]
        for label, bins in histogram["counts"].items()
    }
    return feature | {
        "histogram": histogram | {"edges": histogram["edges"][::size], "counts": counts}
    }


def _merge_classes(feature: dict[str, Any]) -> dict[str, Any]:
    histogram = feature["histogram"]
    counts = list(map(sum, zip(*histogram["counts"].values(), strict=True)))
    missing = sum(histogram["missing"].values())
    return feature | {"histogram": histogram | {"counts": {"": counts}, "missing": {"": missing}}}


def _describe_feature(dataset: Dataset, name: str) -> dict[str, Any]:
    values, labels = dataset.X[name], dataset.y
    kind = dataset.kinds[name]
    described: dict[str, Any] = {"name": name, "type": kind}
    if kind == "number":
        described["unit"] = dataset.units.get(name)
        if name in dataset.written:
            described["written"] = dataset.written[name].describe()
    described["nullable"] = name in dataset.nullable
    described["imputable"] = True  # as every candidate's pipeline imputes
    described |= _DESCRIBE[kind](values, labels)
    missing = values.isna().groupby(labels).sum()
    described["histogram"]["missing"] = {str(label): int(n) for label, n in missing.items()}
    return described


def _describe_number(values: pd.Series, labels: pd.Series) -> dict[str, Any]:
    present = values.dropna()
    return {
        "min": float(present.min()),
        "max": float(present.max()),
        "mean": float(present.mean()),
        "median": float(present.median()),
        "step": _step(present),
        "histogram": _histogram(present, labels.loc[present.index]),
    }


def _describe_boolean(values: pd.Series, labels: pd.Series) -> dict[str, Any]:
    mode = bool(values.mean() > 0.5)  # noqa: PLR2004  # the majority
    return {"mode": mode, "histogram": {"counts": _count(values, [0.0, 1.0], labels)}}


def _describe_category(values: pd.Series, labels: pd.Series) -> dict[str, Any]:
    frequencies = values.value_counts()
    kept = len(frequencies) if len(frequencies) <= MAX_CATEGORIES else MAX_CATEGORIES - 1
    known = sorted(frequencies.index[:kept])
    counts = _count(values, known, labels)
    return {"values": known, "mode": str(frequencies.index[0]), "histogram": {"counts": counts}}


_DESCRIBE = {
    "number": _describe_number,
    "boolean": _describe_boolean,
    "category": _describe_category,
}


def _count(values: pd.Series, bins: list[Any], labels: pd.Series) -> dict[str, list[int]]:
    """How often each value goes with each class."""
    table = pd.crosstab(labels, values).reindex(index=sorted(labels.unique()), columns=bins)
    return {str(label): row.fillna(0).astype(int).tolist() for label, row in table.iterrows()}


def _step(values: pd.Series) -> float:
    """The last decimal the table uses, at most the sixth."""
    decimals = range(MAX_DECIMALS)
    exact = (d for d in decimals if np.allclose(values, values.round(d), rtol=1e-12, atol=0))
    used = next(exact, MAX_DECIMALS)
    return float(10.0**-used)


def _histogram(values: pd.Series, labels: pd.Series) -> dict[str, Any]:
    edges = np.histogram_bin_edges(values, bins=HISTOGRAM_BINS)
    groups = dict(list(values.groupby(labels)))
    counts = {
        str(label): np.histogram(groups.get(label, []), bins=edges)[0].tolist()
        for label in sorted(labels.unique())
    }
    return {"edges": edges.tolist(), "counts": counts}
