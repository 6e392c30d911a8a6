"""What the journal writes of predictions and models, as rows of its tables."""

import json
from typing import Any

import numpy as np

from features.binning import Array
from instrumentation.identifiers import read_time
from journal.database import predictions
from journal.messages import CountedTable, Row
from journal.tally import Tally
from schemas import Description

Written = tuple[list[dict[str, Any]], Tally]  # rows of the table, and what they add to the counts
EMPTY = dict.fromkeys(predictions.columns.keys())


def _begin_row(identifier: str, rows: int, description: Description) -> dict[str, Any]:
    return EMPTY | {
        "id": identifier,
        "predicted_at": read_time(identifier),
        "model_version": description.version,
        "rows": rows,
    }


def describe_row(row: Row, description: Description) -> dict[str, Any]:
    identifier, index, probabilities, values = row
    names = [feature.name for feature in description.features]
    classes = description.target.classes
    named = probabilities and dict(zip(classes, probabilities, strict=True))
    return _begin_row(identifier, 1, description) | {
        "inputs": json.dumps(dict(zip(names, values, strict=True))),
        "prediction_class": classes[index],
        "probabilities": named and json.dumps(named),
    }


def describe_tables(found: list[CountedTable], description: Description) -> Written:
    _, _, features, classes = zip(*found, strict=True)
    written = [
        _begin_row(identifier, rows, description)
        | {"by_class": json.dumps(dict(zip(description.target.classes, counts, strict=True)))}
        for identifier, rows, _, counts in found
    ]
    return written, Tally(np.sum(features, axis=0), np.sum(classes, axis=0), {})


def describe_model(description: Description) -> dict[str, Any]:
    return {
        "version": description.version,
        "name": description.name,
        "features": json.dumps([feature.name for feature in description.features]),
        "classes": json.dumps(description.target.classes),
    }


def compare(shadow: str | None, written: list[dict[str, Any]]) -> dict[str, Array]:
    if shadow is None:
        return {}
    answered = [row for row in written if row["shadow_class"] is not None]
    agreed = sum(row["shadow_class"] == row["prediction_class"] for row in answered)
    return {shadow: np.array([len(answered), agreed, len(written) - len(answered)])}
