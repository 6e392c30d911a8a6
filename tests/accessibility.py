"""Looks for what keeps people out of a page."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page
from processes import wait_until

GRAVE = ("serious", "critical")
LOOKS = 10
DARKEST = 150  # red, green and blue of a dark background together
BACKGROUND = "it => getComputedStyle(it).backgroundColor.match(/\\d+/g).slice(0, 3)"


def expect_no_barriers(tab: Page) -> None:
    """Fail on barriers that axe-core finds serious: all kinds in light, contrast in dark.

    It looks again for a while, because text is pale until all is drawn.
    """
    _expect_none(tab, {})
    tab.emulate_media(color_scheme="dark")
    wait_until(lambda: _add_background(tab) < DARKEST)
    _expect_none(tab, {"runOnly": ["color-contrast"]})
    tab.emulate_media(color_scheme="light")
    wait_until(lambda: _add_background(tab) > DARKEST)


def _expect_none(tab: Page, options: dict[str, list[str]]) -> None:
    for _ in range(LOOKS):
        found = _find_barriers(tab, options)
        if not found:
            return
        tab.wait_for_timeout(500)
    raise AssertionError(found)


def _find_barriers(tab: Page, options: dict[str, list[str]]) -> list[str]:
    """With the first element of each."""
    violations = Axe().run(tab, options=options).response["violations"]
    return [f"{it['id']}: {it['nodes'][0]['html']}" for it in violations if it["impact"] in GRAVE]


def _add_background(tab: Page) -> int:
    return sum(map(int, tab.get_by_test_id("stApp").evaluate(BACKGROUND)))
