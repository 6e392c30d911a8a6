"""Registers models with MLflow, under the name of their table."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, NamedTuple

import mlflow
import skops.io
from mlflow.entities import RunInfo
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from publishing.publisher import library_versions
from runs.record import Model, Record


class Uploaded(NamedTuple):
    """Where a model is, with its id where it is one of the server's logged models."""

    source: str
    model_id: str | None


class Registry:
    """The versions of a record's models; whatever fails raises MlflowException."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client

    def register(self, run_id: str, record: Record) -> list[str]:
        """Log the record's models to the run and return their versions."""
        self._create(record.name)
        run = self._client.get_run(run_id).info
        upload = self._log if self._has_logged_models(run.experiment_id) else self._copy
        return [self._register(upload(run, record, it), run_id, record, it) for it in record.models]

    def label(self, record: Record) -> None:
        """Tag the winner's version with its file, and give the versions their aliases."""
        for name, value in record.tags.items():
            self._client.set_model_version_tag(record.name, record.versions[0], name, value)
        for alias, version in self._aliases(record).items():
            with where_supported():
                self._client.set_registered_model_alias(record.name, alias, version)

    def _create(self, name: str) -> None:
        """Not looked for before: Azure Machine Learning refuses how MLflow 3 asks."""
        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"):
                raise

    def _has_logged_models(self, experiment: str) -> bool:
        """Azure Machine Learning has none; a model logged there would end its run as failed."""
        try:
            self._client.search_logged_models([experiment], max_results=1)
        except MlflowException as error:
            if not _is_not_found(error):
                raise
            return False
        return True

    def _register(self, uploaded: Uploaded, run_id: str, record: Record, model: Model) -> str:
        tags = {"estimator": model.estimator}
        version = self._client.create_model_version(
            record.name, uploaded.source, run_id, tags, model_id=uploaded.model_id
        )
        return str(version.version)

    def _log(self, run: RunInfo, record: Record, model: Model) -> Uploaded:
        options = _describe(record, model)
        with mlflow.start_run(run_id=run.run_id):
            logged = mlflow.sklearn.log_model(model.pipeline, name=model.estimator, **options)
        return Uploaded(logged.model_uri, logged.model_id)

    def _copy(self, run: RunInfo, record: Record, model: Model) -> Uploaded:
        """As artifacts of the run."""
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/model"
            mlflow.sklearn.save_model(model.pipeline, path, **_describe(record, model))
            self._client.log_artifacts(run.run_id, path, model.estimator)
        return Uploaded(f"{run.artifact_uri}/{model.estimator}", None)

    def _aliases(self, record: Record) -> dict[str, str]:
        """The winner is the champion once it is live, and a challenger where it is not."""
        if not record.published:
            return {"challenger": record.versions[0]}
        if self._has_newer_champion(record):
            return {}
        return dict(zip(["champion", "challenger"], record.versions, strict=False))

    def _has_newer_champion(self, record: Record) -> bool:
        """As when a record is sent after a later training's."""
        try:
            champion = self._client.get_model_version_by_alias(record.name, "champion")
        except MlflowException:
            return False
        return bool(champion.tags.get("model_file", "") > record.tags["model_file"])


@contextmanager
def where_supported() -> Iterator[None]:
    """What a server without these routes can do without."""
    try:
        yield
    except MlflowException as error:
        if not _is_not_found(error):
            raise


def _is_not_found(error: MlflowException) -> bool:
    status: int = error.get_http_status_code()  # type: ignore[no-untyped-call]
    return status == HTTPStatus.NOT_FOUND or "error code 404" in str(error)


def _describe(record: Record, model: Model) -> dict[str, Any]:
    libraries = library_versions().items()
    return {
        "signature": record.signature,
        "input_example": record.example,
        # Given, or MLflow spends seconds on finding them out.
        "pip_requirements": [f"{name}=={v}" for name, v in libraries if name != "python"],
        # We have just made it ourselves.
        "skops_trusted_types": skops.io.get_untrusted_types(data=skops.io.dumps(model.pipeline)),
    }
