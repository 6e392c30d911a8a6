"""The page in a browser while its backend changes: newer models, strange ones, none at all."""

import re
import sys

from documentation import ROOT
from page import SETOSA, VIEWS, expect_answer, fill, is_settled, visit
from playwright.sync_api import expect
from processes import find_free_port, running_backend, running_frontend

sys.path.append(str(ROOT / "frontend/tests"))
from mixed import boolean, category, number, publish, publish_iris

AWAY = "The backend does not answer."
NEWER, NEWEST = "2026_11_21_T20_44_21", "2026_11_21_T20_44_22"
HOSTILE = ["<script>alert(1)</script>", "**bold**", "<img src=x onerror=alert(1)>", "a" * 200]


def test_a_new_model_goes_live_under_the_eyes_of_who_is_typing(tmp_path, tab):
    publish(tmp_path, [number("age"), category("sex", ["female", "male"])])
    with running_backend(tmp_path) as backend, running_frontend(backend) as url:
        tab.goto(url)
        tab.get_by_role("spinbutton", name="Age").fill("23")
        publish(tmp_path, [number("age"), boolean("tagged")], NEWER)

        expect(tab.get_by_text("A new model is live: LogisticRegression")).to_be_visible()
        expect(tab.get_by_text(f"version {NEWER}").first).to_be_visible()
        expect(tab.get_by_role("radiogroup", name="Tagged")).to_be_visible()
        expect(tab.get_by_role("spinbutton", name="Age")).to_have_value("23")
        expect(tab.get_by_role("combobox", name="Sex")).to_have_count(0)
        visit(tab, "Models")
        publish(tmp_path, [number("age")], NEWEST)
        expect(tab.get_by_text(f"version {NEWEST}").first).to_be_visible()
        assert tab.faults == []


def test_form_and_answer_appear_by_themselves_once_the_backend_is_there(tmp_path, tab):
    publish_iris(tmp_path)
    port = find_free_port()
    with running_frontend(f"http://127.0.0.1:{port}") as url:
        tab.goto(url)
        expect(tab.get_by_text(AWAY)).to_be_visible()

        with running_backend(tmp_path, port):
            expect(tab.get_by_role("button", name="Predict")).to_be_visible()
            expect(tab.get_by_text(AWAY)).to_be_hidden()
            fill(tab, SETOSA)
        tab.keyboard.press("Enter")
        expect(tab.get_by_text(AWAY).first).to_be_visible()
        expect(tab.get_by_text("Traceback")).to_be_hidden()

        with running_backend(tmp_path, port):
            expect(tab.get_by_text(AWAY)).to_have_count(0)
            expect_answer(tab, "setosa")


def test_hundreds_of_strange_names_are_shown_and_never_run(tmp_path, tab):
    features = [number(HOSTILE[2]), category("<b>sex</b>", HOSTILE, nullable=True)]
    features += [number(f"feature {index}", nullable=True) for index in range(200)]
    publish(tmp_path, features, classes=HOSTILE + [f"class {index}" for index in range(46)])
    with running_backend(tmp_path) as backend, running_frontend(backend) as url:
        tab.goto(url)
        tab.get_by_role("spinbutton", name="Feature 199 (a)").fill("20")
        tab.keyboard.press("Enter")

        names = "|".join(map(re.escape, [*HOSTILE, "class "]))
        expect(tab.get_by_test_id("stMetricValue")).to_have_text(re.compile(names))
        expect(tab.get_by_text("<b>sex</b>", exact=True).first).to_be_visible()
        expect(tab.get_by_role("button", name="Page 2", exact=False).first).to_be_visible()
        for view in VIEWS[1:]:
            visit(tab, view)
            is_settled(tab)
        assert tab.locator("img[src=x]").count() == 0
        assert tab.faults == []
