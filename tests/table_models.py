"""Publishes a model of each table that a list names, as `metrics.py` reads them.

Beside each it writes what the pickle answers to the training's own matrix.
"""

import io
import json
import sys
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "mlflow"))

import joblib

import metrics
from publishing.manifest import describe, describe_features
from publishing.publisher import Publisher
from reading.fetching import fetch
from table.dataset import read_dataset
from training.candidates import list_candidates
from training.comparison import Result
from training.evaluation import FittedModel, Score, fit, measure

ESTIMATOR = "LogisticRegression"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def publish(publisher, options, moment):
    """Fit one candidate without a search: what it reads is of interest, not how well it does."""
    arguments = metrics.parse_arguments(options)
    dataset = read_dataset(arguments, fetch(arguments.data))
    [candidate] = [one for one in list_candidates(seed=0) if one.name == ESTIMATOR]
    pipeline = fit(candidate, {}, dataset)
    probabilities = pipeline.predict_proba(dataset.X)
    score = Score(measure(dataset.y, probabilities, pipeline.classes_), {}, 0, 0)
    model = FittedModel(ESTIMATOR, pipeline)
    result = Result(candidate, [score, score])
    manifest = describe(dataset, describe_features(dataset), result, model)
    pickled = io.BytesIO()
    joblib.dump(pipeline, pickled)
    path = publisher.publish(pickled.getvalue(), manifest | {"mlflow": None}, moment)
    return {
        "version": path.stem.removeprefix("model_"),
        "said": dataset.remarks,
        "features": {feature["name"]: feature["type"] for feature in manifest["features"]},
        "classes": list(pipeline.classes_),
        "rows": dataset.X.index.tolist(),
        "matrix": dataset.X.astype(object).where(dataset.X.notna(), None).to_numpy().tolist(),
        "probabilities": probabilities.tolist(),
    }


def main(folder):
    warnings.simplefilter("ignore")
    publisher = Publisher(folder)
    tables = json.loads((folder / "tables.json").read_text())
    answers = {
        name: publish(publisher, options, BEGIN + timedelta(seconds=second))
        for second, (name, options) in enumerate(tables.items())
    }
    (folder / "answers.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
