import mlflow
import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from processes import running_mlflow

from tracking import Tracker, TrackingUnavailable


@pytest.fixture(scope="module")
def server(published, tmp_path_factory):
    with running_mlflow(published.models_dir, tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture
def tracked(training, server):
    """A training logged to a real server."""
    tracker = Tracker(server, server, patience=0)
    run = tracker.log(training.dataset, training.results, training.winner)
    tracker.close(run, model_file="model_2026_11_21_T20_44_20.pkl")
    return run


def children(run):
    client = MlflowClient()
    experiment = client.get_experiment_by_name("iris").experiment_id
    found = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{run.run_id}'")
    return {child.info.run_name: child for child in found}


def test_the_training_is_a_finished_run_that_names_its_file(tracked):
    run = MlflowClient().get_run(tracked.run_id)

    assert run.info.status == "FINISHED"
    assert run.data.tags["model_file"] == "model_2026_11_21_T20_44_20.pkl"
    assert run.data.params["rows"] == "150"


def test_each_candidate_is_a_run_with_parameters_and_metrics(tracked, training):
    runs = children(tracked)

    assert set(runs) == {"LogisticRegression", "GaussianNB"}
    logistic = runs["LogisticRegression"].data
    assert logistic.params["max_iter"] == "1000"
    [compared] = [r for r in training.results if r.name == "LogisticRegression"]
    assert logistic.metrics["log_loss"] == pytest.approx(compared.scores["log_loss"].mean())


def test_each_fold_is_a_step(tracked, training):
    run = children(tracked)["GaussianNB"]

    history = MlflowClient().get_metric_history(run.info.run_id, "accuracy_by_fold")

    [compared] = [r for r in training.results if r.name == "GaussianNB"]
    assert [metric.step for metric in history] == list(range(15))
    assert [metric.value for metric in history] == pytest.approx(list(compared.scores["accuracy"]))


def test_the_winner_is_a_registered_model_that_answers_alike(tracked, training):
    model = mlflow.sklearn.load_model(f"models:/iris/{tracked.model_version}")

    X = training.dataset.X
    expected = training.winner.pipeline.predict_proba(X)
    np.testing.assert_array_equal(model.predict_proba(X), expected)


def test_the_model_has_a_signature_and_an_example(tracked, training):
    info = mlflow.models.get_model_info(f"models:/iris/{tracked.model_version}")

    assert info.signature.inputs.input_names() == list(training.dataset.X.columns)
    assert info.saved_input_example_info is not None


def test_a_second_training_is_the_next_version(tracked, training, server):
    second = Tracker(server, server, patience=0).log(
        training.dataset, training.results, training.winner
    )

    assert int(second.model_version) == int(tracked.model_version) + 1
    assert second.experiment == tracked.experiment


def test_a_training_that_published_nothing_has_failed(tracked, server):
    Tracker(server, server, patience=0).close(tracked, model_file=None)

    assert MlflowClient().get_run(tracked.run_id).info.status == "FAILED"


def test_a_server_that_is_away_is_said(training):
    tracker = Tracker("http://127.0.0.1:9", "", patience=0)

    with pytest.raises(TrackingUnavailable, match=r"MLflow does not answer at http://127.0.0.1:9"):
        tracker.log(training.dataset, training.results, training.winner)
