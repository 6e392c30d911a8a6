"""What a person does on the page, in a browser."""

from playwright.sync_api import Page, expect

SETOSA = {"Sepal length": "5.1", "Sepal width": "3.5", "Petal length": "1.4", "Petal width": "0.2"}


def fill(tab: Page, values: dict[str, str]) -> None:
    for name, value in values.items():
        tab.get_by_role("spinbutton", name=name).fill(value)


def expect_answer(tab: Page, label: str) -> None:
    """The class, its bars and the model that answered are on the page."""
    expect(tab.get_by_test_id("stMetricValue")).to_have_text(label)
    expect(tab.get_by_test_id("stVegaLiteChart")).to_be_visible()
    expect(tab.get_by_text("Answered by model")).to_be_visible()
