import pytest
from conftest import SETOSA, VERSION, fit, wait_for_version, wait_until

NEWER = "2026_11_21_T20_44_21"
NEWEST = "2027_01_01_T00_00_00"


def reason(client):
    return client.get("/health/ready").json()["detail"]


def test_a_newer_model_goes_live_by_itself(client, publish):
    publish(NEWER, fit(C=0.01))

    wait_for_version(client, NEWER)
    assert client.post("/predict", json=SETOSA).json()["model_version"] == NEWER


def test_an_older_name_stays_behind_whatever_its_time(client, publish):
    publish("2026_11_20_T00_00_00")
    publish(NEWER)

    wait_for_version(client, NEWER)


def test_the_newest_good_model_serves_at_start(publish, start):
    publish(VERSION)
    publish(NEWEST, sha256="0" * 64)

    wait_for_version(start(), VERSION)


def test_a_refused_model_leaves_the_live_one_serving(client, publish, caplog):
    publish(NEWEST, size=1)
    wait_until(lambda: "model refused" in caplog.text)
    publish(NEWER)
    wait_for_version(client, NEWER)

    assert caplog.text.count(f"model refused file=model_{NEWEST}.pkl") == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"sha256": "0" * 64}, "SHA-256"),
        ({"size": 7}, "its manifest says 7"),
        ({"format": 2}, "format"),
        ({"features": []}, "features"),
        ({"version": NEWEST}, f"the manifest of version {NEWEST}"),
        ({"target": {"name": "species", "classes": ["a", "b"]}}, "classes"),
        ({"examples": [{"inputs": SETOSA, "probabilities": [0, 0, 1]}]}, "example"),
        ({"examples": [{"inputs": {}, "probabilities": [0, 0, 1]}]}, "example"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused_with_the_reason(publish, start, changes, expected):
    publish(VERSION, **changes)

    client = start()
    wait_until(lambda: f"model_{VERSION}" in reason(client))
    assert expected in reason(client)


def test_a_model_without_its_manifest_is_refused(publish, start):
    publish().with_suffix(".json").unlink()

    client = start()
    wait_until(lambda: "is missing" in reason(client))


def test_what_is_no_model_is_refused(publish, start):
    publish().write_bytes(b"")

    client = start()
    wait_until(lambda: "0 bytes" in reason(client))


def test_names_that_are_no_dates_are_ignored(tmp_path, client):
    (tmp_path / "model_2026_13_41_T99_00_00.pkl").write_bytes(b"")
    (tmp_path / "model_latest.pkl").write_bytes(b"")

    assert client.get("/health/ready").json()["model_version"] == VERSION


def test_the_live_manifest_is_shown(client):
    published = client.get("/models/live").json()

    assert published["version"] == VERSION
    assert published["state"] == "live"
    assert published["manifest"]["features"][0]["name"] == "sepal_length"
