"""A tracking server whose files are in a bucket, by variables alone."""

import json
import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import boto3
import joblib
import mlflow
import numpy as np
import pytest
import requests
from mlflow.tracking import MlflowClient
from processes import find_free_port, running, running_mlflow, train, wait_until

from datasets import read_iris

BUCKET, FOLDER, REGION = "models", "of/iris", "eu-west-3"
NOBODYS = "http://127.0.0.1:9"
# A quick look at candidates, and time for boto, which tries several times.
BRIEF, PATIENT = ("--budget", "0.02"), {"MLFLOW_HTTP_REQUEST_TIMEOUT": 60}
FILES = {"comparison.json", "comparison.png", "confusion_matrix.png", "roc.png", "calibration.png"}


@pytest.fixture(scope="module", autouse=True)
def no_credentials():
    """Of whoever runs the tests, which the trainer would have too."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("AWS_"):
                patch.delenv(name)
        # Or its client would ask the bucket by links that the server signs, and moto, once it looks
        # at keys, answers those by 500.
        patch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", "false")
        yield


@pytest.fixture(scope="module")
def storage():
    """S3 as moto has it: one bucket, and one user with a key, without which nothing is stored."""
    port = find_free_port()
    url = f"http://127.0.0.1:{port}"
    command = [str(Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with running(command, "."):
        wait_until(lambda: requests.get(f"{url}/moto-api/", timeout=5).ok)
        key, secret = make_user(url)
        connect(url, "any", "any").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        requests.post(f"{url}/moto-api/reset-auth", data=b"0").raise_for_status()
        yield SimpleNamespace(url=url, key=key, secret=secret, client=connect(url, key, secret))


def make_user(url):
    """Their key and its secret."""
    iam = connect(url, "any", "any", "iam")
    iam.create_user(UserName="iris")
    statement = {
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"],
        "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="iris", PolicyName="files", PolicyDocument=policy)
    made = iam.create_access_key(UserName="iris")["AccessKey"]
    return made["AccessKeyId"], made["SecretAccessKey"]


def connect(url, key, secret, service="s3"):
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
    )


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
        mlflow.set_tracking_uri(url)
        yield url


@pytest.fixture(scope="module")
def trained(storage, tmp_path_factory):
    """A training on a server that keeps its files in the bucket."""
    folder, models_dir = tmp_path_factory.mktemp("server"), tmp_path_factory.mktemp("models")
    with running_server(folder, storage) as url:
        command = train(models_dir, models_dir, *BRIEF, MLFLOW_TRACKING_URI=url, **PATIENT)
        assert command.returncode == 0, command.stderr
        version = MlflowClient().get_model_version_by_alias("iris", "champion")
        yield SimpleNamespace(
            command=command, folder=folder, models_dir=models_dir, version=version, url=url
        )


def list_keys(storage):
    found = storage.client.list_objects_v2(Bucket=BUCKET, Prefix=f"{FOLDER}/")
    return {it["Key"] for it in found["Contents"]}


def test_tables_and_figures_of_a_run_are_in_the_bucket(trained, storage):
    run = MlflowClient().get_run(trained.version.run_id)

    assert run.info.status == "FINISHED"
    stored = {Path(key).name for key in list_keys(storage) if f"/{run.info.run_id}/" in key}
    assert stored > FILES
    assert not (trained.folder / "artifacts").exists()


def test_they_are_shown_and_downloaded_through_the_server(trained, tmp_path):
    listed = MlflowClient().list_artifacts(trained.version.run_id)
    folder = mlflow.artifacts.download_artifacts(
        run_id=trained.version.run_id, dst_path=str(tmp_path)
    )

    assert {it.path for it in listed} > FILES
    table = json.loads((Path(folder) / "comparison.json").read_text())
    assert "candidate" in table["columns"]
    assert (Path(folder) / "roc.png").read_bytes().startswith(b"\x89PNG")


def test_the_registered_model_is_the_published_one(trained):
    X, model = read_iris().X, mlflow.sklearn.load_model("models:/iris@champion")

    [published] = trained.models_dir.glob("model_*.pkl")
    assert trained.version.tags["model_file"] == published.name
    expected = joblib.load(published).predict_proba(X)
    np.testing.assert_array_equal(model.predict_proba(X), expected)


def test_the_trainer_is_told_nothing_of_the_bucket(trained, storage):
    said = trained.command.stdout + trained.command.stderr

    assert f"Logged {trained.url}/#/experiments/" in said
    assert not list((trained.models_dir / "unsent").glob("*"))
    assert storage.secret not in said
    assert "s3://" not in said


@pytest.fixture
def models_dir(tmp_path):
    """Of the trainer; the servers have one that is not empty."""
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def test_files_of_before_move_by_copying_them(storage, models_dir, tmp_path):
    (tmp_path / "model.pkl").touch()
    with running_mlflow(tmp_path, tmp_path) as url:
        command = train(models_dir, tmp_path, *BRIEF, MLFLOW_TRACKING_URI=url, **PATIENT)
        assert command.returncode == 0, command.stderr
    files = tmp_path / "artifacts"
    for path in filter(Path.is_file, files.rglob("*")):
        storage.client.upload_file(str(path), BUCKET, f"moved/{path.relative_to(files)}")
    shutil.rmtree(files)

    moved = {"MLFLOW_ARTIFACTS_DESTINATION": f"s3://{BUCKET}/moved"}
    with running_server(tmp_path, storage, **moved):
        model = mlflow.sklearn.load_model("models:/iris@champion")
        version = MlflowClient().get_model_version_by_alias("iris", "champion")
        listed = MlflowClient().list_artifacts(version.run_id)

    assert len(model.predict(read_iris().X)) == 150
    assert {it.path for it in listed} > FILES


def train_in_vain(storage, models_dir, wrong, reason):
    """On a server that is told something wrong of the bucket, and says the reason in its log."""
    folder = models_dir.parent
    with (folder / "log").open("w") as log, running_server(folder, storage, log, **wrong) as url:
        command = train(models_dir, folder, *BRIEF, MLFLOW_TRACKING_URI=url, **PATIENT)
    assert command.returncode == 0, command.stderr
    assert "Published " in command.stdout
    assert "see that MLFLOW_ARTIFACTS_DESTINATION is there" in command.stderr
    assert "metrics.py --sync sends it" in command.stderr
    logged = (folder / "log").read_text()
    assert reason in logged
    secrets = [storage.secret, wrong.get("AWS_SECRET_ACCESS_KEY", storage.secret)]
    assert not [it for it in secrets if it in logged + command.stdout + command.stderr]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"AWS_ACCESS_KEY_ID": "AKIANOBODY"}, "InvalidAccessKeyId"),
        ({"MLFLOW_ARTIFACTS_DESTINATION": "s3://missing/iris"}, "AccessDenied"),
        ({"MLFLOW_S3_ENDPOINT_URL": NOBODYS}, "Could not connect to the endpoint URL"),
    ],
)
def test_what_the_bucket_does_not_take_is_kept_and_the_server_knows_why(
    storage, models_dir, wrong, reason
):
    train_in_vain(storage, models_dir, wrong, reason)


def test_what_was_kept_is_sent_once_the_bucket_takes_it(storage, models_dir, tmp_path):
    wrong = {"AWS_SECRET_ACCESS_KEY": "not the secret"}
    train_in_vain(storage, models_dir, wrong, "SignatureDoesNotMatch")

    with running_server(tmp_path, storage) as url:
        sent = train(models_dir, tmp_path, "--sync", MLFLOW_TRACKING_URI=url, **PATIENT)

        assert sent.returncode == 0, sent.stderr
        assert not list((tmp_path / "unsent").iterdir())
        version = MlflowClient().get_model_version_by_alias("iris", "champion")
        assert version.tags["model_file"] == next(models_dir.glob("model_*.pkl")).name
        listed = MlflowClient().list_artifacts(version.run_id)
        assert "comparison.json" in {it.path for it in listed}
