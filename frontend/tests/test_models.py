import pytest
import requests
from drawn import find_chart
from mixed import boolean, category, number, publish
from processes import find_free_port, running_backend, wait_until

import texts

OLDER, NEWER = "2026_11_21_T20_44_20", "2026_11_21_T20_44_21"
FEATURES = [number("age"), boolean("tagged"), category("sex", ["female", "male"])]


def serve(models_dir):
    return running_backend(models_dir, find_free_port())


def wait_until_ready(url, version):
    def is_live():
        return requests.get(f"{url}/health/ready", timeout=5).json().get("model_version") == version

    wait_until(is_live)


def said(page):
    kinds = (page.markdown, page.caption, page.error, page.warning, page.info)
    return [element.value.replace("\\", "") for kind in kinds for element in kind]


def test_every_version_is_listed_newest_first(open_page, tmp_path):
    publish(tmp_path, FEATURES, OLDER)
    publish(tmp_path, FEATURES, NEWER)
    (tmp_path / "model_2026_11_21_T20_44_22.pkl").write_bytes(b"no pickle")
    with serve(tmp_path) as url:
        wait_until_ready(url, NEWER)
        page = open_page(url, "models")

    table = page.dataframe[0].value
    assert list(table["State"]) == ["refused", "live", "available"]
    assert list(table["Version"]) == ["2026_11_21_T20_44_22", NEWER, OLDER]
    assert table["log_loss"][1] == "0.100 ± 0.020"
    assert table["SHA-256 of the table"][1] == "5" * 12
    assert table["Signature"][1] == "not signed"
    assert table["Engine"][1]
    assert "is no pickle" in table["Reason"][0]


def test_a_refused_version_says_why(open_page, tmp_path):
    publish(tmp_path, FEATURES, OLDER)
    (tmp_path / f"model_{NEWER}.pkl").write_bytes(b"no pickle")
    with serve(tmp_path) as url:
        wait_until_ready(url, OLDER)
        page = open_page(url, "models")

    assert page.selectbox(key="one version").value == NEWER
    assert page.error[0].value.startswith("Refused")


def test_quality_is_drawn_with_its_standard_error(open_page, tmp_path):
    publish(tmp_path, FEATURES, OLDER)
    publish(tmp_path, FEATURES, NEWER)
    with serve(tmp_path) as url:
        wait_until_ready(url, NEWER)
        page = open_page(url, "models")

    rows = find_chart(page, texts.QUALITY()).rows
    assert [row["version"] for row in rows] == [NEWER, OLDER]
    assert [rows[0]["low"], rows[0]["high"]] == pytest.approx([0.08, 0.12])


def test_the_command_to_go_back_to_a_version_can_be_copied(open_page, tmp_path):
    publish(tmp_path, FEATURES, OLDER)
    publish(tmp_path, FEATURES, NEWER)
    with serve(tmp_path) as url:
        wait_until_ready(url, NEWER)
        page = open_page(url, "models")
        assert f"--republish {NEWER}" not in [code.value for code in page.code]

        page.selectbox(key="one version").set_value(OLDER).run()

    assert f'make train ARGS="--republish {OLDER}"' in [code.value for code in page.code]


def test_a_run_is_linked_as_the_browser_reaches_it(iris_url, open_page, monkeypatch):
    monkeypatch.setenv("MLFLOW_UI_URL", "http://mlflow.example:8443/")
    page = open_page(iris_url, "models")

    live = requests.get(f"{iris_url}/models/live", timeout=5).json()
    run = live["manifest"]["mlflow"]["run_id"]
    assert page.get("link_button")[0].proto.url == f"http://mlflow.example:8443/#/runs/{run}"


def test_a_run_is_named_where_no_browser_reaches_mlflow(iris_url, open_page, monkeypatch):
    monkeypatch.setenv("MLFLOW_UI_URL", "none")
    page = open_page(iris_url, "models")

    live = requests.get(f"{iris_url}/models/live", timeout=5).json()
    assert texts.RUN(run=live["manifest"]["mlflow"]["run_id"]) in said(page)
    assert not page.get("link_button")


def test_a_version_without_a_run_says_so(mixed_url, open_page):
    page = open_page(mixed_url, "models")

    assert texts.NO_RUN() in said(page)
    assert not page.get("link_button")


def test_two_versions_are_asked_the_same(open_page, tmp_path):
    publish(tmp_path, FEATURES, OLDER)
    publish(tmp_path, FEATURES, NEWER)
    with serve(tmp_path) as url:
        wait_until_ready(url, NEWER)
        page = open_page(url, "models")
        instance = requests.get(f"{url}/models/live", timeout=5).json()["manifest"]["examples"][0]
        answer = requests.post(f"{url}/predict", json=instance["inputs"], timeout=5).json()

    for version in (OLDER, NEWER):
        assert f"{version}: **{answer['prediction_class']}**" in said(page)
    rows = find_chart(page, texts.COMPARE()).rows
    assert {(row["name"], row["of"]) for row in rows} == {
        (name, version) for name in ("no", "yes") for version in (OLDER, NEWER)
    }


def test_a_version_that_takes_other_values_says_so(open_page, tmp_path):
    publish(tmp_path, [number("height")], OLDER)
    publish(tmp_path, FEATURES, NEWER)
    with serve(tmp_path) as url:
        wait_until_ready(url, NEWER)
        page = open_page(url, "models")

    assert not page.exception
    assert [it for it in said(page) if it.startswith(f"{OLDER}: ") and "height is missing" in it]


def test_one_version_cannot_be_compared_yet(mixed_url, open_page):
    page = open_page(mixed_url, "models")

    assert texts.ONE_MODEL_ONLY() in said(page)


def test_a_model_that_goes_live_is_said_and_listed(open_page, tmp_path):
    publish(tmp_path, FEATURES, OLDER)
    with serve(tmp_path) as url:
        wait_until_ready(url, OLDER)
        page = open_page(url, "models")
        publish(tmp_path, FEATURES, NEWER)
        wait_until_ready(url, NEWER)

        page.run()

    assert NEWER in page.toast[0].value.replace("\\", "")
    assert list(page.dataframe[0].value["Version"]) == [NEWER, OLDER]


def test_an_empty_folder_says_how_to_train(open_page, tmp_path):
    with serve(tmp_path) as url:
        page = open_page(url, "models")

    assert not page.exception
    assert "make train" in [code.value for code in page.code]


def test_a_backend_that_is_away_is_one_sentence(open_page):
    page = open_page("http://127.0.0.1:9", "models")

    assert not page.exception
    assert texts.BACKEND_AWAY() in said(page)
