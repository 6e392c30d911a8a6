import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import MIXED, SETOSA, VERSION, fit, reason, wait_until_live
from processes import wait_until

from errors import ModelRefused
from serving import manifests
from serving.manifests import Manifests
from settings import Settings

OLDER = "2026_11_20_T00_00_00"
OLDEST = "2026_11_19_T00_00_00"


@pytest.fixture
def three(publish, start_live):
    """An app with a live model, an older one, and one that is refused."""
    publish(VERSION)
    publish(OLDER, fit(C=0.001))
    publish(OLDEST, sha256="0" * 64)
    return start_live()


def ask(client, version):
    return client.post("/predict", params={"version": version}, json=SETOSA)


def test_every_version_is_listed_newest_first_and_shown_with_its_manifest(three):
    models = three.get("/models").json()["models"]
    shown = three.get(f"/models/{OLDER}").json()

    assert [entry["version"] for entry in models] == [VERSION, OLDER, OLDEST]
    assert [entry["state"] for entry in models] == ["live", "available", "refused"]
    assert "SHA-256" in models[2]["reason"]
    assert models[1]["metrics"]["log_loss"]["mean"] == 0.1
    assert "manifest" not in models[1]
    assert shown["state"] == "available"
    assert shown["manifest"]["features"][0]["name"] == "sepal_length"


def test_a_manifest_of_every_type_is_shown_as_it_was_written(publish, start_live):
    manifest = publish(**MIXED).with_suffix(".json").read_text()

    assert start_live().get("/models/live").json()["manifest"] == json.loads(manifest)


def count_reads(monkeypatch):
    """The versions whose manifests are opened from now on."""
    read, opened = manifests.read_manifest, []
    monkeypatch.setattr(
        manifests, "read_manifest", lambda file: opened.append(file.version) or read(file)
    )
    return opened


def test_a_manifest_is_read_once_whoever_asks_until_it_changes(publish, start_live, monkeypatch):
    opened = count_reads(monkeypatch)
    refused = publish("2026_11_18_T00_00_00", format=2)
    publish(OLDER)
    publish(VERSION)
    three = start_live()

    for _ in range(3):
        assert len(three.get("/models").json()["models"]) == 3
        assert three.get(f"/models/{OLDER}").json()["manifest"]
        assert ask(three, OLDER).status_code == 200
        assert three.post("/v2/repository/index").json()[2]["state"] == "UNAVAILABLE"
    assert sorted(opened) == ["2026_11_18_T00_00_00", OLDER, VERSION]

    publish("2026_11_18_T00_00_00")
    assert three.get("/models").json()["models"][2]["state"] == "available"
    refused.unlink()
    assert len(three.get("/models").json()["models"]) == 2


def test_manifests_are_kept_whole_while_there_is_room(publish, tmp_path, monkeypatch):
    for day in range(10, 20):
        size = publish(f"2026_11_{day}_T00_00_00").with_suffix(".json").stat().st_size
    monkeypatch.setattr(manifests, "KEPT_BYTES", 5 * size)
    opened, kept = count_reads(monkeypatch), Manifests(Settings(models_dir=tmp_path))
    newest, *_, oldest = kept.find()

    for file in (newest, newest, *kept.find(), oldest, newest):
        assert kept.read(file)[0].version == file.version

    assert len(opened) == 11
    assert opened[-1] == newest.version


MANY = {f"{it:x}": 0 for it in range(90_000)}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"features": [0] * 500_000}, "is wrong at features.0"),
        ({"examples": [0] * 500_000}, "is wrong at examples.0"),
        ({"target": {"name": "y", "classes": [0] * 500_000}}, "is wrong at target.classes.0"),
        ({"metrics": MANY}, "is wrong in 90,000 places"),
        ({"libraries": {"x" * 900_000: 0}}, "is wrong at libraries.xxxx"),
        ({"version": "x" * 900_000}, "is that of version xxxx"),
    ],
)
def test_a_megabyte_of_faults_is_told_in_a_line(publish, tmp_path, changes, said):
    path = publish(**changes).with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()), separators=(",", ":")))
    read = Manifests(Settings(models_dir=tmp_path))

    with pytest.raises(ModelRefused, match=said) as refused:
        read.read(*read.find())

    assert len(str(refused.value)) < 250


def test_a_folder_that_vanishes_leaves_the_model_in_memory_and_may_come_back(
    three, tmp_path, publish
):
    shutil.rmtree(tmp_path)
    wait_until(lambda: "MODELS_DIR" in reason(three))

    [listed] = three.get("/models").json()["models"]
    [indexed] = three.post("/v2/repository/index").json()
    assert "keeps serving" in reason(three)
    assert (listed["version"], listed["state"]) == (VERSION, "live")
    assert (indexed["version"], indexed["state"]) == (VERSION, "READY")
    for path in (f"/models/{VERSION}", "/models/live"):
        assert "MODELS_DIR" in three.get(path).json()["remarks"][-1]
    assert three.get("/v2/models/iris").json()["versions"] == [VERSION]
    assert ask(three, VERSION).status_code == 200
    for refused in (three.get(f"/models/{OLDER}"), ask(three, OLDEST)):
        assert refused.status_code == 503
        assert "MODELS_DIR" in refused.json()["detail"]

    tmp_path.mkdir()
    publish("2026_11_22_T00_00_00")
    wait_until_live(three, "2026_11_22_T00_00_00")


def test_a_folder_that_cannot_be_read_at_the_start_is_said_to_be_so(start, tmp_path):
    tmp_path.rmdir()
    client = start()
    wait_until(lambda: "MODELS_DIR" in reason(client))

    paths = ["/health/ready", "/models", "/models/live", f"/models/{VERSION}"]
    answers = [client.get(path) for path in paths]
    answers += [client.post("/v2/repository/index"), ask(client, VERSION)]
    assert [it.status_code for it in answers] == [503] * 6
    assert all("MODELS_DIR" in it.text for it in answers)


def test_a_prediction_of_an_older_version_is_its_own(three):
    answer = ask(three, OLDER).json()

    expected = fit(C=0.001).predict_proba([list(SETOSA.values())])[0]
    assert answer["model_version"] == OLDER
    assert list(answer["probabilities"].values()) == pytest.approx(list(expected))
    assert ask(three, VERSION).json()["probabilities"] != answer["probabilities"]


def test_an_unknown_version_answers_404_with_the_known_ones_and_a_refused_one_409(three):
    unknown = "2020_01_01_T00_00_00"
    shown, asked, refused = three.get(f"/models/{unknown}"), ask(three, unknown), ask(three, OLDEST)

    assert [it.status_code for it in (shown, asked, refused)] == [404, 404, 409]
    assert f"no version {unknown}" in shown.json()["detail"]
    assert all(known in asked.json()["detail"] for known in (VERSION, OLDER))
    assert "SHA-256" in refused.json()["detail"]
    assert three.get(f"/models/{OLDEST}").json()["state"] == "refused"


def test_only_a_few_versions_are_kept(publish, start_live):
    versions = [f"2026_01_0{day}_T00_00_00" for day in range(1, 7)]
    for version in versions:
        publish(version)
    client = start_live()

    for version in versions:
        assert ask(client, version).json()["model_version"] == version

    assert len(client.app.live._kept) == 4


def test_a_version_asked_for_many_times_at_once_is_loaded_once(three, monkeypatch):
    live, loads = three.app.live, []
    load = live._load
    monkeypatch.setattr(live, "_load", lambda file: loads.append(file.version) or load(file))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(three, OLDER).status_code, range(16)))

    assert answers == [200] * 16
    assert loads == [OLDER]
