import joblib
import mlflow
import pytest
from conftest import MANIFEST
from mlflow.tracking import MlflowClient
from servers import running_proxy

from publishing.publisher import Publisher
from runs.delivery import deliver, send_kept
from runs.tracker import TrackingUnavailable
from runs.unsent import RecordFolder


def read_manifest(folder):
    [path] = folder.glob("model_*.json")
    return Publisher(folder).read_live_manifest(), path.with_suffix(".pkl")


def find_trainings(server, record):
    """The runs of this test's experiment that are not deleted."""
    client = MlflowClient(server)
    experiment = client.get_experiment_by_name(record.name).experiment_id
    return client.search_runs([experiment], "attributes.run_name = 'training'")


def test_run_and_file_lead_to_each_other_and_answer_alike(
    training, record, server, services, tmp_path
):
    deliver(record, dict(MANIFEST), services(server))

    manifest, path = read_manifest(tmp_path)
    [run] = find_trainings(server, record)
    assert run.data.tags["model_file"] == path.name
    assert manifest["mlflow"]["run_id"] == run.info.run_id
    assert run.data.tags["sha256"] == manifest["sha256"]
    version = MlflowClient().get_model_version(record.name, manifest["mlflow"]["model_version"])
    assert version.tags["sha256"] == manifest["sha256"]
    assert version.run_id == run.info.run_id
    champion = mlflow.sklearn.load_model(f"models:/{record.name}@champion")
    X = training.dataset.X
    assert (champion.predict_proba(X) == joblib.load(path).predict_proba(X)).all()


def test_without_mlflow_the_model_is_published_and_the_run_is_sent_later(
    record, server, services, tmp_path, capsys
):
    deliver(record, dict(MANIFEST), services("http://127.0.0.1:9"))

    manifest, path = read_manifest(tmp_path)
    assert manifest["mlflow"] is None
    [kept] = (tmp_path / "unsent").iterdir()
    said = capsys.readouterr().err
    assert "Not logged: MLflow does not answer at http://127.0.0.1:9; is" in said
    assert f"The run is kept in {kept}; metrics.py --sync sends it." in said
    with pytest.raises(TrackingUnavailable):
        send_kept(services("http://127.0.0.1:9"))
    assert list((tmp_path / "unsent").iterdir()) == [kept]

    send_kept(services(server))

    [run] = find_trainings(server, record)
    assert run.data.tags["model_file"] == path.name
    assert not list((tmp_path / "unsent").iterdir())


def test_a_sync_that_fails_at_the_end_makes_no_second_run(record, server, services):
    deliver(record, dict(MANIFEST), services("http://127.0.0.1:9"))
    with (
        running_proxy(server, refusing="/model-versions/set", status=500) as (url, _),
        pytest.raises(TrackingUnavailable),
    ):
        send_kept(services(url))

    send_kept(services(server))

    assert len(find_trainings(server, record)) == 1


@pytest.mark.parametrize("route", ["/runs/log-inputs", "/registered-models", "/model-versions/set"])
def test_an_mlflow_that_fails_half_way_gets_one_whole_run_in_the_end(
    record, server, services, route
):
    with running_proxy(server, refusing=route, status=500) as (url, refused):
        deliver(record, dict(MANIFEST), services(url))

    assert refused
    send_kept(services(server))

    [run] = find_trainings(server, record)
    assert run.info.status == "FINISHED"
    assert run.inputs.dataset_inputs


def test_what_is_worse_than_the_live_model_is_logged_and_not_published(
    record, server, services, tmp_path
):
    deliver(record, None, services(server))

    assert not list(tmp_path.glob("model_*"))
    run = MlflowClient(server).get_run(record.run_id)
    assert run.data.tags["not_published"] == "worse than the live model"
    assert run.info.status == "FINISHED"
    registered = MlflowClient(server).get_registered_model(record.name)
    assert registered.aliases == {"challenger": record.versions[0]}


def test_a_model_that_cannot_be_written_leaves_a_failed_run(record, server, services, tmp_path):
    folder = tmp_path / "gone"

    with pytest.raises(OSError, match="gone"):
        deliver(record, dict(MANIFEST), services(server)._replace(publisher=Publisher(folder)))

    assert MlflowClient(server).get_run(record.run_id).info.status == "FAILED"


def test_a_record_is_kept_whole_or_not_at_all(record, tmp_path):
    folder = RecordFolder(tmp_path / "unsent")
    record.params["x"] = lambda: None  # which cannot be pickled

    with pytest.raises(Exception, match="pickle"):
        folder.keep(record)

    assert folder.find() == []
    assert list((tmp_path / "unsent").iterdir()) == []
