import os
from threading import Event

import pytest
from conftest import SETOSA, VERSION, drop, fit
from processes import wait_until

from serving import digests
from serving.digests import Digests
from serving.repository import Pickle, find_published

OLDER = "2026_11_20_T00_00_00"


@pytest.fixture
def hashed(monkeypatch):
    """The names of the files that are hashed from now on."""
    names = []

    def open_counted(file, max_bytes):
        names.append(file.path.name)
        return Pickle(file, max_bytes)

    monkeypatch.setattr(digests, "Pickle", open_counted)
    return names


@pytest.fixture
def client(publish, start_live):
    publish(OLDER)
    publish()
    return start_live()


def show(client, version=OLDER):
    """The version as it is shown, which is as it is listed."""
    models = client.get("/models").json()["models"]
    [listed] = [model for model in models if model["version"] == version]
    shown = client.get(f"/models/{version}").json()
    assert shown == listed | {"manifest": shown["manifest"]}
    return shown


def test_a_file_is_hashed_once_whoever_asks_until_it_changes(hashed, client, publish):
    path = publish(OLDER)
    for _ in range(3):
        assert show(client)["state"] == "available"
    count = hashed.count(path.name)

    path.with_suffix(".json").touch()
    assert show(client)["state"] == "available"
    assert hashed.count(path.name) == count
    path.touch()
    assert show(client)["state"] == "available"
    assert hashed.count(path.name) == count + 1


def test_a_version_that_was_spoilt_is_refused_before_it_is_asked(client, tmp_path):
    path = tmp_path / f"model_{OLDER}.pkl"
    content = path.read_bytes()

    path.write_bytes(content[:-1] + b"!")
    assert "Its SHA-256 is not the one in its manifest" in show(client)["reason"]
    path.write_bytes(content[:-1])
    assert "its manifest says" in show(client)["reason"]
    path.unlink()
    path.symlink_to("nowhere")
    assert show(client)["state"] == "refused"


def test_a_version_without_a_manifest_is_unverified_until_it_has_answered(client, tmp_path):
    good, bad = "2026_01_01_T00_00_00", "2026_01_02_T00_00_00"
    drop(tmp_path, fit(), good)
    drop(tmp_path, {"no": "model"}, bad)
    assert [show(client, it)["state"] for it in (good, bad)] == ["unverified"] * 2
    assert "no manifest" in show(client, good)["remarks"][0]

    for version in (good, bad):
        client.post("/predict", params={"version": version}, json=SETOSA)

    assert [show(client, it)["state"] for it in (good, bad)] == ["available", "refused"]
    assert show(client, good)["remarks"] == []


def test_nobody_waits_long_for_what_takes_long_to_hash(client, publish, monkeypatch):
    go_on, hash_whole = Event(), Pickle.hash
    monkeypatch.setattr(digests, "PATIENCE", 0.1)
    monkeypatch.setattr(Pickle, "hash", lambda it: go_on.wait() and hash_whole(it))
    os.utime(publish(OLDER), (0, 0))

    assert show(client)["state"] == "unverified"
    assert show(client)["remarks"] == ["Its SHA-256 is still being computed."]
    assert client.post("/predict", params={"version": VERSION}, json=SETOSA).is_success

    go_on.set()
    wait_until(lambda: show(client)["state"] == "available")


def test_what_is_gone_is_forgotten(publish, tmp_path, hashed):
    for day in range(1, 6):
        publish(f"2026_01_0{day}_T00_00_00")
    files, known = find_published(tmp_path), Digests(10**9)
    for _ in range(2):
        for file in files:
            known.find(file)
        known.wait()
        known.keep(files[1:])

    assert hashed.count(files[0].path.name) == 2
    assert len(hashed) == 6
