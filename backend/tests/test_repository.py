import os
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import VERSION

from errors import FolderUnreadable, ModelRefused
from serving.naming import VERSION_FORMAT
from serving.repository import Pickle, find_published, read_manifest, require_name

NAME = f"model_{VERSION}.pkl"


def only(directory):
    [file] = find_published(directory)
    return file


def refusal(directory, max_bytes=1000):
    with pytest.raises(ModelRefused) as refused:
        Pickle(only(directory), max_bytes)
    return str(refused.value)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


OTHERS = "model.pkl model_2026_01_01_T00_00_00.pkl.tmp .model_2026_01_01_T00_00_00.pkl ~my.pkl"
OTHERS += " notes.txt my_model.json model_2026_01_01_T00_00_01.pkl.part .~lock.my_model.pkl#"

# Names that are no versions, with the right ones.
FREE, MODIFIED = "2025_01_01_T00_00_00", "2026_11_21_T20_44_20"
MISNAMED = {
    "my_model.pkl": MODIFIED,
    "model.joblib": MODIFIED,
    "Model.PKL": MODIFIED,
    "model_latest.pickle": MODIFIED,
    "model_2026_02_30_T00_00_00.pkl": MODIFIED,
    "iris 2.pkl": MODIFIED,
    "model_2025_01_01.pkl": FREE,
    "churn-2025-01-01.joblib": FREE,
    "20250101.pkl": FREE,
    "model_2025_01_01_T00_00_00.pkl.pkl": FREE,
    "model_2025_01_01_T00_00_00.PKL": FREE,
    "2025-01-01T02:03:04Z.pkl": "2025_01_01_T02_03_04",
    "model_2026_01_01_T00_00_00 (1).pkl": "2026_01_01_T00_00_02",
}


def test_the_order_is_that_of_names_that_are_dates_and_what_is_misnamed_comes_last(folder):
    names = ["2026_01_02_T00_00_00", "2999_01_01_T00_00_00", "2026_01_01_T00_00_00"]
    others = [*OTHERS.split(), "two\nlines.pkl", "no text \udcff.pkl"]
    for name in [*(f"model_{it}.pkl" for it in names), *others, *MISNAMED]:
        (folder / name).touch()

    found = [file.version for file in find_published(folder)]

    assert found[:4] == [*sorted(names, reverse=True), "model"]
    assert sorted(found[4:]) == sorted(MISNAMED)


def test_two_that_are_misnamed_are_told_two_names(folder):
    names = ["a.pkl", "b.joblib", "c 2025-01-01.pkl", "d 2025-01-01.pkl"]
    for name in names:
        (folder / name).touch()
        os.utime(folder / name, ns=(2**62, 2**62))

    right = {file.version: file.right_name for file in find_published(folder)}

    assert sorted(right) == names
    assert right[names[2:][0]] == f"model_{FREE}.pkl"
    assert len(set(right.values())) == len(names)


@pytest.mark.parametrize("name", MISNAMED)
def test_what_is_misnamed_is_told_a_free_name(folder, name):
    for taken in ("2026_01_01_T00_00_00", "2026_01_01_T00_00_01"):
        (folder / f"model_{taken}.pkl").touch()
    (folder / name).touch()
    modified = datetime.strptime(MODIFIED, VERSION_FORMAT).replace(tzinfo=UTC).timestamp()
    os.utime(folder / name, (modified, modified))
    *_, file = find_published(folder)

    with pytest.raises(
        ModelRefused, match=rf"Rename it to model_{MISNAMED[name]}\.pkl; the newest"
    ):
        require_name(file)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused_without_waiting_for_a_writer(folder, make):
    make(folder / NAME)

    assert refusal(folder) == f"{NAME} is not a regular file."


@contextmanager
def nobody():
    if os.geteuid() != 0:  # who may read everything
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_may_not_be_read_is_refused(folder):
    (folder / NAME).touch(mode=0o000)
    for parent in (folder, *folder.parents[:3]):
        parent.chmod(0o755)

    file = only(folder)

    with nobody(), pytest.raises(ModelRefused, match=f"may not read {NAME}. Check its owner"):
        Pickle(file, 1000)


def test_a_link_is_followed_within_the_folder_alone(folder):
    (folder.parent / "elsewhere").write_bytes(b"1")
    (folder / "..data").write_bytes(b"1")

    (folder / NAME).symlink_to("..data")
    assert Pickle(only(folder), 10).read() == b"1"
    (folder / NAME).unlink()
    (folder / NAME).symlink_to("../elsewhere")
    assert refusal(folder) == f"{NAME} is a link that leads out of the folder."
    for target in ("nowhere", NAME):
        (folder / NAME).unlink()
        (folder / NAME).symlink_to(target)
        assert NAME in refusal(folder)


def test_a_file_above_the_limit_is_not_read(folder):
    with (folder / NAME).open("wb") as file:
        file.truncate(2 * 1024**3)

    assert refusal(folder) == f"{NAME} has 2147483648 bytes; MAX_MODEL_BYTES allows 1000."


NO_JSON = ("", "{", "[]", '{"a": NaN}', "\udcff", r'{"a": "\ud800"}', "\ufeff{}")
DEEP = ("[" * 1024**2, '{"a":' * 100_000, "[" * 300 + "]" * 300)


@pytest.mark.parametrize("content", NO_JSON + DEEP)
def test_a_manifest_that_is_not_json_is_refused(folder, content):
    (folder / NAME).touch()
    (folder / NAME).with_suffix(".json").write_bytes(content.encode(errors="surrogateescape"))

    with pytest.raises(ModelRefused, match=r"is not (a )?JSON"):
        read_manifest(only(folder))


def test_a_manifest_above_a_megabyte_is_not_read_and_the_reason_says_what_to_do(folder):
    (folder / NAME).touch()
    path = (folder / NAME).with_suffix(".json")
    whole = '{"a": ""}'
    path.write_text(whole.replace('""', '"' + "x" * (1024**2 - len(whole)) + '"'))
    assert read_manifest(only(folder))
    path.write_text(path.read_text() + " ")

    with pytest.raises(ModelRefused, match=r"1048577 bytes.*at most 1048576.*--republish"):
        read_manifest(only(folder))


def test_a_folder_that_cannot_be_listed_says_why_and_what_to_do(folder):
    (folder / NAME).touch()
    (folder.parent / "link").symlink_to("nowhere")
    said = {folder / "gone": "no models folder", folder / NAME: "is a file"}
    said |= {folder.parent / "link": "no models folder"}

    for path, why in said.items():
        with pytest.raises(FolderUnreadable, match=f"{why}.*MODELS_DIR"):
            find_published(path)
