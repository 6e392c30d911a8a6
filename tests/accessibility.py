"""Looks for what keeps people out of a page."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

GRAVE = ("serious", "critical")


def find_barriers(tab: Page) -> list[str]:
    """What axe-core finds to be serious or worse, with the first element of each."""
    violations = Axe().run(tab).response["violations"]
    return [f"{it['id']}: {it['nodes'][0]['html']}" for it in violations if it["impact"] in GRAVE]
