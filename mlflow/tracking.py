"""Everything that speaks to MLflow."""

import logging
import os
import time
from typing import Any, NamedTuple

import mlflow
import skops.io
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from mlflow.tracking import MlflowClient
from sklearn.pipeline import Pipeline

from candidates import read_params
from comparison import Result
from datasets import Dataset
from publishing import library_versions

# Without these a client retries for minutes when the server is away.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # there is no git in the image
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

# It says "waiting up to 300 seconds" of what takes none.
logging.getLogger("mlflow").setLevel(logging.WARNING)

POLL_SECONDS = 0.5


class TrackingUnavailable(Exception):
    """The tracking server does not answer, or refuses."""


class TrackedRun(NamedTuple):
    """The manifest's `mlflow`."""

    experiment: str
    run_id: str
    model_version: str


class Tracker:
    """Logs trainings, each to the experiment named like its dataset."""

    def __init__(self, tracking_uri: str, ui_url: str, patience: float) -> None:
        """`patience` is how many seconds to wait for the server to answer."""
        mlflow.set_tracking_uri(tracking_uri)
        self._client = MlflowClient(tracking_uri)
        self._uri = tracking_uri
        self._ui_url = ui_url.rstrip("/")
        self._patience = patience

    def log(self, dataset: Dataset, results: list[Result], winner: Result) -> TrackedRun:
        """Log a run for the training, one below it for each candidate, and the winner's model.

        Raises TrackingUnavailable when the server does not answer, or fails half-way.
        """
        self._wait()
        try:
            experiment = self._experiment_id(dataset.name)
            parent = self._log_training(experiment, dataset, winner)
            for result in results:
                self._log_candidate(experiment, result, parent)
            version = self._register(dataset, winner.pipeline, parent)
        except MlflowException as error:
            raise TrackingUnavailable(f"MLflow failed half-way: {_first_line(error)}.") from None
        return TrackedRun(dataset.name, parent, version)

    def close(self, run: TrackedRun | None, model_file: str | None) -> None:
        """End the run; it has failed where no model file came of it."""
        if run is None:
            return
        if model_file:
            self._client.set_tag(run.run_id, "model_file", model_file)
        self._client.set_terminated(run.run_id, "FINISHED" if model_file else "FAILED")

    def address(self, run: TrackedRun) -> str:
        """Of the run's page, as a browser reaches it."""
        experiment = self._experiment_id(run.experiment)
        # Without the parameter the UI opens in its view for language models, with no runs.
        query = "workflowType=machine_learning"
        return f"{self._ui_url}/#/experiments/{experiment}/runs/{run.run_id}?{query}"

    def _wait(self) -> None:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                self._client.search_experiments(max_results=1)
                return
            except MlflowException:
                if time.monotonic() > deadline:
                    message = f"MLflow does not answer at {self._uri}; is the stack running?"
                    raise TrackingUnavailable(message) from None
                time.sleep(POLL_SECONDS)

    def _experiment_id(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self._client.create_experiment(name))

    def _log_training(self, experiment: str, dataset: Dataset, winner: Result) -> str:
        run_id = self._start(experiment, "training", {})
        facts = {"dataset": dataset.name, "rows": len(dataset.X), "estimator": winner.name}
        self._client.log_batch(run_id, _metrics(winner), _params(facts))
        return run_id

    def _log_candidate(self, experiment: str, result: Result, parent: str) -> None:
        run_id = self._start(experiment, result.name, {"mlflow.parentRunId": parent})
        metrics = _metrics(result) + _fold_metrics(result)
        self._client.log_batch(run_id, metrics, _params(read_params(result.pipeline)))
        self._client.set_terminated(run_id)

    def _start(self, experiment: str, name: str, tags: dict[str, str]) -> str:
        tags = {"mlflow.source.name": "metrics.py", "mlflow.source.type": "LOCAL", **tags}
        run = self._client.create_run(experiment, tags=tags, run_name=name)
        return str(run.info.run_id)

    def _register(self, dataset: Dataset, estimator: Pipeline, run_id: str) -> str:
        """Log the fitted pipeline as a model of the run and return its registered version."""
        libraries = library_versions().items()
        with mlflow.start_run(run_id=run_id):
            logged = mlflow.sklearn.log_model(
                estimator,
                name="model",
                signature=infer_signature(dataset.X, estimator.predict(dataset.X)),
                input_example=dataset.X.head(3),
                # Given, or MLflow spends seconds on finding them out.
                pip_requirements=[f"{name}=={v}" for name, v in libraries if name != "python"],
                # We have just made it ourselves.
                skops_trusted_types=skops.io.get_untrusted_types(data=skops.io.dumps(estimator)),
            )
        if not self._client.search_registered_models(f"name = '{dataset.name}'"):
            self._client.create_registered_model(dataset.name)
        version = self._client.create_model_version(
            dataset.name, logged.model_uri, run_id, model_id=logged.model_id
        )
        return str(version.version)


def _metrics(result: Result) -> list[Metric]:
    """Mean and standard deviation over the folds."""
    return [
        _metric(name if statistic == "mean" else f"{name}_{statistic}", value, step=0)
        for name, statistics in result.summary().items()
        for statistic, value in statistics.items()
    ] + [_metric("fit_seconds", float(result.fit_seconds.mean()), step=0)]


def _fold_metrics(result: Result) -> list[Metric]:
    """Each fold is a step, so that MLflow draws a line over the folds."""
    return [
        _metric(f"{name}_by_fold", float(value), step=fold)
        for name, values in result.scores.items()
        for fold, value in enumerate(values)
    ]


def _metric(name: str, value: float, step: int) -> Metric:
    return Metric(name, value, timestamp=time.time_ns() // 10**6, step=step)


def _params(params: dict[str, Any]) -> list[Param]:
    return [Param(name, str(value)) for name, value in params.items()]


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
