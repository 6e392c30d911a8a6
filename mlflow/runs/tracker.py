"""Tells MLflow of trainings."""

import logging
import os
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Dataset, DatasetInput, LifecycleStage, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from errors import RunNotTaken, TrackingUnavailable, hide_secrets
from runs.registry import Registry, where_supported
from runs.training_run import CandidateRun, TrainingRun

# Without these a client waits and retries for minutes when the server is away.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "4")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # there is no git in the image
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

# It says "waiting up to 300 seconds" of what takes none.
logging.getLogger("mlflow").setLevel(logging.ERROR)

SECONDS_TO_ANSWER = 1.0
SECONDS_TO_START = 120.0  # the server and the first training start at the same time
POLL_SECONDS = 0.5
REFUSALS = {"UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED", "PERMISSION_DENIED"}
MAX_TAG = 1000  # characters, the least that a service takes

_TABLES = '[{"path": "comparison.json", "type": "table"}]'


class Tracker:
    """Logs trainings, each to the experiment named like its dataset."""

    def __init__(self, tracking_uri: str, ui_url: str, patience: float) -> None:
        """`patience` is how many seconds to wait for the server to answer.

        Raises TrackingUnavailable if nothing that is installed takes the address.
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

    def log(self, run: TrainingRun) -> dict[str, str]:
        """Log a run for the training, one below it for each candidate, and the models.

        Returns the manifest's `mlflow`. Raises TrackingUnavailable if the server does not answer.
        Raises RunNotTaken if it fails half-way; the next attempt deletes the run that was begun.
        """
        self._wait()
        with _failing_half_way():
            experiment = run.experiment_id = self._experiment_id(run.name)
            if run.run_id:
                with where_supported():  # or it is gone
                    self._client.delete_run(run.run_id)
            run.run_id = self._start(experiment, "training", run.started_at, {})
            self._log_training(run.run_id, run)
            for candidate in run.candidates:
                self._log_candidate(experiment, run, candidate)
            run.versions = self._registry.register(run.run_id, run)
        return {"experiment": run.name, "run_id": run.run_id, "model_version": run.versions[0]}

    def close(self, run: TrainingRun) -> None:
        """End the run with its tags, and label its models; raises RunNotTaken."""
        with _failing_half_way():
            self._experiment_id(run.name)  # or a run that was kept may lie in a deleted one
            if run.tags:
                self._registry.label(run)
            tags = [RunTag(name, value) for name, value in run.tags.items()]
            self._client.log_batch(run.run_id, tags=tags)
            self._client.set_terminated(run.run_id, "FINISHED" if run.tags else "FAILED")

    def address(self, run: TrainingRun) -> str:
        """The run's page, as a browser reaches it."""
        if not self._ui_url.startswith("http"):
            return f"run {run.run_id} of experiment {run.name}"
        # Without the parameter the UI opens in its view for language models, with no runs.
        page = f"runs/{run.run_id}?workflowType=machine_learning"
        return f"{self._ui_url}/#/experiments/{run.experiment_id}/{page}"

    def _wait(self) -> None:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                self._client.search_experiments(max_results=1)
                return
            except MlflowException as error:
                if error.error_code in REFUSALS:
                    raise TrackingUnavailable(_explain_refusal(self._uri, error)) from None
                if time.monotonic() > deadline:
                    message = f"MLflow does not answer at {self._uri}; is the stack running?"
                    raise TrackingUnavailable(message) from None
                time.sleep(POLL_SECONDS)
            except Exception as error:  # a plug-in can raise anything
                message = f"MLflow at {self._uri} cannot be used: {_first_line(error)}"
                raise TrackingUnavailable(message) from None

    def _experiment_id(self, name: str) -> str:
        """The experiment's id; it is made if there is none, and restored if it was deleted."""
        found = self._client.get_experiment_by_name(name)
        if found is None:
            return str(self._client.create_experiment(name))
        if found.lifecycle_stage == LifecycleStage.DELETED:
            self._client.restore_experiment(found.experiment_id)
            print(f"Restored the experiment {name}, which was deleted in MLflow.", flush=True)
        return str(found.experiment_id)

    def _start(self, experiment: str, name: str, started_at: int, tags: dict[str, str]) -> str:
        tags = {"mlflow.source.name": "metrics.py", "mlflow.source.type": "LOCAL", **tags}
        begun = self._client.create_run(experiment, started_at, tags, run_name=name)
        return str(begun.info.run_id)

    def _log_training(self, run_id: str, run: TrainingRun) -> None:
        tables = [RunTag("mlflow.loggedArtifacts", _TABLES)]
        self._client.log_batch(run_id, _list_metrics(run.metrics), _list_params(run.params), tables)
        with where_supported():
            self._client.log_inputs(run_id, [DatasetInput(Dataset(**run.dataset))])
        with tempfile.TemporaryDirectory() as folder:
            for name, content in run.files.items():
                (Path(folder) / name).write_bytes(content)
            self._client.log_artifacts(run_id, folder)

    def _log_candidate(self, experiment: str, run: TrainingRun, candidate: CandidateRun) -> None:
        tags = {"mlflow.parentRunId": run.run_id}
        if candidate.failure:
            tags["failure"] = candidate.failure[:MAX_TAG]
        run_id = self._start(experiment, candidate.name, run.started_at, tags)
        metrics = _list_metrics(candidate.metrics)
        # Each fold is a step, so that MLflow draws a line over the folds.
        for name, values in candidate.by_fold.items():
            for fold, value in enumerate(values):
                metrics += _list_metrics({f"{name}_by_fold": value}, step=fold)
        self._client.log_batch(run_id, metrics, _list_params(candidate.params))
        self._client.set_terminated(run_id, "FAILED" if candidate.failure else "FINISHED")


def connect(arguments: Namespace) -> Tracker:
    """Raises TrackingUnavailable, as Tracker does."""
    patience = SECONDS_TO_START if arguments.first else SECONDS_TO_ANSWER
    return Tracker(arguments.tracking_uri, arguments.ui_url, patience)


@contextmanager
def _failing_half_way() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a plug-in can raise anything, and no training is lost for it
        raise RunNotTaken(_explain_failure(error)) from None


def _explain_failure(error: Exception) -> str:
    """The server answers 500 without a word if the storage behind it fails."""
    said = f"MLflow failed half-way: {_first_line(error)}"
    if "/mlflow-artifacts/" not in str(error):
        return said
    return (
        f"{said} Its server cannot keep files, and its log says why: see that "
        "MLFLOW_ARTIFACTS_DESTINATION is there, in reach, and that its key may write."
    )


def _explain_refusal(uri: str, error: MlflowException) -> str:
    return (
        f"MLflow at {uri} refuses. {_first_line(error)} Where it wants a login, set "
        "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".") + "."


def _list_metrics(metrics: dict[str, float], step: int = 0) -> list[Metric]:
    now = time.time_ns() // 10**6
    return [Metric(name, value, now, step) for name, value in metrics.items()]


def _list_params(params: dict[str, Any]) -> list[Param]:
    return [Param(name, str(value)) for name, value in params.items()]
