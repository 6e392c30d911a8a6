import time
from dataclasses import replace
from types import SimpleNamespace

import mlflow
import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from servers import running_mute

from errors import TrackingUnavailable
from runs.tracker import Tracker

TAGS = {"model_file": "model_2026_11_21_T20_44_20.pkl", "sha256": "0" * 64}


def log(run, server, tags=TAGS):
    tracker = Tracker(server, server, patience=0)
    tracked = tracker.log(run)
    run.tags = dict(tags)
    tracker.close(run)
    return tracked


@pytest.fixture(scope="module")
def tracked(training, tracking_server):
    """What the manifest says of a training logged to a real server."""
    mlflow.set_tracking_uri(tracking_server.url)
    run = training.make_run()
    run.files["comparison.png"] = b"an image"
    return SimpleNamespace(**log(run, tracking_server.url))


def children(run_id):
    client = MlflowClient()
    experiment = client.get_run(run_id).info.experiment_id
    found = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{run_id}'")
    return {child.info.run_name: child for child in found}


def test_the_training_is_a_finished_run_that_names_its_file(tracked, training):
    run = MlflowClient().get_run(tracked.run_id)

    assert run.info.status == "FINISHED"
    assert TAGS.items() <= run.data.tags.items()
    assert run.data.params["estimator"] == "LogisticRegression"
    assert run.data.metrics["log_loss"] == pytest.approx(training.winner.mean("log_loss"))
    assert run.data.metrics["brier_standard_error"] > 0


def test_the_run_has_the_dataset_with_digest_and_schema(tracked, training):
    [given] = MlflowClient().get_run(tracked.run_id).inputs.dataset_inputs

    assert given.dataset.name == "iris"
    assert training.dataset.sha256.startswith(given.dataset.digest)
    assert "sepal_length" in given.dataset.schema


def test_the_comparison_is_a_table_of_the_run(tracked):
    client, run_id = MlflowClient(), tracked.run_id
    experiment = client.get_run(run_id).info.experiment_id
    table = client.load_table(experiment, "comparison.json", run_ids=[run_id])

    assert table["candidate"].tolist() == ["GaussianNB", "LogisticRegression"]
    assert (table["log_loss_standard_error"] > 0).all()
    names = {file.path for file in client.list_artifacts(run_id)}
    assert {"comparison.json", "comparison.png"} <= names


def test_each_candidate_is_a_run_with_parameters_metrics_and_a_step_for_each_fold(
    tracked, training
):
    runs = children(tracked.run_id)

    assert set(runs) == {"LogisticRegression", "GaussianNB"}
    assert runs["LogisticRegression"].data.params["max_iter"] == "1000"
    bayes = training.comparison.results[0]
    run = runs["GaussianNB"]
    assert run.data.metrics["log_loss"] == pytest.approx(bayes.mean("log_loss"))
    assert run.data.metrics["fit_seconds"] > 0
    history = MlflowClient().get_metric_history(run.info.run_id, "log_loss_by_fold")
    assert [metric.step for metric in history] == list(range(10))
    assert [metric.value for metric in history] == pytest.approx(list(bayes.by_fold("log_loss")))


def test_a_candidate_that_failed_is_a_failed_run_that_says_why(training_run, server):
    training_run.candidates.append(
        training_run.candidates[0]._replace(name="Broken", failure="no room")
    )

    broken = children(log(training_run, server)["run_id"])["Broken"]

    assert broken.info.status == "FAILED"
    assert broken.data.tags["failure"] == "no room"


@pytest.mark.usefixtures("tracked")
def test_champion_and_challenger_are_registered_and_answer_alike(training):
    X = training.dataset.X
    models = zip(("champion", "challenger"), training.models, strict=True)

    for alias, model in models:
        loaded = mlflow.sklearn.load_model(f"models:/iris@{alias}")
        np.testing.assert_array_equal(loaded.predict_proba(X), model.pipeline.predict_proba(X))


def test_the_model_has_a_signature_and_an_example(tracked, training):
    info = mlflow.models.get_model_info(f"models:/iris/{tracked.model_version}")

    assert info.signature.inputs.input_names() == list(training.dataset.X.columns)
    assert info.saved_input_example_info is not None


def test_a_training_sent_late_does_not_take_a_newer_champions_place(training_run, server):
    older = replace(training_run)
    champion = log(training_run, server, {**TAGS, "model_file": "model_2026_11_22_T00_00_00.pkl"})

    log(older, server)

    aliases = MlflowClient().get_registered_model(training_run.name).aliases
    assert aliases["champion"] == champion["model_version"]


def test_a_server_that_hangs_is_given_up(training_run):
    with running_mute() as url:
        started = time.monotonic()
        with pytest.raises(TrackingUnavailable, match="does not answer"):
            Tracker(url, "", patience=1).log(training_run)

    assert time.monotonic() - started < 30  # a promise of 5 s, on a machine that is busy
