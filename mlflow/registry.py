"""Registers models with MLflow, under the name of their table."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import mlflow
import skops.io
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from publishing import library_versions
from records import Model, Record


class Registry:
    """The versions of a record's models; whatever fails raises MlflowException."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client

    def register(self, run_id: str, record: Record) -> list[str]:
        """Log the record's models to the run and return their versions."""
        if not self._client.search_registered_models(f"name = '{record.name}'"):
            self._client.create_registered_model(record.name)
        return [self._register(run_id, record, model) for model in record.models]

    def label(self, record: Record) -> None:
        """Tag the winner's version with its file, and give the versions their aliases."""
        for name, value in record.tags.items():
            self._client.set_model_version_tag(record.name, record.versions[0], name, value)
        for alias, version in self._aliases(record).items():
            with where_supported():
                self._client.set_registered_model_alias(record.name, alias, version)

    def _register(self, run_id: str, record: Record, model: Model) -> str:
        source, model_id = self._upload(run_id, record, model)
        tags = {"estimator": model.estimator}
        version = self._client.create_model_version(
            record.name, source, run_id, tags, model_id=model_id
        )
        return str(version.version)

    def _upload(self, run_id: str, record: Record, model: Model) -> tuple[str, str | None]:
        """Where the model is, and its id where the server has logged models.

        Azure Machine Learning has none: there it goes up as artifacts of the run.
        """
        options = _describe(record, model)
        try:
            with mlflow.start_run(run_id=run_id):
                logged = mlflow.sklearn.log_model(model.pipeline, name=model.estimator, **options)
        except MlflowException as error:
            if not _is_not_found(error):
                raise
        else:
            return logged.model_uri, logged.model_id
        with tempfile.TemporaryDirectory() as folder:
            mlflow.sklearn.save_model(model.pipeline, f"{folder}/model", **options)
            self._client.log_artifacts(run_id, f"{folder}/model", model.estimator)
        return f"{self._client.get_run(run_id).info.artifact_uri}/{model.estimator}", None

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
