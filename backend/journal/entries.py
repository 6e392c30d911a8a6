"""What the journal writes of predictions and models, as rows of its tables."""

import json
from typing import Any

import numpy as np

from features.binning import Array, ModelBins
from instrumentation.identifiers import read_time
from journal.database import predictions
from journal.messages import CountedTable, Row
from journal.tally import Tally
from schemas import Description

Written = tuple[list[dict[str, Any]], Tally]  # as rows, and what they add to the counts
EMPTY = dict.fromkeys(predictions.columns.keys())


def enter_rows(
    rows: list[Row], description: Description, shadow: str | None, answers: list[str | None]
) -> Written:
    """The version of the shadow, if one is asked, and its classes."""
    written = [
        _enter_row(row, description) | {"shadow_version": answer and shadow, "shadow_class": answer}
        for row, answer in zip(rows, answers, strict=True)
    ]
    _, indices, _, values = zip(*rows, strict=True)
    features = ModelBins(description.features).count(zip(*values, strict=True))
    classes = np.bincount(indices, minlength=len(description.target.classes))
    return written, Tally(features, classes, _compare(shadow, written))


def enter_tables(found: list[CountedTable], description: Description) -> Written:
    _, _, features, classes = zip(*found, strict=True)
    written = [
        _begin_entry(identifier, rows, description)
        | {"by_class": json.dumps(dict(zip(description.target.classes, counts, strict=True)))}
        for identifier, rows, _, counts in found
    ]
    return written, Tally(np.sum(features, axis=0), np.sum(classes, axis=0), {})


def enter_model(description: Description) -> dict[str, Any]:
    return {
        "version": description.version,
        "name": description.name,
        "features": json.dumps([feature.name for feature in description.features]),
        "classes": json.dumps(description.target.classes),
    }


def _enter_row(row: Row, description: Description) -> dict[str, Any]:
    identifier, index, probabilities, values = row
    names = [feature.name for feature in description.features]
    classes = description.target.classes
    named = probabilities and dict(zip(classes, probabilities, strict=True))
    return _begin_entry(identifier, 1, description) | {
        "inputs": json.dumps(dict(zip(names, values, strict=True))),
        "prediction_class": classes[index],
        "probabilities": named and json.dumps(named),
    }


def _begin_entry(identifier: str, rows: int, description: Description) -> dict[str, Any]:
    return EMPTY | {
        "id": identifier,
        "predicted_at": read_time(identifier),
        "model_version": description.version,
        "rows": rows,
    }


def _compare(shadow: str | None, written: list[dict[str, Any]]) -> dict[str, Array]:
    if shadow is None:
        return {}
    answered = [entry for entry in written if entry["shadow_class"] is not None]
    agreed = sum(entry["shadow_class"] == entry["prediction_class"] for entry in answered)
    return {shadow: np.array([len(answered), agreed, len(written) - len(answered)])}
