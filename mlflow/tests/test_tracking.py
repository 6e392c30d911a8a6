import time
from types import SimpleNamespace

import mlflow
import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from servers import running_mute, running_proxy

from tracking import Tracker, TrackingUnavailable

TAGS = {"model_file": "model_2026_11_21_T20_44_20.pkl", "sha256": "0" * 64}


def log(record, server, tags=TAGS):
    tracker = Tracker(server, server, patience=0)
    run = tracker.log(record)
    record.tags, record.published = dict(tags), True
    tracker.close(record)
    return run


def make_small(training, name):
    """A record of one model and one candidate, which takes less time to send."""
    record = training.record()
    record.name = name
    record.models, record.candidates = record.models[:1], record.candidates[:1]
    return record


@pytest.fixture(scope="module")
def logged(training, tracking_server):
    record = training.record()
    record.files["comparison.png"] = b"an image"
    return SimpleNamespace(run=log(record, tracking_server.url), record=record)


@pytest.fixture
def tracked(logged, server):  # noqa: ARG001  # which MLflow's functions ask
    """A training logged to a real server, with its run and its record."""
    return logged


def children(run):
    client = MlflowClient()
    experiment = client.get_experiment_by_name(run.experiment).experiment_id
    found = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{run.run_id}'")
    return {child.info.run_name: child for child in found}


def test_the_training_is_a_finished_run_that_names_its_file(tracked, training):
    run = MlflowClient().get_run(tracked.run.run_id)

    assert run.info.status == "FINISHED"
    assert TAGS.items() <= run.data.tags.items()
    assert run.data.params["estimator"] == "LogisticRegression"
    assert run.data.metrics["log_loss"] == pytest.approx(training.winner.mean("log_loss"))
    assert run.data.metrics["brier_standard_error"] > 0


def test_the_run_has_the_dataset_with_digest_and_schema(tracked, training):
    [given] = MlflowClient().get_run(tracked.run.run_id).inputs.dataset_inputs

    assert given.dataset.name == "iris"
    assert training.dataset.sha256.startswith(given.dataset.digest)
    assert "sepal_length" in given.dataset.schema


def test_the_comparison_is_a_table_of_the_run(tracked):
    client, run_id = MlflowClient(), tracked.run.run_id
    experiment = client.get_run(run_id).info.experiment_id
    table = client.load_table(experiment, "comparison.json", run_ids=[run_id])

    assert table["candidate"].tolist() == ["GaussianNB", "LogisticRegression"]
    assert (table["log_loss_standard_error"] > 0).all()
    names = {it.path for it in client.list_artifacts(run_id)}
    assert {"comparison.json", "comparison.png"} <= names


def test_each_candidate_is_a_run_with_parameters_metrics_and_a_step_for_each_fold(
    tracked, training
):
    runs = children(tracked.run)

    assert set(runs) == {"LogisticRegression", "GaussianNB"}
    assert runs["LogisticRegression"].data.params["max_iter"] == "1000"
    bayes = training.outcome.results[0]
    run = runs["GaussianNB"]
    assert run.data.metrics["log_loss"] == pytest.approx(bayes.mean("log_loss"))
    assert run.data.metrics["fit_seconds"] > 0
    history = MlflowClient().get_metric_history(run.info.run_id, "log_loss_by_fold")
    assert [metric.step for metric in history] == list(range(10))
    assert [it.value for it in history] == pytest.approx(list(bayes.by_fold("log_loss")))


def test_a_candidate_that_failed_is_a_failed_run_that_says_why(training, server):
    record = make_small(training, "failed")
    record.candidates.append(record.candidates[0]._replace(name="Broken", failure="no room"))

    run = children(log(record, server))["Broken"]

    assert run.info.status == "FAILED"
    assert run.data.tags["failure"] == "no room"


def test_champion_and_challenger_are_registered_and_answer_alike(tracked, training):
    X = training.dataset.X
    models = zip(("champion", "challenger"), tracked.record.models, strict=True)

    for alias, model in models:
        loaded = mlflow.sklearn.load_model(f"models:/iris@{alias}")
        np.testing.assert_array_equal(loaded.predict_proba(X), model.pipeline.predict_proba(X))


def test_the_registered_version_leads_to_run_and_file(tracked):
    version = MlflowClient().get_model_version("iris", tracked.run.model_version)

    assert version.run_id == tracked.run.run_id
    assert TAGS.items() <= version.tags.items()


def test_the_model_has_a_signature_and_an_example(tracked, training):
    info = mlflow.models.get_model_info(f"models:/iris/{tracked.run.model_version}")

    assert info.signature.inputs.input_names() == list(training.dataset.X.columns)
    assert info.saved_input_example_info is not None


def test_a_model_that_did_not_go_live_is_a_challenger(training, server):
    record = make_small(training, "other")
    tracker = Tracker(server, server, patience=0)
    run = tracker.log(record)
    record.tags = {"not_published": "worse than the live model"}

    tracker.close(record)

    aliases = MlflowClient().get_registered_model("other").aliases
    assert aliases == {"challenger": run.model_version}


def test_a_training_sent_late_does_not_take_a_newer_champions_place(training, server):
    newer, older = make_small(training, "late"), make_small(training, "late")
    champion = log(newer, server, {**TAGS, "model_file": "model_2026_11_22_T00_00_00.pkl"})

    log(older, server)

    aliases = MlflowClient().get_registered_model("late").aliases
    assert aliases["champion"] == champion.model_version


def test_a_training_that_published_nothing_has_failed(training, server):
    record = make_small(training, "nothing")
    tracker = Tracker(server, server, patience=0)
    tracker.log(record)

    tracker.close(record)

    assert MlflowClient().get_run(record.run_id).info.status == "FAILED"


def test_what_failed_half_way_is_taken_away_when_it_is_sent_again(training, server):
    record = make_small(training, "half way")
    with (
        running_proxy(server, refusing="/registered-models", status=500) as (url, refused),
        pytest.raises(TrackingUnavailable, match="failed half-way"),
    ):
        Tracker(url, url, patience=0).log(record)
    begun = record.unfinished_run_id

    Tracker(server, server, patience=0).log(record)

    assert refused
    assert MlflowClient().get_run(begun).info.lifecycle_stage == "deleted"
    assert MlflowClient().get_run(record.run_id).info.lifecycle_stage == "active"


def test_a_server_that_is_away_is_said(training):
    tracker = Tracker("http://127.0.0.1:9", "", patience=0)

    with pytest.raises(TrackingUnavailable, match=r"MLflow does not answer at http://127.0.0.1:9"):
        tracker.log(training.record())


def test_a_server_that_hangs_is_given_up(training):
    with running_mute() as url:
        tracker = Tracker(url, "", patience=1)
        started = time.monotonic()
        with pytest.raises(TrackingUnavailable, match="does not answer"):
            tracker.log(training.record())

    assert time.monotonic() - started < 30  # a promise of 5 s, on a machine that is busy


def test_a_server_without_logged_models_gets_them_as_artifacts(training, server):
    """As Azure Machine Learning is."""
    record = make_small(training, "azure")
    with running_proxy(server, refusing="/logged-models", status=404) as (url, refused):
        run = log(record, url)
        model = mlflow.sklearn.load_model("models:/azure@champion")

    assert refused
    X = training.dataset.X
    expected = record.models[0].pipeline.predict_proba(X)
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    version = MlflowClient(server).get_model_version("azure", run.model_version)
    assert version.run_id == run.run_id
