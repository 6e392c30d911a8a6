"""The page in a browser, while the backend goes and comes."""

from page import SETOSA, expect_answer, fill
from playwright.sync_api import expect
from processes import find_free_port, running_backend, running_frontend

AWAY = "The backend does not answer."


def test_the_form_appears_by_itself_once_the_backend_is_there(published, tab):
    port = find_free_port()
    with running_frontend(f"http://127.0.0.1:{port}") as url:
        tab.goto(url)
        expect(tab.get_by_text(AWAY)).to_be_visible()

        with running_backend(published.models_dir, port):
            expect(tab.get_by_role("button", name="Predict")).to_be_visible(timeout=15_000)
            expect(tab.get_by_text(AWAY)).to_be_hidden()


def test_what_was_typed_survives_a_backend_that_goes_and_comes(published, tab):
    port = find_free_port()
    with running_frontend(f"http://127.0.0.1:{port}") as url:
        with running_backend(published.models_dir, port):
            tab.goto(url)
            fill(tab, SETOSA)
        tab.keyboard.press("Enter")
        expect(tab.get_by_text(AWAY).first).to_be_visible(timeout=15_000)
        expect(tab.get_by_text("Traceback")).to_be_hidden()

        with running_backend(published.models_dir, port):
            expect(tab.get_by_text(AWAY)).to_have_count(0, timeout=15_000)
            tab.get_by_role("button", name="Predict").click()
            expect_answer(tab, "setosa")
