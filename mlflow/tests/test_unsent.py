import os
import resource
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import joblib
import mlflow
import pytest
from conftest import MANIFEST
from mlflow.tracking import MlflowClient
from servers import running_proxy

from errors import TrackingUnavailable
from publishing.publisher import Publisher, publish
from runs.tracker import Tracker
from runs.unsent import CannotReadRun, RunsStuck, find_kept, keep, keep_as, logged, read_kept

NOWHERE = "http://127.0.0.1:9"


def read_manifest(folder):
    [path] = folder.glob("model_*.json")
    return Publisher(folder).read_live_manifest(), path.with_suffix(".pkl")


def find_trainings(server, name):
    """The runs of this test's experiment that are not deleted."""
    client = MlflowClient(server)
    experiment = client.get_experiment_by_name(name).experiment_id
    return client.search_runs([experiment], "attributes.run_name = 'training'")


def test_run_and_file_lead_to_each_other_and_answer_alike(
    training, training_run, server, log_to, tmp_path
):
    log_to(server)

    manifest, path = read_manifest(tmp_path)
    [found] = find_trainings(server, training_run.name)
    assert found.data.tags["model_file"] == path.name
    assert manifest["mlflow"]["run_id"] == found.info.run_id
    assert found.data.tags["sha256"] == manifest["sha256"]
    registered = manifest["mlflow"]["model_version"]
    version = MlflowClient().get_model_version(training_run.name, registered)
    assert version.tags["sha256"] == manifest["sha256"]
    assert version.run_id == found.info.run_id
    champion = mlflow.sklearn.load_model(f"models:/{training_run.name}@champion")
    X = training.dataset.X
    assert (champion.predict_proba(X) == joblib.load(path).predict_proba(X)).all()


def test_without_mlflow_the_model_is_published_and_the_run_is_kept(
    log_to, send_to, unsent, tmp_path
):
    said = log_to(NOWHERE)

    assert read_manifest(tmp_path)[0]["mlflow"] is None
    [kept] = unsent.iterdir()
    assert f"Not logged: MLflow does not answer at {NOWHERE}; is" in said
    assert f"The run is kept in {kept}; metrics.py --sync sends it." in said
    with pytest.raises(TrackingUnavailable):
        send_to(NOWHERE)
    assert list(unsent.iterdir()) == [kept]


def test_a_kept_run_is_sent_whole(training, training_run, server, log_to, send_to):
    training_run.libraries["joblib"] = "1.0"  # as trained before an upgrade
    log_to(NOWHERE)

    send_to(server)

    [found] = find_trainings(server, training_run.name)
    assert found.data.tags == found.data.tags | training_run.tags
    champion = f"models:/{training_run.name}@champion"
    needed = Path(mlflow.pyfunc.get_model_dependencies(champion)).read_text().split()
    assert "joblib==1.0" in needed
    model = mlflow.models.get_model_info(champion)
    assert model.signature.inputs.input_names() == list(training.dataset.X.columns)
    assert model.saved_input_example_info is not None


def test_a_sync_that_fails_at_the_end_makes_no_second_run(training_run, server, log_to, send_to):
    log_to(NOWHERE)
    with (
        running_proxy(server, refusing="/model-versions/set", status=500) as (url, _),
        pytest.raises(RunsStuck, match=r"run_\d+_\w+\.zip is not sent: MLflow failed half-way"),
    ):
        send_to(url)

    send_to(server)

    assert len(find_trainings(server, training_run.name)) == 1


@pytest.mark.parametrize("route", ["/runs/log-inputs", "/registered-models", "/model-versions/set"])
def test_an_mlflow_that_fails_half_way_gets_one_whole_run_in_the_end(
    training_run, server, log_to, send_to, route
):
    with running_proxy(server, refusing=route, status=500) as (url, refused):
        log_to(url)

    assert refused
    send_to(server)

    [found] = find_trainings(server, training_run.name)
    assert found.info.status == "FINISHED"
    assert found.inputs.dataset_inputs


def test_what_is_worse_than_the_live_model_is_logged_as_a_challenger(training_run, server, unsent):
    with logged(training_run, Tracker(server, server, patience=0), unsent):
        training_run.tags["not_published"] = "worse than the live model"

    found = MlflowClient(server).get_run(training_run.run_id)
    assert found.data.tags["not_published"] == "worse than the live model"
    assert found.info.status == "FINISHED"
    registered = MlflowClient(server).get_registered_model(training_run.name)
    assert registered.aliases == {"challenger": training_run.versions[0]}


def test_a_model_that_cannot_be_written_leaves_a_failed_run(training_run, server, log_to, tmp_path):
    with pytest.raises(OSError, match="gone"):
        log_to(server, tmp_path / "gone")

    assert MlflowClient(server).get_run(training_run.run_id).info.status == "FAILED"


def test_a_run_is_kept_as_it_is_and_begun_ones_are_replaced(training_run, unsent):
    path = keep(training_run, unsent)
    training_run.run_id = "begun"

    keep_as(path, training_run)

    assert find_kept(unsent) == list(unsent.iterdir()) == [path]
    assert read_kept(path) == training_run


def test_a_kept_run_names_nothing_of_this_code(training_run, unsent):
    path = keep(training_run, unsent)

    with zipfile.ZipFile(path) as archive:
        assert archive.namelist()[0] == "run.json"
        [model] = [name for name in archive.namelist() if name.startswith("models/")]
        pickled = archive.read(model)
    assert b"sklearn" in pickled
    assert not any(word in pickled for word in (b"training", b"table.", b"runs"))


@pytest.mark.parametrize("fault", ["full disk", "not JSON"])
def test_a_run_is_kept_whole_or_not_at_all(training_run, unsent, fault):
    if fault == "not JSON":
        training_run.params["x"] = object()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))

    try:
        with pytest.raises((OSError, TypeError)):
            keep(training_run, unsent)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert list(unsent.iterdir()) == []


def test_a_disk_that_is_full_is_said_and_ends_nothing(log_to, unsent, tmp_path):
    unsent.write_text("no folder")

    said = log_to(NOWHERE)

    assert "The run cannot be kept either: " in said
    assert list(tmp_path.glob("model_*.pkl"))


def test_what_cannot_be_sent_is_named_and_keeps_no_other_run(training_run, server, send_to, unsent):
    sound = keep(training_run, unsent)
    training_run.models, training_run.started_at = {"Gone": b"cno_such_module\nX\n."}, 0
    stuck = keep(training_run, unsent)

    with pytest.raises(RunsStuck, match=f"A model in {stuck} does not load: No module named"):
        send_to(server)

    assert find_kept(unsent) == [stuck]
    assert not sound.exists()
    [found] = find_trainings(server, training_run.name)
    assert found.info.status == "FAILED"  # as it has no tags


def test_who_reads_no_output_gets_the_tags_all_the_same(training_run, tmp_path, monkeypatch):
    monkeypatch.setattr("builtins.print", lambda *_, **__: 1 / 0)

    with suppress(ZeroDivisionError):
        publish(training_run.best_model, MANIFEST, Publisher(tmp_path), training_run.tags)

    [path] = tmp_path.glob("model_*.pkl")
    assert training_run.tags["model_file"] == path.name


@pytest.mark.parametrize("part", [0, 100, 1000])
def test_a_damaged_file_is_named_with_what_to_do(training_run, unsent, part):
    path = keep(training_run, unsent)
    os.truncate(path, part)

    with pytest.raises(CannotReadRun, match=f"{path} cannot be read: .* Remove it"):
        read_kept(path)


RESTORED = "Restored the experiment {}, which was deleted in MLflow.\n"


def delete_experiment(server, name):
    client = MlflowClient(server)
    client.delete_experiment(client.get_experiment_by_name(name).experiment_id)


def test_a_training_of_a_deleted_experiment_restores_it_and_says_so(training_run, server, log_to):
    log_to(server)
    delete_experiment(server, training_run.name)
    training_run.run_id = ""  # another training's

    said = log_to(server)

    assert RESTORED.format(training_run.name) in said
    assert "Not logged" not in said
    assert len(find_trainings(server, training_run.name)) == 2


@pytest.mark.parametrize("route", ["/registered-models", "/model-versions/set"])
def test_what_is_kept_of_a_deleted_experiment_is_sent_whole(
    training_run, server, log_to, send_to, route
):
    with running_proxy(server, refusing=route, status=500) as (url, _):
        log_to(url)
    delete_experiment(server, training_run.name)

    send_to(server)

    [found] = find_trainings(server, training_run.name)
    assert found.info.status == "FINISHED"
    assert found.data.tags == found.data.tags | training_run.tags


def test_a_run_that_mlflow_does_not_take_keeps_no_other_one(training_run, server, send_to, unsent):
    sound, refused = keep(training_run, unsent), replace(training_run, name="  ", started_at=0)
    stuck = keep(refused, unsent)

    with pytest.raises(RunsStuck, match=f"{stuck} is not sent: MLflow failed half-way"):
        send_to(server)

    assert find_kept(unsent) == [stuck]
    assert not sound.exists()
    assert find_trainings(server, training_run.name)
