import hashlib
import json
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime

import joblib
import pytest

from publishing import has_model, publish

NOW = datetime(2026, 11, 21, 20, 44, 20, tzinfo=UTC)
MANIFEST = {"name": "iris", "examples": []}

OUT_OF_SPACE = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
from publishing import publish
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))  # the manifest fits, the model does not
publish(b"x" * 10_000, {"name": "iris"}, Path(sys.argv[1]), datetime.now(UTC))
"""


def publish_one(directory):
    return publish([1, 2, 3], MANIFEST, directory, NOW)


def test_a_published_model_has_its_complete_manifest(tmp_path):
    path = publish_one(tmp_path)

    manifest = json.loads(path.with_suffix(".json").read_text())
    assert path.name == "model_2026_11_21_T20_44_20.pkl"
    assert manifest["version"] == "2026_11_21_T20_44_20"
    assert manifest["created_at"] == "2026-11-21T20:44:20Z"
    assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert manifest["size"] == path.stat().st_size
    assert joblib.load(path) == [1, 2, 3]


def test_nothing_but_model_and_manifest_is_left(tmp_path):
    path = publish_one(tmp_path)

    assert set(tmp_path.iterdir()) == {path, path.with_suffix(".json")}


def test_a_second_model_in_one_second_takes_the_next(tmp_path):
    names = [publish_one(tmp_path).stem for _ in range(3)]

    assert [name[-2:] for name in names] == ["20", "21", "22"]


def test_a_new_model_is_newer_than_any_name(tmp_path):
    (tmp_path / "model_2026_12_31_T23_59_59.pkl").touch()

    assert publish_one(tmp_path).stem == "model_2027_01_01_T00_00_00"


def test_a_manifest_without_its_model_keeps_its_name(tmp_path):
    (tmp_path / "model_2026_11_21_T20_44_20.json").touch()

    assert publish_one(tmp_path).stem == "model_2026_11_21_T20_44_21"


@pytest.mark.parametrize("name", ["model_latest.pkl", "model_2026_13_01_T00_00_00.pkl"])
def test_a_name_that_is_no_date_is_ignored(tmp_path, name):
    (tmp_path / name).touch()

    assert publish_one(tmp_path).stem == "model_2026_11_21_T20_44_20"


def test_writers_at_once_get_a_name_each(tmp_path):
    with ProcessPoolExecutor(4) as pool:
        paths = list(pool.map(publish_one, [tmp_path] * 20))

    assert len(set(paths)) == 20
    for path in paths:
        manifest = json.loads(path.with_suffix(".json").read_text())
        assert manifest["version"] == path.stem.removeprefix("model_")


def test_a_full_disk_leaves_nothing_a_reader_takes(tmp_path):
    command = [sys.executable, "-c", OUT_OF_SPACE, str(tmp_path)]

    failed = subprocess.run(command, capture_output=True, text=True)

    assert "OSError" in failed.stderr
    assert not has_model(tmp_path)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("name", ["model_2026_11_21_T20_44_20.pkl", "model.pkl"])
def test_a_folder_with_a_pickle_has_a_model(tmp_path, name):
    assert not has_model(tmp_path)

    (tmp_path / name).touch()

    assert has_model(tmp_path)
