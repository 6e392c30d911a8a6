"""Tells MLflow of trainings."""

import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import mlflow
from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from addresses import hide_secrets
from errors import CommandFailed
from runs.record import CandidateRun, Record
from runs.registry import Registry, where_supported

# Without these a client waits and retries for minutes when the server is away.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "4")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # there is no git in the image
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

# It says "waiting up to 300 seconds" of what takes none.
logging.getLogger("mlflow").setLevel(logging.ERROR)

POLL_SECONDS = 0.5
REFUSALS = {"UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED", "PERMISSION_DENIED"}
MAX_TAG = 1000  # characters, the least that a service takes

_TABLES = '[{"path": "comparison.json", "type": "table"}]'


class TrackingUnavailable(CommandFailed):
    """The tracking server does not answer, or refuses."""


class TrackedRun(NamedTuple):
    """The manifest's `mlflow`."""

    experiment: str
    run_id: str
    model_version: str


class Tracker:
    """Logs trainings, each to the experiment named like its dataset."""

    def __init__(self, tracking_uri: str, ui_url: str, patience: float) -> None:
        """`patience` is how many seconds to wait for the server to answer.

        Raises TrackingUnavailable where nothing that is installed takes the address.
        """
        mlflow.set_tracking_uri(tracking_uri)
        self._uri = hide_secrets(tracking_uri)
        try:
            self._client = MlflowClient(tracking_uri)
        except Exception:  # a plug-in can raise anything
            advice = "azureml:// needs mlflow/requirements-azure.txt and the whole address"
            message = f"MLFLOW_TRACKING_URI {self._uri} cannot be used; {advice}."
            raise TrackingUnavailable(message) from None
        self._registry = Registry(self._client)
        self._ui_url = ui_url.rstrip("/")
        self._patience = patience

    def log(self, record: Record) -> TrackedRun:
        """Log a run for the training, one below it for each candidate, and the models.

        Raises TrackingUnavailable when the server does not answer, or fails half-way; the run it
        has begun is then the record's unfinished one, which the next attempt takes away.
        """
        self._wait()
        with _failing_as_unavailable():
            experiment = record.experiment_id = self._experiment_id(record.name)
            if record.unfinished_run_id:
                with where_supported():  # or it is gone
                    self._client.delete_run(record.unfinished_run_id)
            run_id = self._start(experiment, "training", record.started_at, {})
            record.unfinished_run_id = run_id
            self._log_training(run_id, record)
            for candidate in record.candidates:
                self._log_candidate(experiment, run_id, record.started_at, candidate)
            record.versions = self._registry.register(run_id, record)
        record.run_id, record.unfinished_run_id = run_id, None
        return TrackedRun(record.name, run_id, record.versions[0])

    def close(self, record: Record) -> None:
        """End the run with its tags, and label its models; raises TrackingUnavailable."""
        if record.run_id is None:
            return
        with _failing_as_unavailable():
            if record.tags:
                self._registry.label(record)
            self._client.log_batch(record.run_id, tags=[RunTag(*it) for it in record.tags.items()])
            self._client.set_terminated(record.run_id, "FINISHED" if record.tags else "FAILED")

    def address(self, record: Record) -> str:
        """Of the run's page, as a browser reaches it."""
        if not self._ui_url.startswith("http"):
            return f"run {record.run_id} of experiment {record.name}"
        # Without the parameter the UI opens in its view for language models, with no runs.
        page = f"runs/{record.run_id}?workflowType=machine_learning"
        return f"{self._ui_url}/#/experiments/{record.experiment_id}/{page}"

    def _wait(self) -> None:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                self._client.search_experiments(max_results=1)
                return
            except MlflowException as error:
                if error.error_code in REFUSALS:
                    raise TrackingUnavailable(_describe_refusal(self._uri, error)) from None
                if time.monotonic() > deadline:
                    message = f"MLflow does not answer at {self._uri}; is the stack running?"
                    raise TrackingUnavailable(message) from None
                time.sleep(POLL_SECONDS)
            except Exception as error:  # a plug-in can raise anything
                message = f"MLflow at {self._uri} cannot be used: {_first_line(error)}"
                raise TrackingUnavailable(message) from None

    def _experiment_id(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self._client.create_experiment(name))

    def _start(self, experiment: str, name: str, started_at: int, tags: dict[str, str]) -> str:
        tags = {"mlflow.source.name": "metrics.py", "mlflow.source.type": "LOCAL", **tags}
        run = self._client.create_run(experiment, started_at, tags, run_name=name)
        return str(run.info.run_id)

    def _log_training(self, run_id: str, record: Record) -> None:
        tables = [RunTag("mlflow.loggedArtifacts", _TABLES)]
        self._client.log_batch(run_id, _metrics(record.metrics), _params(record.params), tables)
        with where_supported():
            self._client.log_inputs(run_id, [DatasetInput(Dataset(**record.dataset))])
        with tempfile.TemporaryDirectory() as folder:
            for name, content in record.files.items():
                (Path(folder) / name).write_bytes(content)
            self._client.log_artifacts(run_id, folder)

    def _log_candidate(
        self, experiment: str, parent: str, started_at: int, candidate: CandidateRun
    ) -> None:
        tags = {"mlflow.parentRunId": parent}
        if candidate.failure:
            tags["failure"] = candidate.failure[:MAX_TAG]
        run_id = self._start(experiment, candidate.name, started_at, tags)
        metrics = _metrics(candidate.metrics) + _fold_metrics(candidate)
        self._client.log_batch(run_id, metrics, _params(candidate.params))
        self._client.set_terminated(run_id, "FAILED" if candidate.failure else "FINISHED")


@contextmanager
def _failing_as_unavailable() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a plug-in can raise anything, and no training is lost for it
        raise TrackingUnavailable(_describe_failure(error)) from None


def _describe_failure(error: Exception) -> str:
    """The server answers 500 without a word where the storage behind it fails."""
    said = f"MLflow failed half-way: {_first_line(error)}"
    if "/mlflow-artifacts/" not in str(error):
        return said
    return (
        f"{said} Its server cannot keep files, and its log says why: see that "
        "MLFLOW_ARTIFACTS_DESTINATION is there, in reach, and that its key may write."
    )


def _describe_refusal(uri: str, error: MlflowException) -> str:
    return (
        f"MLflow at {uri} refuses. {_first_line(error)} Where it wants a login, set "
        "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".") + "."


def _metrics(metrics: dict[str, float]) -> list[Metric]:
    return [_metric(name, value, step=0) for name, value in metrics.items()]


def _fold_metrics(candidate: CandidateRun) -> list[Metric]:
    """Each fold is a step, so that MLflow draws a line over the folds."""
    return [
        _metric(f"{name}_by_fold", value, step=fold)
        for name, values in candidate.by_fold.items()
        for fold, value in enumerate(values)
    ]


def _metric(name: str, value: float, step: int) -> Metric:
    return Metric(name, value, timestamp=time.time_ns() // 10**6, step=step)


def _params(params: dict[str, Any]) -> list[Param]:
    return [Param(name, str(value)) for name, value in params.items()]
