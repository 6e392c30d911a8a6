import os
import signal
from urllib.parse import quote

import pytest
import sklearn.base
from conftest import MIXED, SETOSA, VERSION, drop, fit, fit_iris, reason, wait_until_live
from journals import exposed
from mixed import FEATURES, INSTANCE, ask, fit_mixed
from processes import wait_until
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from serving import live
from worker.nursery import Nursery

OLDER = "2026_11_20_T00_00_00"
NEWER = "2026_11_21_T20_44_21"
NEWEST = "2027_01_01_T00_00_00"
ISLAND = FEATURES[4]


@pytest.fixture
def client(live_client):
    return live_client


def listed(client):
    return {entry["file"]: entry for entry in client.get("/models").json()["models"]}


def refusal(client, path):
    return listed(client).get(path.name, {}).get("reason") or ""


def version_of_a_prediction(client):
    return client.post("/predict", json=SETOSA).json()["model_version"]


def test_a_newer_name_goes_live_by_itself_whatever_its_time(client, publish):
    publish(OLDER)
    publish(NEWER, fit(C=0.01))
    wait_until_live(client, NEWER)
    assert version_of_a_prediction(client) == NEWER
    publish("2999_12_31_T23_59_59")

    wait_until_live(client, "2999_12_31_T23_59_59")


def test_the_newest_good_model_serves_at_start(publish, start):
    publish(VERSION)
    publish(NEWEST, sha256="0" * 64)

    wait_until_live(start(), VERSION)


def test_a_refused_file_is_told_of_everywhere_once(client, publish, caplog):
    path = publish(NEWEST, size=1)
    wait_until(lambda: "model refused" in caplog.text)
    publish(NEWER)
    wait_until_live(client, NEWER)

    assert caplog.text.count(f"model refused file={path.name}") == 1
    assert listed(client)[path.name]["state"] == "refused"
    assert "its manifest says 1" in refusal(client, path)
    assert exposed(client)['model_refusals_total{reason="size"}'] == 1


NAMES = ["my_model.pkl", "model.joblib", "model_2098_01_01.pkl", f"model_{VERSION} (1).pkl"]


def test_what_is_misnamed_is_told_once_with_the_right_name_and_alarms_nobody(
    client, publish, tmp_path, caplog
):
    for name in NAMES:
        (tmp_path / name).write_bytes(publish(OLDER).read_bytes())
    wait_until(lambda: caplog.text.count("Rename it to model_") == len(NAMES))
    publish(NEWER)
    wait_until_live(client, NEWER)

    entries = listed(client)
    assert [entries[name]["state"] for name in NAMES] == ["refused"] * len(NAMES)
    assert "Rename it to model_2098_01_01_T00_00_00.pkl" in entries[NAMES[2]]["reason"]
    assert [entries[name]["version"] for name in NAMES] == NAMES
    assert exposed(client)["model_refused"] == 0
    assert exposed(client)['model_refusals_total{reason="name"}'] == len(NAMES)
    assert caplog.text.count("Rename it to model_") == len(NAMES)


@pytest.mark.parametrize("name", [*NAMES, "iris.pkl"])
def test_what_is_misnamed_is_shown_by_its_name_and_answers_nothing(client, tmp_path, name):
    (tmp_path / name).write_bytes(b"")

    shown = client.get(f"/models/{quote(name)}").json()
    asked = client.post("/predict", params={"version": name}, json=SETOSA)

    assert "Rename it to model_" in shown["reason"]
    assert asked.status_code == 409
    assert "Rename it to model_" in asked.json()["detail"]
    assert client.get("/v2/models/iris").json()["versions"] == [VERSION]


def test_a_folder_with_misnamed_models_alone_says_which_name_is_right(tmp_path, start):
    (tmp_path / "iris.pkl").write_bytes(b"")
    client = start()

    wait_until(lambda: "iris.pkl is refused: Its name is not that of a version" in reason(client))


def test_a_refused_model_pkl_is_not_newer_than_the_live_model(tmp_path, publish, start):
    (tmp_path / "model.pkl").write_bytes(b"")
    client = start()
    wait_until(lambda: exposed(client)["model_refused"] == 1)

    publish()
    wait_until_live(client)

    wait_until(lambda: exposed(client)["model_refused"] == 0)


def test_a_refused_file_is_looked_at_again_when_it_or_its_manifest_changes(client, publish):
    path = publish(NEWER, version=NEWEST)
    manifest, good = path.with_suffix(".json"), path.read_bytes()
    path.write_bytes(good[:100])
    wait_until(lambda: f"is that of version {NEWEST}" in refusal(client, path))

    manifest.write_text(manifest.read_text().replace(NEWEST, NEWER))
    wait_until(lambda: "It has 100 bytes" in refusal(client, path))
    path.write_bytes(good)

    wait_until_live(client, NEWER)


def test_a_live_file_that_is_spoilt_serves_and_a_deleted_one_gives_way(client, publish, tmp_path):
    publish(OLDER)
    path = tmp_path / f"model_{VERSION}.pkl"
    path.write_bytes(b"spoilt")

    wait_until(lambda: exposed(client).get('model_refusals_total{reason="size"}') == 1)
    assert version_of_a_prediction(client) == VERSION
    path.unlink()

    wait_until_live(client, OLDER)


def test_an_emptied_folder_leaves_the_model_in_memory_and_readiness_says_so(client, tmp_path):
    for path in tmp_path.iterdir():
        path.unlink()

    wait_until(lambda: "keeps serving" in reason(client))
    assert version_of_a_prediction(client) == VERSION
    assert client.post("/predict/batch", json={"instances": [SETOSA]}).is_success
    [entry] = client.get("/models").json()["models"]
    assert entry["state"] == "live"
    assert client.get(f"/models/{VERSION}").json()["manifest"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"sha256": "0" * 64}, "SHA-256"),
        ({"size": 7}, "its manifest says 7"),
        ({"format": 2}, "is wrong at format"),
        ({"features": [{"name": "x", "type": "number"}]}, "is wrong at features.0.min"),
        ({"features": [ISLAND | {"mode": "Mars"}]}, "features.0: Value error, mode is not one of"),
        ({"version": NEWEST}, f"is that of version {NEWEST}"),
        ({"target": {"name": "species", "classes": ["a", "b"]}}, "classes"),
        ({"examples": [{"inputs": SETOSA, "probabilities": [0, 0, 1]}]}, "other probabilities"),
        ({"examples": [{"inputs": {}, "probabilities": [0, 0, 1]}]}, "does not answer"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused_with_the_reason(publish, start, changes, expected):
    publish(VERSION, **changes)

    client = start()
    wait_until(lambda: f"model_{VERSION}" in reason(client))
    assert expected in reason(client)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("island", None, "other probabilities"),
        ("island", 3, "island must be text"),
        ("tagged", 0, "tagged must be true or false"),
        ("sex", None, "sex must be text"),
    ],
)
def test_an_example_of_every_type_is_tried_out(publish, start, name, value, expected):
    wrong = [{"inputs": INSTANCE | {name: value}, "probabilities": ask(fit_mixed(), INSTANCE)}]
    publish(examples=wrong, **MIXED)

    client = start()

    wait_until(lambda: f"model_{VERSION}" in reason(client))
    assert expected in reason(client)


def test_a_manifest_of_every_type_without_examples_is_served(publish, start_live):
    publish(examples=[], **MIXED)

    assert start_live().get("/models/live").json()["state"] == "live"


class Raises(LogisticRegression):
    """Not of scikit-learn, so not on the allow-list."""


def fit_plain(estimator):
    return estimator.fit(*load_iris(return_X_y=True))


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        ({"not": "a model"}, "It is a dict, not a fitted classifier"),
        (StandardScaler(), "It is a StandardScaler, not"),
        (LogisticRegression(), "not a fitted classifier"),
        (fit_plain(make_pipeline(StandardScaler())), "It is a Pipeline, not a classifier"),
        (Raises().fit([[0.0], [1.0]], [0, 1]), "Raises, which is not on the allow-list"),
    ],
    ids=["a dict", "a transformer", "unfitted", "no classifier", "not allowed"],
)
def test_what_cannot_serve_is_refused_and_the_live_model_stays(client, tmp_path, thing, expected):
    drop(tmp_path, thing, NEWER)

    wait_until(lambda: expected in refusal(client, tmp_path / f"model_{NEWER}.pkl"))
    assert version_of_a_prediction(client) == VERSION


def test_what_crashed_for_want_of_memory_is_tried_again(publish, start, monkeypatch):
    monkeypatch.setattr(live, "RETRY_SECONDS", 0.1)
    fork = Nursery.fork

    def fork_briefly(nursery, memory):
        process = fork(nursery, memory)
        os.kill(process.pid, signal.SIGKILL)  # as the kernel does if there is no memory left
        return process

    monkeypatch.setattr(Nursery, "fork", fork_briefly)
    publish()
    client = start()
    wait_until(lambda: "ran out of memory" in reason(client))

    monkeypatch.undo()

    wait_until_live(client, VERSION)


def test_a_classifier_without_probabilities_is_served_and_says_so(tmp_path, start_live):
    drop(tmp_path, fit_iris(RidgeClassifier()))
    client = start_live()

    answer = client.post("/predict", json=SETOSA).json()

    assert (answer["prediction_class"], answer["probabilities"]) == ("setosa", None)
    assert "probabilities are null" in client.get("/models/live").json()["remarks"][0]


def test_a_model_pkl_of_another_project_serves_until_another(tmp_path, start_live, publish):
    drop(tmp_path, fit_plain(LogisticRegression(max_iter=1000)), "model")
    client = start_live()

    answer = client.post("/predict", json=SETOSA).json()

    assert answer["model_version"] == "model"
    assert answer["prediction_class"] == "setosa"
    assert list(answer["probabilities"]) == ["setosa", "versicolor", "virginica"]
    assert client.get("/models/live").json()["signature"] == "unsigned"
    publish(OLDER)
    wait_until_live(client, OLDER)


IRIS = load_iris(as_frame=True)


@pytest.mark.parametrize(
    ("X", "names"),
    [(IRIS.data.to_numpy()[:, :2], ["x0", "x1"]), (IRIS.data, IRIS.feature_names)],
    ids=["numbered", "named"],
)
def test_features_of_a_pickle_have_its_names_or_numbers(tmp_path, start_live, X, names):
    drop(tmp_path, LogisticRegression(max_iter=1000).fit(X, IRIS.target == 0))
    instance = dict(zip(names, SETOSA.values(), strict=False))

    answer = start_live().post("/predict", json=instance).json()

    assert answer["prediction_class"] == "True"


@pytest.fixture
def of_another_scikit_learn(tmp_path, monkeypatch):
    """Drop a pickle that an older version has made."""
    with monkeypatch.context() as patch:
        patch.setattr(sklearn.base, "__version__", "1.2.0")
        drop(tmp_path, fit_plain(LogisticRegression(max_iter=1000)))


@pytest.mark.usefixtures("of_another_scikit_learn")
@pytest.mark.parametrize("trust", [None, "auto"])
def test_a_pickle_of_another_scikit_learn_that_nothing_checks_is_refused(start, trust):
    client = start(model_trust=trust)

    wait_until(lambda: "made with scikit-learn 1.2.0; this is 1.9" in reason(client))
    assert "Train it again with this version, or set MODEL_TRUST=any" in reason(client)
    assert exposed(client)['model_refusals_total{reason="libraries"}'] == 1


def test_a_manifest_without_examples_does_not_check_a_pickle(publish, start, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sklearn.base, "__version__", "1.2.0")
        publish(examples=[])
    client = start()

    wait_until(lambda: "No example in a manifest shows" in reason(client))


@pytest.mark.usefixtures("of_another_scikit_learn")
def test_a_pickle_of_another_scikit_learn_says_both(publish, start_live):
    client = start_live(model_trust="any")
    wrong = [{"inputs": SETOSA, "probabilities": [0, 0, 1]}]
    path = publish(NEWER, libraries={"scikit-learn": "1.2.0"}, examples=wrong)

    [remark] = client.get("/models/live").json()["remarks"]
    assert "made with scikit-learn 1.2.0; this is 1.9" in remark
    wait_until(lambda: "other probabilities" in refusal(client, path))
    assert "made with scikit-learn 1.2.0; this is 1.9" in refusal(client, path)
