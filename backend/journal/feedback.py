"""Keeps what predictions should have been, and tells how right they were."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, RowMapping, func, select

from features.binning import Array
from journal.database import Database, feedback, models, predictions
from monitoring.reports import Accuracy, CalibrationBin, divide
from schemas import Labelled, LabelledPage

BINS = 10  # of probabilities
VERSIONS = 10  # the newest with labels


class Predicted(NamedTuple):
    """The classes of the model that answered, and what `feedback` keeps of its answer."""

    classes: list[str]
    kept: dict[str, Any]


class Feedback:
    """Of one journal; whatever its database raises is raised."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, identifiers: Sequence[str]) -> dict[str, Predicted]:
        """Those of them that are written; tables are no predictions of one instance."""
        query = (
            select(predictions, models.c.classes)
            .join(models, models.c.version == predictions.c.model_version)
            .where(predictions.c.prediction_class.is_not(None), predictions.c.id.in_(identifiers))
        )
        with self._database.begin() as connection:
            rows = connection.execute(query).mappings()
            return {row["id"]: _read_predicted(row) for row in rows}

    def record(self, labels: Mapping[str, str], predicted: Mapping[str, Predicted]) -> None:
        """Of each prediction the label, in place of an earlier one."""
        now = datetime.now(UTC)
        rows = [
            {"prediction_id": identifier, "given_at": now, "label": label}
            | predicted[identifier].kept
            for identifier, label in labels.items()
        ]
        with self._database.begin() as connection:
            connection.execute(self._database.replace(feedback), rows)

    def list_labelled(self, name: str, after: str, limit: int) -> LabelledPage:
        """Of the models of that name, in the order of their ids."""
        query = (
            select(feedback, predictions.c.inputs)
            .join(predictions, predictions.c.id == feedback.c.prediction_id)
            .join(models, models.c.version == feedback.c.model_version)
            .where(models.c.name == name, feedback.c.prediction_id > after)
            .order_by(feedback.c.prediction_id)
            .limit(limit + 1)
        )
        with self._database.begin() as connection:
            rows = connection.execute(query).mappings().all()
        page = [
            Labelled.model_validate({**row, "inputs": json.loads(row["inputs"])})
            for row in rows[:limit]
        ]
        return LabelledPage(feedback=page, next=page[-1].prediction_id if rows[limit:] else None)

    def measure(self, live_version: str) -> list[Accuracy]:
        """The live version first, then the others that have labels, newest first."""
        with self._database.begin() as connection:
            labelled = connection.execute(
                select(feedback.c.model_version)
                .where(feedback.c.model_version != live_version)
                .group_by(feedback.c.model_version)
                .order_by(feedback.c.model_version.desc())
                .limit(VERSIONS)
            ).scalars()
            versions = [live_version, *labelled]
            return [_measure_version(connection, version) for version in versions]

    def measure_shadow(self, live_version: str, shadow: str) -> tuple[int, int]:
        """How many labelled predictions of the live one the shadow answered, and how many right."""
        right = func.count().filter(feedback.c.shadow_class == feedback.c.label)
        query = select(func.count(), right).where(
            feedback.c.model_version == live_version, feedback.c.shadow_version == shadow
        )
        with self._database.begin() as connection:
            counts = connection.execute(query).one()
        return counts[0], counts[1]


def _read_predicted(row: RowMapping) -> Predicted:
    names = ("model_version", "prediction_class", "shadow_version", "shadow_class")
    kept = {name: row[name] for name in names}
    probabilities = json.loads(row["probabilities"] or "{}")
    kept["probability"] = probabilities.get(row["prediction_class"])
    return Predicted(json.loads(row["classes"]), kept)


def _measure_version(connection: Connection, version: str) -> Accuracy:
    place = func.floor(feedback.c.probability * BINS)
    groups = (feedback.c.label, feedback.c.prediction_class, place)
    query = (
        select(*groups, func.count(), func.sum(feedback.c.probability))
        .where(feedback.c.model_version == version)
        .group_by(*groups)
    )
    confusion: dict[str, dict[str, int]] = defaultdict(Counter)
    bins: dict[int, Array] = defaultdict(lambda: np.zeros(3))  # labelled, right, probabilities
    for label, predicted, number, labelled, probability in connection.execute(query):
        confusion[label][predicted] += labelled
        if number is not None:
            right = labelled if label == predicted else 0
            bins[min(int(number), BINS - 1)] += (labelled, right, probability)
    return _sum_up(version, confusion, bins)


def _sum_up(version: str, confusion: dict[str, dict[str, int]], bins: dict[int, Array]) -> Accuracy:
    count = sum(sum(counts.values()) for counts in confusion.values())
    believed, _, probability = sum(bins.values(), np.zeros(3))
    return Accuracy(
        model_version=version,
        count=count,
        accuracy=divide(sum(confusion[label][label] for label in confusion), count),
        expected=divide(probability, believed),
        confusion=confusion,
        calibration=[
            CalibrationBin(
                start=number / BINS,
                end=(number + 1) / BINS,
                count=labelled,
                probability=total / labelled,
                accuracy=right / labelled,
            )
            for number, (labelled, right, total) in sorted(bins.items())
        ],
    )
