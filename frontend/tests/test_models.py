import pytest
import requests
from conftest import running_ready
from drawn import find_chart, said
from mixed import boolean, category, number, publish
from processes import find_free_port, running_backend

import texts

OLDEST, OLDER, NEWER, REFUSED = (f"2026_11_21_T20_44_2{second}" for second in range(4))
FEATURES = [number("age"), boolean("tagged"), category("sex", ["female", "male"])]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A backend with four versions, the oldest of other features, the newest refused."""
    folder = tmp_path_factory.mktemp("versions")
    publish(folder, [number("height")], OLDEST)
    publish(folder, FEATURES, OLDER)
    publish(folder, FEATURES, NEWER)
    (folder / f"model_{REFUSED}.pkl").write_bytes(b"no pickle")
    with running_ready(folder) as url:
        yield url


@pytest.fixture
def page(url, open_page):
    page = open_page(url, "models")
    assert not page.exception
    return page


def test_every_version_is_listed_newest_first_and_says_why_it_is_refused(page):
    table = page.dataframe[0].value
    assert list(table["State"]) == ["refused", "live", "available", "available"]
    assert list(table["Version"]) == [REFUSED, NEWER, OLDER, OLDEST]
    assert table["log_loss"][1] == "0.100 ± 0.020"
    assert table["SHA-256 of the table"][1] == "5" * 12
    assert table["Signature"][1] == "unsigned"
    assert table["Engine"][1]
    assert "is no pickle" in table["Reason"][0]
    assert page.selectbox(key="one version").value == REFUSED
    assert page.error[0].value.startswith("Refused")


def test_quality_is_drawn_with_its_standard_error(page):
    rows = find_chart(page, texts.QUALITY()).rows
    assert [row["version"] for row in rows] == [NEWER, OLDER, OLDEST]
    assert [rows[0]["low"], rows[0]["high"]] == pytest.approx([0.08, 0.12])


def test_the_command_to_go_back_to_a_version_can_be_copied(page):
    page.selectbox(key="one version").set_value(NEWER).run()
    assert f"--republish {NEWER}" not in "".join(code.value for code in page.code)

    page.selectbox(key="one version").set_value(OLDER).run()
    assert f'make train ARGS="--republish {OLDER}"' in [code.value for code in page.code]


@pytest.mark.parametrize("ui", ["http://mlflow.example:8443/", "none"])
def test_a_run_is_linked_where_a_browser_reaches_mlflow_else_named(
    iris_url, open_page, monkeypatch, ui
):
    monkeypatch.setenv("MLFLOW_UI_URL", ui)
    page = open_page(iris_url, "models")

    run = requests.get(f"{iris_url}/models/live", timeout=5).json()["manifest"]["mlflow"]["run_id"]
    links = [link.proto.url for link in page.get("link_button")]
    assert links == ([] if ui == "none" else [f"http://mlflow.example:8443/#/runs/{run}"])
    assert (texts.RUN(run=run) in said(page)) == (ui == "none")


def test_a_version_without_a_run_or_another_to_compare_with_says_so(mixed_url, open_page):
    page = open_page(mixed_url, "models")

    assert {texts.NO_RUN(), texts.ONE_MODEL_ONLY()} <= set(said(page))
    assert not page.get("link_button")


def test_two_versions_are_asked_the_same(page, url):
    instance = requests.get(f"{url}/models/live", timeout=5).json()["manifest"]["examples"][0]
    answer = requests.post(f"{url}/predict", json=instance["inputs"], timeout=5).json()

    for version in (OLDER, NEWER):
        assert f"{version}: **{answer['prediction_class']}**" in said(page)
    rows = find_chart(page, texts.COMPARE()).rows
    assert {(row["name"], row["of"]) for row in rows} == {
        (name, version) for name in ("no", "yes") for version in (OLDER, NEWER)
    }


def test_a_version_that_takes_other_values_says_so(page):
    page.selectbox(key="second version").set_value(OLDEST).run()

    assert not page.exception
    assert [
        line
        for line in said(page)
        if line.startswith(f"{OLDEST}: ") and "height is missing" in line
    ]


def test_before_the_first_training_the_page_says_how_to_train(open_page, tmp_path):
    with running_backend(tmp_path, find_free_port()) as url:
        form, models = open_page(url), open_page(url, "models")

    assert not [*form.exception, *models.exception]
    assert "No model is published yet" in form.warning[0].value
    assert "make train" in [code.value for code in models.code]
