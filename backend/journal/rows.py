"""What the journal writes of predictions and models, as rows of its tables."""

import json
from collections.abc import Iterator
from typing import Any

from identifiers import read_time
from journal.messages import Row, TableEntry
from journal.tally import Shadowed
from schemas import Description


def describe(
    rows: list[Row], description: Description, shadow: str | None, answers: list[str | None] | None
) -> Iterator[dict[str, Any]]:
    names = [feature.name for feature in description.features]
    classes = description.target.classes
    for (identifier, index, probabilities, values), answer in zip(
        rows, answers or [None] * len(rows), strict=True
    ):
        yield {
            "id": identifier,
            "predicted_at": read_time(identifier),
            "model_version": description.version,
            "rows": 1,
            "inputs": json.dumps(dict(zip(names, values, strict=True))),
            "prediction_class": classes[index],
            "probabilities": probabilities
            and json.dumps(dict(zip(classes, probabilities, strict=True))),
            "shadow_version": shadow if answer is not None else None,
            "shadow_class": answer,
            "by_class": None,
        }


def describe_table(entry: TableEntry, description: Description) -> dict[str, Any]:
    by_class = zip(description.target.classes, entry.counted.classes.tolist(), strict=True)
    absent = ("inputs", "prediction_class", "probabilities", "shadow_version", "shadow_class")
    return {
        "id": entry.identifier,
        "predicted_at": read_time(entry.identifier),
        "model_version": description.version,
        "rows": entry.rows,
        "by_class": json.dumps(dict(by_class)),
        **dict.fromkeys(absent),
    }


def describe_model(description: Description) -> dict[str, Any]:
    return {
        "version": description.version,
        "name": description.name,
        "features": json.dumps([feature.name for feature in description.features]),
        "classes": json.dumps(description.target.classes),
    }


def compare(shadow: str | None, written: list[dict[str, Any]], rows: int) -> dict[str, Shadowed]:
    if shadow is None:
        return {}
    answered = [it for it in written if it["shadow_class"] is not None]
    agreed = sum(it["shadow_class"] == it["prediction_class"] for it in answered)
    return {shadow: Shadowed(len(answered), agreed, rows - len(answered))}
