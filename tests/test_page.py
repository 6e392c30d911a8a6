"""The page in a browser: with a mouse, by keyboard, on a phone and in French."""

import csv
import re
import sys

import pyarrow.parquet as pq
import pytest
import requests
from accessibility import expect_no_barriers
from documentation import ROOT
from formats import write_workbook
from page import SETOSA, VIEWS, expect_answer, fill, find_chart, is_settled, press, visit
from playwright.sync_api import Error, expect
from processes import running_backend, running_frontend, train, wait_until
from python_calamine import CalamineWorkbook

sys.path.append(str(ROOT / "frontend/tests"))
from mixed import publish_iris

NEWER = "2026_11_21_T20_44_21"
DESKTOP = {"width": 1280, "height": 900}
# Between two species, so that the pictures show two bars.
UNSURE = "sepal_length=6.1&sepal_width=2.8&petal_length=4.8&petal_width=1.6"
NAMES = ("sepal_length", "sepal_width", "petal_length", "petal_width")
PHONE = {"viewport": {"width": 390, "height": 844}}
LABELS = ["setosa"] * 60 + ["versicolor"] * 90 + ["virginica"] * 50
HEADER = "sepal_length,sepal_width,petal_length,petal_width,colour\n"
ROWS = f"{HEADER}5.1,3.5,1.4,0.2,blue\n"


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    """A backend with a journal and a shadow, asked shifted rows of which some are labelled."""
    folder = tmp_path_factory.mktemp("backend")
    publish_iris(folder, C=0.1)
    publish_iris(folder, NEWER)
    journal = f"sqlite:///{folder}/journal.db"
    settings = {"JOURNAL": "on", "JOURNAL_URL": journal, "SHADOW": "challenger"}
    with running_backend(folder, **settings) as url:
        wait_until(lambda: predict(url, 0) and requests.get(f"{url}/monitoring").json()["shadow"])
        answers = [predict(url, it) for it in range(300)]
        labels = [
            {"prediction_id": it["prediction_id"], "label": label}
            for it, label in zip(answers, LABELS, strict=False)
        ]
        assert requests.post(f"{url}/feedback", json=labels, timeout=20).ok
        yield url


def predict(url, index):
    """One of 300 irises on their way from one species to the next, with ever wider sepals."""
    values = (5.8, 3 + index / 80, 1 + index / 50, 0.2 + index / 130)
    return requests.post(f"{url}/predict", json=dict(zip(NAMES, values, strict=True))).json()


@pytest.fixture(scope="module")
def url(backend):
    with running_frontend(backend) as url:
        yield url


def upload(tab, name, content):
    """A file of text or bytes."""
    content = content.encode() if isinstance(content, str) else content
    tab.locator("input[type=file]").set_input_files(
        {"name": name, "mimeType": "text/csv", "buffer": content}
    )
    # The file before it may still be shown, and its button be taken away.
    expect(tab.get_by_text(f"The first rows of {name}").first).to_be_visible()
    expect(tab.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


def download(tab, name, presses=3):
    """Press again if nothing comes: a run that ends meanwhile takes away the button's file."""
    expect(tab.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    try:
        with tab.expect_download(timeout=10_000) as waiting:
            press(tab, name)
    except Error:
        if presses == 1:
            raise
        return download(tab, name, presses - 1)
    return waiting.value.path()


def test_enter_predicts_and_shows_why_and_where_and_the_address_shares_it(url, tab, open_tab):
    tab.goto(url)
    fill(tab, SETOSA)
    tab.keyboard.press("Enter")
    expect(tab).to_have_url(re.compile("petal_width=0.2"))
    other = open_tab()
    other.goto(tab.url)

    for it in (tab, other):
        expect_answer(it, "setosa")
        expect(find_chart(it, "Why")).to_be_visible()
        for name in ("Sepal length (cm)", "Petal width (cm)"):
            expect(find_chart(it, f"Training rows by {name} and class")).to_be_visible()
        expect(it.get_by_role("spinbutton", name="Petal length")).to_have_value("1.4")
        assert it.faults == []


def test_the_history_can_be_downloaded(url, tab):
    tab.goto(url)
    press(tab, "Predict")
    expect_answer(tab, "versicolor")
    tab.get_by_text("This session's predictions (1)").click()

    [row] = csv.DictReader(download(tab, "Download as CSV").read_text("utf-8-sig").splitlines())
    assert row["prediction_class"] == "versicolor"
    assert row["petal_length"] == "4.35"


def test_a_template_and_a_table_are_predicted_and_downloaded(url, tab):
    tab.goto(url)
    visit(tab, "Batch")
    upload(tab, "template.csv", download(tab, "Download a template").read_text())
    press(tab, "Predict every row")
    expect(tab.get_by_text("Rows predicted: 3 in")).to_be_visible()

    upload(tab, "irises.csv", ROWS + "6.5,3.0,5.5,2.0,red\n" * 20_000)
    press(tab, "Predict every row")

    expect(tab.get_by_text("Rows predicted: 20,001 in")).to_be_visible()
    expect(find_chart(tab, "Rows by predicted class")).to_be_visible()
    rows = list(csv.DictReader(download(tab, "Download as CSV").read_text().splitlines()))
    assert len(rows) == 20_001
    assert [rows[0][name] for name in ("colour", "prediction_class")] == ["blue", "setosa"]
    assert pq.read_table(download(tab, "Download as Parquet")).num_rows == 20_001
    sheet = CalamineWorkbook.from_path(download(tab, "Download as Excel")).get_sheet_by_index(0)
    assert sheet.height == 20_002
    assert tab.faults == []


def test_formulas_are_guarded_in_csv_unless_switched_off(url, tab):
    tab.goto(url)
    visit(tab, "Batch")
    upload(tab, "irises.csv", f"{HEADER}5.1,3.5,1.4,0.2,=1+1\n")
    press(tab, "Predict every row")
    expect(tab.get_by_text("Rows predicted: 1 in")).to_be_visible()
    guarded = download(tab, "Download as CSV").read_text("utf-8-sig")

    tab.get_by_text("Guard formulas").click()
    expect(tab.get_by_role("switch", name="Guard formulas")).not_to_be_checked()
    exact = download(tab, "Download as CSV").read_text()

    assert [row["colour"] for row in csv.DictReader(guarded.splitlines())] == ["'=1+1"]
    assert [row["colour"] for row in csv.DictReader(exact.splitlines())] == ["=1+1"]
    expect(tab.get_by_role("button", name="Search: Predictions")).to_be_attached()
    expect(tab.get_by_role("button", name="Download as CSV: ")).to_have_count(0)
    assert tab.faults == []


def test_a_sheet_of_a_workbook_is_chosen_and_predicted(url, tab):
    names, row = csv.reader(ROWS.splitlines())
    sheets = {"Irises": [names, row], "More": [names, row, row]}
    tab.goto(url)
    visit(tab, "Batch")
    upload(tab, "irises.xlsx", write_workbook(**sheets))
    tab.get_by_role("combobox", name="Sheet to predict").click()
    tab.get_by_role("option", name="More").click()
    expect(tab.get_by_text("The first rows of irises.xlsx (2 in all)").first).to_be_visible()

    press(tab, "Predict every row")

    expect(tab.get_by_text("Rows predicted: 2 in")).to_be_visible()
    expect_no_barriers(tab)
    assert tab.faults == []


def test_a_french_browser_gets_a_french_page(url, open_tab):
    tab = open_tab(locale="fr-FR")
    tab.goto(url)
    tab.get_by_role("button", name="Prédire", exact=True).click()

    expect(tab.get_by_role("heading", name="Prédire", level=1)).to_be_visible()
    expect(tab.get_by_role("heading", name="Pourquoi")).to_be_visible()
    expect(tab.get_by_text("Entraîné de 4,3 à 7,9")).to_be_visible()
    expect(tab.locator("html")).to_have_attribute("lang", "fr")
    for view in ("Par lots", "Modèles", "Suivi"):
        visit(tab, view)
    assert tab.faults == []


def test_the_language_can_be_switched_and_stays(url, tab):
    tab.goto(url)
    tab.get_by_role("spinbutton", name="Sepal length").fill("6.6")
    tab.get_by_text("Français").click()
    expect(tab.get_by_role("heading", name="Prédire", level=1)).to_be_visible()
    expect(tab.get_by_role("spinbutton", name="Sepal length")).to_have_value("6.6")

    visit(tab, "Modèles")
    visit(tab, "Prédire")
    tab.reload()

    expect(tab.get_by_role("heading", name="Prédire", level=1)).to_be_visible()


def test_no_view_keeps_anybody_out_in_light_or_dark(url, tab):
    tab.goto(url)
    expect(tab.get_by_role("button", name="Predict", exact=True)).to_be_visible()
    expect_no_barriers(tab)

    fill(tab, SETOSA | {"Petal length": "0.5"})
    tab.keyboard.press("Enter")
    expect_answer(tab, "setosa")
    expect(find_chart(tab, "Why")).to_be_visible()
    expect_no_barriers(tab)

    visit(tab, "Batch")
    upload(tab, "irises.csv", ROWS)
    press(tab, "Predict every row")
    expect(tab.get_by_text("Rows predicted: 1 in")).to_be_visible()
    expect_no_barriers(tab)

    for view, last in (("Models", "Two versions"), ("Monitoring", "In the shadow")):
        visit(tab, view)
        expect(tab.get_by_role("heading", name=last)).to_be_visible()
        is_settled(tab)
        expect_no_barriers(tab)
    assert tab.faults == []


def test_on_a_phone_nothing_is_cut_off(url, open_tab):
    tab = open_tab(**PHONE)
    tab.goto(url)
    press(tab, "setosa")
    expect(tab.get_by_role("spinbutton", name="Petal length")).not_to_have_value("4.35")
    press(tab, "Predict")
    expect_answer(tab, "setosa")
    for view in VIEWS:
        tab.get_by_test_id("stExpandSidebarButton").click()
        tab.get_by_test_id("stSidebarNav").get_by_role("link", name=view, exact=True).click()
        tab.get_by_test_id("stSidebarCollapseButton").get_by_role("button").click()
        expect(tab.get_by_role("heading", name=view, level=1)).to_be_visible()
        is_settled(tab)
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        main = tab.get_by_test_id("stMain")
        assert main.evaluate("it => it.scrollWidth - it.clientWidth") <= 0


def test_monitoring_follows_the_traffic_and_leaves_the_reader_where_they_are(backend, url, tab):
    tab.set_viewport_size({"width": 1000, "height": 500})
    tab.goto(url)
    visit(tab, "Monitoring")
    requests_made = tab.get_by_test_id("stMetricValue").nth(1)
    before = requests_made.inner_text()
    main = tab.get_by_test_id("stMain")
    main.evaluate("it => it.scrollTo(0, 400)")
    expect(find_chart(tab, "Requests per second")).to_be_attached(timeout=10_000)
    scrolled = main.evaluate("it => it.scrollTop")

    requests.post(f"{backend}/predict", json=dict(zip(NAMES, (5, 3, 1, 0), strict=True)))

    expect(requests_made).not_to_have_text(before, timeout=10_000)
    assert main.evaluate("it => it.scrollTop") == scrolled > 0
    assert tab.faults == []


def test_drift_accuracy_and_shadow_are_shown(url, tab):
    tab.goto(url)
    visit(tab, "Monitoring")

    expect(tab.get_by_text("Shifted: ")).to_contain_text("Sepal width")
    drift = "Share of rows by Sepal width (cm), of the training table and predicted"
    expect(find_chart(tab, drift)).to_be_visible()
    expect(find_chart(tab, "Right and predicted classes")).to_be_visible()
    expect(tab.get_by_role("heading", name="In the shadow")).to_be_visible()
    assert tab.faults == []


def test_the_keyboard_alone_is_enough(url, tab):
    tab.goto(url)
    tab.get_by_role("button", name="setosa", exact=True).focus()
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("spinbutton", name="Petal length")).not_to_have_value("4.35")

    reached = []
    for _ in range(40):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.innerText"))
        if reached[-1] == "Predict":
            break
    tab.keyboard.press("Space")

    assert reached[-1] == "Predict"
    expect_answer(tab, "setosa")


@pytest.mark.soak
def test_the_documentation_shows_the_page_as_it_is(published, url, tmp_path, open_tab, request):
    """Take the documentation's pictures again with --screenshots, from three trainings."""
    folder = request.config.getoption("--screenshots")
    if folder:
        for seed in ("1", "2"):
            assert train(published.models_dir, published.runs_dir, "--seed", seed).returncode == 0
    with (
        running_backend(published.models_dir) as backend,
        running_frontend(backend) as trained,
    ):
        for name, options in {
            "predict": {},
            "predict-dark": {"color_scheme": "dark"},
            "predict-phone": PHONE,
            "predict-french": {"locale": "fr-FR"},
        }.items():
            tab = open_tab(**options)
            tab.goto(f"{trained}?{UNSURE}")
            expect(tab.get_by_test_id("stMetricValue")).to_have_text("versicolor")
            expect(tab.get_by_test_id("stExpander")).to_be_visible()
            take_picture(tab, folder or tmp_path, name)
        tab = open_tab()
        tab.goto(f"{trained}?{UNSURE}")
        visit(tab, "Batch")
        upload(tab, "irises.csv", HEADER + "".join(map(make_row, range(600))))
        press(tab, "Predict every row")
        expect(tab.get_by_text("Rows predicted: 600 in")).to_be_visible()
        take_picture(tab, folder or tmp_path, "batch")
        tab.set_viewport_size(DESKTOP)
        visit(tab, "Models")
        expect(tab.get_by_role("heading", name="Two versions")).to_be_visible()
        take_picture(tab, folder or tmp_path, "models")
    tab = open_tab()
    tab.goto(url)
    visit(tab, "Monitoring")
    expect(tab.get_by_role("heading", name="In the shadow")).to_be_visible()
    expect(find_chart(tab, "Requests per second")).to_be_visible()
    take_picture(tab, folder or tmp_path, "monitoring")


def make_row(index):
    """Between one species and the next, so that the bars differ."""
    petal = 1 + 5.9 * index / 600
    return f"5.8,{2.5 + index % 9 / 10},{petal:.1f},{petal / 2.8:.1f},blue\n"


def take_picture(tab, folder, name):
    """All of the view, however long it is."""
    is_settled(tab)
    for _ in range(2):  # what comes into sight is drawn, and may be longer
        height = tab.get_by_test_id("stMainBlockContainer").evaluate("it => it.scrollHeight")
        tab.set_viewport_size({"width": tab.viewport_size["width"], "height": height})
        tab.wait_for_timeout(1500)  # what moves has come to rest
    tab.screenshot(path=f"{folder}/{name}.png")
