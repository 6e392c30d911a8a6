"""Reads a table and describes its features."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_iris

HISTOGRAM_BINS = 20
MAX_DECIMALS = 6


@dataclass(frozen=True)
class Dataset:
    """Features X of shape (n, f) and labels y of shape (n,)."""

    name: str
    target: str
    X: pd.DataFrame
    y: pd.Series
    units: dict[str, str] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """Of the table as CSV, target last."""
        table = self.X.assign(**{self.target: self.y})
        return hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()


def read_iris() -> Dataset:
    """Fisher's 150 flowers, with labels as strings."""
    bunch = load_iris(as_frame=True)
    X = bunch.data.rename(columns=lambda column: column.removesuffix(" (cm)").replace(" ", "_"))
    y = pd.Series(bunch.target_names[bunch.target], name="species")
    return Dataset("iris", "species", X, y, units=dict.fromkeys(X.columns, "cm"))


def describe_features(dataset: Dataset) -> list[dict[str, Any]]:
    """The manifest's `features`, in the order of the columns."""
    return [_describe(dataset, column) for column in dataset.X.columns]


def _describe(dataset: Dataset, column: str) -> dict[str, Any]:
    values = dataset.X[column]
    return {
        "name": column,
        "type": "number",
        "unit": dataset.units.get(column),
        "min": float(values.min()),
        "max": float(values.max()),
        "mean": float(values.mean()),
        "median": float(values.median()),
        "step": _step(values),
        "histogram": _histogram(values, dataset.y),
    }


def _step(values: pd.Series) -> float:
    """The last decimal the table uses, at most the sixth."""
    decimals = range(MAX_DECIMALS)
    exact = (d for d in decimals if np.allclose(values, values.round(d), rtol=1e-12, atol=0))
    used = next(exact, MAX_DECIMALS)
    return float(10.0**-used)


def _histogram(values: pd.Series, labels: pd.Series) -> dict[str, Any]:
    edges = np.histogram_bin_edges(values, bins=HISTOGRAM_BINS)
    counts = {
        str(label): np.histogram(group, bins=edges)[0].tolist()
        for label, group in values.groupby(labels)
    }
    return {"edges": edges.tolist(), "counts": counts}
