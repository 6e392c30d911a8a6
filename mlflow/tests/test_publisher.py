import hashlib
import json
import multiprocessing
import random
import resource
import signal
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from publishing.publisher import (
    KEYS,
    MAX_MANIFEST_BYTES,
    CannotRepublish,
    ManifestTooLarge,
    Publisher,
)
from publishing.signing import is_signed_by, sign

SPAWN = multiprocessing.get_context("spawn")
VERSION = "2026_11_21_T20_44_20"
NOW = datetime(2026, 11, 21, 20, 44, 20, tzinfo=UTC)
LATER = datetime(2026, 11, 22, tzinfo=UTC)
MANIFEST = dict.fromkeys(KEYS) | {"name": "iris", "examples": []}


def publish_one(directory, model=b"a pickle"):
    return Publisher(directory).publish(model, MANIFEST, NOW)


def manifest_of(path):
    return json.loads(path.with_suffix(".json").read_text())


def test_a_published_model_has_its_complete_manifest_and_nothing_else(tmp_path):
    path = publish_one(tmp_path)

    manifest = manifest_of(path)
    assert path.name == "model_2026_11_21_T20_44_20.pkl"
    assert manifest["version"] == VERSION
    assert manifest["created_at"] == "2026-11-21T20:44:20Z"
    assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert manifest["size"] == path.stat().st_size
    assert path.read_bytes() == b"a pickle"
    assert set(tmp_path.iterdir()) == {path, path.with_suffix(".json")}


def test_a_long_manifest_has_no_white_space_and_none_is_above_a_megabyte(tmp_path):
    publisher = Publisher(tmp_path)
    room = MAX_MANIFEST_BYTES - 5000

    long = publisher.publish(b"1", MANIFEST | {"params": [1] * (room // 2)}, NOW)
    with pytest.raises(ManifestTooLarge, match=r"1,\d+,\d+ bytes.*--drop"):
        publisher.publish(b"1", MANIFEST | {"params": "x" * MAX_MANIFEST_BYTES}, NOW)

    assert long.with_suffix(".json").stat().st_size <= MAX_MANIFEST_BYTES
    assert len(manifest_of(long)["params"]) == room // 2
    assert set(tmp_path.iterdir()) == {long, long.with_suffix(".json")}


def test_a_second_model_in_one_second_takes_the_next(tmp_path):
    publisher = Publisher(tmp_path)
    moments = [NOW + timedelta(seconds=after) for after in (0, 0, 0.3, 0.9, 3.1, 3.2)]

    paths = [publisher.publish(b"%d" % i, MANIFEST, now) for i, now in enumerate(moments)]

    assert [path.stem[-2:] for path in paths] == ["20", "21", "22", "23", "24", "25"]
    assert [path.read_bytes() for path in paths] == [b"0", b"1", b"2", b"3", b"4", b"5"]


@pytest.mark.parametrize(
    ("there", "made"),
    [
        ("model_2026_12_31_T23_59_59.pkl", "model_2027_01_01_T00_00_00"),
        ("model_2026_11_21_T20_44_20.json", "model_2026_11_21_T20_44_21"),
        ("model_latest.pkl", "model_2026_11_21_T20_44_20"),
        ("model_2026_13_01_T00_00_00.pkl", "model_2026_11_21_T20_44_20"),
    ],
)
def test_a_new_model_is_newer_than_any_name_that_is_a_date(tmp_path, there, made):
    (tmp_path / there).touch()

    assert publish_one(tmp_path).stem == made


def test_writers_at_once_get_a_name_each(tmp_path):
    with ProcessPoolExecutor(4, SPAWN) as pool:
        paths = list(pool.map(publish_one, [tmp_path] * 20))

    assert len(set(paths)) == 20
    for path in paths:
        assert manifest_of(path)["version"] == path.stem.removeprefix("model_")


def test_a_full_disk_leaves_nothing(tmp_path):
    limit = (resource.RLIMIT_FSIZE, (150_000, 150_000))  # the manifest fits, the model not
    with ProcessPoolExecutor(1, SPAWN, resource.setrlimit, limit) as pool:
        failed = pool.submit(publish_one, tmp_path, b"x" * 200_000)

    assert isinstance(failed.exception(), OSError)
    assert list(tmp_path.iterdir()) == []


def publish_for_ever(directory, started):
    started.set()
    manifest = MANIFEST | {"params": "x" * 100_000}
    while True:
        Publisher(directory).publish(b"x" * 1_000_000, manifest, datetime.now(UTC))


def kill_a_writer(directory, seconds):
    started = SPAWN.Event()
    writer = SPAWN.Process(target=publish_for_ever, args=(directory, started))
    writer.start()
    started.wait()
    writer.join(seconds)
    writer.kill()
    writer.join()
    assert writer.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("kills", [6, pytest.param(60, marks=pytest.mark.soak)])
def test_a_writer_killed_at_any_moment_leaves_only_complete_models(tmp_path, kills):
    moments = random.Random(0)
    for _ in range(kills):
        kill_a_writer(tmp_path, seconds=moments.uniform(0.0, 0.03))

        for path in tmp_path.glob("model_*.pkl"):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == manifest_of(path)["sha256"]

    publish_one(tmp_path)
    models, manifests = tmp_path.glob("*.pkl"), tmp_path.glob("*.json")
    assert {path.stem for path in models} == {path.stem for path in manifests}
    assert list(tmp_path.glob(".*")) == []


def test_what_a_dead_writer_left_is_removed_and_what_is_there_by_hand_is_not(tmp_path):
    for name in ("model_2026_01_01_T00_00_00.json", ".model_2026_01_01_T00_00_00.pkl.tmp"):
        (tmp_path / name).touch()
    by_hand = tmp_path / "model_2026_02_02_T00_00_00.json"
    by_hand.touch()

    path = publish_one(tmp_path)

    assert set(tmp_path.iterdir()) == {path, path.with_suffix(".json"), by_hand}


def test_with_a_key_the_manifest_is_signed_and_again_when_republished(tmp_path):
    key = Ed25519PrivateKey.generate()

    publisher = Publisher(tmp_path, key)
    manifest = manifest_of(publisher.publish(b"1", MANIFEST, NOW))
    again = manifest_of(publisher.republish(manifest["version"], LATER))

    assert manifest["signature"]["algorithm"] == "ed25519"
    assert is_signed_by(key.public_key(), manifest)
    assert is_signed_by(key.public_key(), again)
    assert not is_signed_by(key.public_key(), manifest | {"size": 7})
    assert not is_signed_by(Ed25519PrivateKey.generate().public_key(), manifest)


def test_a_republished_model_is_the_same_under_a_new_name(tmp_path):
    first = publish_one(tmp_path)

    again = Publisher(tmp_path).republish(VERSION, LATER)

    assert again.read_bytes() == first.read_bytes()
    assert again.name == "model_2026_11_22_T00_00_00.pkl"
    changed = {"version", "created_at", "republished_from"}
    before, after = manifest_of(first), manifest_of(again)
    assert {key for key in KEYS if before[key] != after[key]} == changed
    assert after["republished_from"] == VERSION


def test_a_manifest_from_before_a_key_was_known_is_republished_without_it(tmp_path):
    older = {key: value for key, value in MANIFEST.items() if key != "written"}
    Publisher(tmp_path, KEY).publish(b"1", older, NOW)

    again = manifest_of(Publisher(tmp_path, KEY).republish(VERSION, LATER))

    assert "written" not in again
    assert is_signed_by(KEY.public_key(), again)


KEY = Ed25519PrivateKey.generate()


def sign_by_another(path):
    manifest = manifest_of(path)
    manifest["signature"] = sign(manifest, Ed25519PrivateKey.generate())
    path.with_suffix(".json").write_text(json.dumps(manifest))


def test_an_unsigned_model_stays_unsigned_when_it_is_republished(tmp_path):
    publish_one(tmp_path)

    again = Publisher(tmp_path, KEY).republish(VERSION, LATER)

    assert manifest_of(again)["signature"] is None


@pytest.mark.parametrize(
    ("spoil", "key", "version", "said"),
    [
        (lambda path: path.write_bytes(b"another"), None, VERSION, "not the file its manifest"),
        (lambda path: path.with_suffix(".json").write_text("{}"), None, VERSION, "lacks keys, or"),
        (lambda path: path.with_suffix(".json").write_text("[]"), None, VERSION, "lacks keys, or"),
        (sign_by_another, KEY, VERSION, "not signed with this key"),
        (str, None, "2026_11_21_T20_44_21", "no complete version"),
        (str, None, "../../etc/passwd", "no complete version"),
    ],
)
def test_what_does_not_verify_is_not_republished(tmp_path, spoil, key, version, said):
    spoil(publish_one(tmp_path))

    with pytest.raises(CannotRepublish, match=said):
        Publisher(tmp_path, key).republish(version, LATER)


@pytest.mark.parametrize(
    ("name", "is_model"),
    [
        ("model_2026_11_21_T20_44_20.pkl", True),
        ("model.pkl", True),
        ("model_latest.pkl", False),  # which no backend takes
    ],
)
def test_a_folder_with_a_pickle_that_a_backend_takes_has_a_model(tmp_path, name, is_model):
    assert not Publisher(tmp_path).has_model()

    (tmp_path / name).touch()

    assert Publisher(tmp_path).has_model() == is_model
