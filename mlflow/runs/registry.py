"""Registers models with MLflow, under the name of their table."""

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, NamedTuple

import joblib
import mlflow
import pandas as pd
import skops.io
from mlflow.entities import RunInfo
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.tracking import MlflowClient

from runs.training_run import TrainingRun


class Uploaded(NamedTuple):
    """The place of a model; `model_id` is there if it is one of the server's logged models."""

    source: str
    model_id: str | None


class Registry:
    """The versions of a run's models; whatever fails raises MlflowException."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client

    def register(self, run_id: str, run: TrainingRun) -> list[str]:
        """Log the models to the run with this id, and return their versions."""
        self._create(run.name)
        info = self._client.get_run(run_id).info
        upload = self._log if self._has_logged_models(info.experiment_id) else self._copy
        versions = []
        for estimator, pickled in run.models.items():
            source, model_id = upload(info, estimator, _describe_model(run, pickled))
            made = self._client.create_model_version(
                run.name, source, run_id, {"estimator": estimator}, model_id=model_id
            )
            versions.append(str(made.version))
        return versions

    def label(self, run: TrainingRun) -> None:
        """Tag the winner's version with its file, and give the versions their aliases."""
        for name, value in run.tags.items():
            self._client.set_model_version_tag(run.name, run.versions[0], name, value)
        for alias, version in self._choose_aliases(run).items():
            with where_supported():
                self._client.set_registered_model_alias(run.name, alias, version)

    def _create(self, name: str) -> None:
        """Not looked for before: Azure Machine Learning refuses how MLflow 3 asks."""
        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"):
                raise

    def _has_logged_models(self, experiment: str) -> bool:
        """Azure Machine Learning has none; a model logged there would end its run as failed."""
        with where_supported():
            self._client.search_logged_models([experiment], max_results=1)
            return True
        return False

    def _log(self, info: RunInfo, estimator: str, model: dict[str, Any]) -> Uploaded:
        with mlflow.start_run(run_id=info.run_id):
            logged = mlflow.sklearn.log_model(name=estimator, **model)
        return Uploaded(logged.model_uri, logged.model_id)

    def _copy(self, info: RunInfo, estimator: str, model: dict[str, Any]) -> Uploaded:
        """As artifacts of the run."""
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/model"
            mlflow.sklearn.save_model(path=path, **model)
            self._client.log_artifacts(info.run_id, path, estimator)
        return Uploaded(f"{info.artifact_uri}/{estimator}", None)

    def _choose_aliases(self, run: TrainingRun) -> dict[str, str]:
        """The winner is the champion once it is live, and a challenger if it is not."""
        if "model_file" not in run.tags:
            return {"challenger": run.versions[0]}
        if self._has_newer_champion(run):
            return {}
        return dict(zip(["champion", "challenger"], run.versions, strict=False))

    def _has_newer_champion(self, run: TrainingRun) -> bool:
        """As when a run is sent after a later training's."""
        try:
            champion = self._client.get_model_version_by_alias(run.name, "champion")
        except MlflowException:
            return False
        return bool(champion.tags.get("model_file", "") > run.tags["model_file"])


@contextmanager
def where_supported() -> Iterator[None]:
    """End the block without an error if the server has no such route, and can do without."""
    try:
        yield
    except MlflowException as error:
        status: int = error.get_http_status_code()  # type: ignore[no-untyped-call]
        if status != HTTPStatus.NOT_FOUND and "error code 404" not in str(error):
            raise


def _describe_model(run: TrainingRun, pickled: bytes) -> dict[str, Any]:
    """What MLflow saves a model with."""
    pipeline = joblib.load(io.BytesIO(pickled))
    requirements = [f"{name}=={v}" for name, v in run.libraries.items() if name != "python"]
    return {
        "sk_model": pipeline,
        "signature": ModelSignature.from_dict(run.signature),
        "input_example": pd.DataFrame(run.example["values"]).astype(run.example["types"]),
        # Given, or MLflow spends seconds on finding them out.
        "pip_requirements": requirements,
        # We have just made it ourselves.
        "skops_trusted_types": skops.io.get_untrusted_types(data=skops.io.dumps(pipeline)),
    }
