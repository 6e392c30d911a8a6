"""A tracking server whose files are in a bucket, by variables alone."""

import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import boto3
import mlflow
import numpy as np
import pytest
import requests
from mlflow.tracking import MlflowClient
from moto.server import ThreadedMotoServer
from processes import running_mlflow

BUCKET, FOLDER, REGION = "models", "of/iris", "eu-west-3"
UNREACHABLE = {"MLFLOW_S3_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": 1}
FILES = {"comparison.json", "comparison.png"}


@pytest.fixture(scope="module", autouse=True)
def patient_and_without_credentials():
    """Time for boto, which tries several times, and no keys of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("AWS_"):
                patch.delenv(name)
        patch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
        # Or its client would ask the bucket by links that the server signs, and moto, once it looks
        # at keys, answers those by 500.
        patch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", "false")
        yield


@pytest.fixture(scope="module")
def storage():
    """S3 as moto has it: one bucket, and one user with a key, without which nothing is stored."""
    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    key, secret = make_user(url)
    connect(url, "any", "any").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    requests.post(f"{url}/moto-api/reset-auth", data=b"0").raise_for_status()
    yield SimpleNamespace(url=url, key=key, secret=secret, client=connect(url, key, secret))
    server.stop()


def make_user(url):
    """Their key and its secret."""
    iam = connect(url, "any", "any", "iam")
    iam.create_user(UserName="iris")
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:s3:::{BUCKET}*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="iris", PolicyName="files", PolicyDocument=policy)
    made = iam.create_access_key(UserName="iris")["AccessKey"]
    return made["AccessKeyId"], made["SecretAccessKey"]


def connect(url, key, secret, service="s3"):
    keys = {"aws_access_key_id": key, "aws_secret_access_key": secret}
    return boto3.client(service, REGION, endpoint_url=url, **keys)


@contextmanager
def running_server(folder, storage, output=None, **changes):
    """With its files in the bucket and its database in the folder."""
    (folder / "model.pkl").touch()  # or it would train one, which this is not about
    settings = {
        "MLFLOW_ARTIFACTS_DESTINATION": f"s3://{BUCKET}/{FOLDER}",
        "MLFLOW_S3_ENDPOINT_URL": storage.url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": storage.key,
        "AWS_SECRET_ACCESS_KEY": storage.secret,
        **changes,
    }
    with running_mlflow(folder, folder, (), output, **settings) as url:
        yield url


@pytest.fixture(scope="module")
def in_bucket(storage, tmp_path_factory):
    """A server that keeps its files in the bucket."""
    folder = tmp_path_factory.mktemp("server")
    with running_server(folder, storage) as url:
        yield SimpleNamespace(folder=folder, url=url, storage=storage)


@pytest.fixture
def training_run(training_run):
    training_run.files["comparison.png"] = b"\x89PNG"
    return training_run


def find_champion(url, name):
    mlflow.set_tracking_uri(url)
    return MlflowClient().get_model_version_by_alias(name, "champion")


def list_files(run_id):
    return {it.path for it in MlflowClient().list_artifacts(run_id)}


def test_files_and_models_are_kept_in_the_bucket_and_read_through_the_server(
    in_bucket, training, training_run, log_to, tmp_path
):
    said = log_to(in_bucket.url)

    version, storage = find_champion(in_bucket.url, training_run.name), in_bucket.storage
    stored = storage.client.list_objects_v2(Bucket=BUCKET, Prefix=f"{FOLDER}/")["Contents"]
    assert {Path(it["Key"]).name for it in stored if f"/{version.run_id}/" in it["Key"]} >= FILES
    assert not (in_bucket.folder / "artifacts").exists()
    options = {"run_id": version.run_id, "dst_path": str(tmp_path)}
    downloaded = Path(mlflow.artifacts.download_artifacts(**options))
    assert "candidate" in json.loads((downloaded / "comparison.json").read_text())["columns"]
    assert (downloaded / "comparison.png").read_bytes() == b"\x89PNG"
    model, X = (
        mlflow.sklearn.load_model(f"models:/{training_run.name}@champion"),
        training.dataset.X,
    )
    expected = training.models[0].pipeline.predict_proba(X)
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    # The trainer is told nothing of the bucket.
    assert f"Logged {in_bucket.url}/#/experiments/" in said
    assert storage.secret not in said
    assert "s3://" not in said
    assert not (tmp_path / "unsent").exists()


def test_files_of_before_move_by_copying_them(
    tracking_server, storage, training_run, log_to, tmp_path
):
    log_to(tracking_server.url)
    before = find_champion(tracking_server.url, training_run.name)
    shutil.copy(tracking_server.folder / "mlflow.db", tmp_path)
    files = tracking_server.folder / "artifacts"
    for path in filter(Path.is_file, (files / training_run.experiment_id).rglob("*")):
        storage.client.upload_file(str(path), BUCKET, f"moved/{path.relative_to(files)}")

    moved = {"MLFLOW_ARTIFACTS_DESTINATION": f"s3://{BUCKET}/moved"}
    with running_server(tmp_path, storage, **moved) as url:
        assert find_champion(url, training_run.name).run_id == before.run_id
        model = mlflow.sklearn.load_model(f"models:/{training_run.name}@champion")
        assert list_files(before.run_id) >= FILES

    assert len(model.classes_) == 3


@pytest.mark.parametrize(
    "fault",
    [
        ({"AWS_ACCESS_KEY_ID": "AKIANOBODY"}, "InvalidAccessKeyId"),
        ({"AWS_SECRET_ACCESS_KEY": "not the secret"}, "SignatureDoesNotMatch"),
        ({"MLFLOW_ARTIFACTS_DESTINATION": "s3://missing/iris"}, "AccessDenied"),
        (UNREACHABLE, "Could not connect to the endpoint URL"),
    ],
)
def test_what_the_bucket_does_not_take_is_kept_and_sent_later_and_the_server_knows_why(
    in_bucket, log_to, send_to, tmp_path, fault
):
    wrong, reason = fault
    log, storage = tmp_path / "log", in_bucket.storage
    with log.open("w") as output, running_server(tmp_path, storage, output, **wrong) as url:
        said = log_to(url)

    assert "Published " in said
    assert "see that MLFLOW_ARTIFACTS_DESTINATION is there" in said
    assert "metrics.py --sync sends it" in said
    assert reason in log.read_text()
    secrets = [storage.secret, wrong.get("AWS_SECRET_ACCESS_KEY", storage.secret)]
    assert not [it for it in secrets if it in log.read_text() + said]

    send_to(in_bucket.url)

    assert not list((tmp_path / "unsent").iterdir())
    version = find_champion(in_bucket.url, tmp_path.name)
    assert version.tags["model_file"] == next(tmp_path.glob("model_*.pkl")).name
    assert list_files(version.run_id) >= FILES
