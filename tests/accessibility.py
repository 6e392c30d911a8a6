"""Looks for what keeps people out of a page."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

GRAVE = ("serious", "critical")
LOOKS = 5


def expect_no_barriers(tab: Page) -> None:
    """None that axe-core finds to be serious, once all is drawn: until then it may be pale."""
    for _ in range(LOOKS):
        found = _find_barriers(tab)
        if not found:
            return
        tab.wait_for_timeout(500)
    raise AssertionError(found)


def _find_barriers(tab: Page) -> list[str]:
    """With the first element of each."""
    violations = Axe().run(tab).response["violations"]
    return [f"{it['id']}: {it['nodes'][0]['html']}" for it in violations if it["impact"] in GRAVE]
