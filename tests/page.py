"""What a person does on the page, in a browser."""

from playwright.sync_api import Locator, Page, expect

SETOSA = {"Sepal length": "5.1", "Sepal width": "3.5", "Petal length": "1.4", "Petal width": "0.2"}
VIEWS = ("Predict", "Batch", "Models", "Monitoring")


def fill(tab: Page, values: dict[str, str]) -> None:
    for name, value in values.items():
        tab.get_by_role("spinbutton", name=name).fill(value)


def press(tab: Page, name: str) -> None:
    tab.get_by_role("button", name=name, exact=True).click()


def visit(tab: Page, view: str) -> None:
    """By the menu at the top."""
    tab.get_by_test_id("stTopNav").get_by_role("link", name=view, exact=True).click()
    expect(tab.get_by_role("heading", name=view, level=1)).to_be_visible()


def find_chart(tab: Page, name: str) -> Locator:
    """A chart that is drawn, by what a screen reader says of it."""
    return tab.locator(f'[role=graphics-document][aria-label="{name}"] svg')


def expect_answer(tab: Page, label: str) -> None:
    """The class, its bars and the model that answered are on the page."""
    expect(tab.get_by_test_id("stMetricValue")).to_have_text(label)
    expect(find_chart(tab, "Probability of each class")).to_be_visible()
    expect(tab.get_by_text("Answered by model")).to_be_visible()


def is_settled(tab: Page) -> None:
    expect(tab.get_by_test_id("stStatusWidget")).to_have_count(0)
