"""The documentation's site is built without a warning, and asks nobody but its own server.

A warning is a page that the menu lacks, or a link that leads nowhere.
"""

import json
import re
import subprocess
import sys

import pytest
import requests
from documentation import ROOT
from playwright.sync_api import expect
from processes import find_free_port, running, wait_until
from shell import read

DIAGRAMS = {"explanation/architecture/": 4, "models/": 1, "fr/": 1, "how-to/azure/": 1}


@pytest.fixture(scope="module")
def folder(published, tmp_path_factory):
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    build = [ROOT / ".venv/bin/mkdocs", "build", "--strict", "--site-dir", folder]
    read(*build, DESCRIBED_MODELS_DIR=published.models_dir)
    return folder


@pytest.fixture(scope="module")
def site(folder):
    port = find_free_port()
    serve = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with running([*serve, "--directory", str(folder)], ".", subprocess.DEVNULL):
        wait_until(lambda: requests.get(f"http://127.0.0.1:{port}", timeout=5).ok)
        yield f"http://127.0.0.1:{port}"


def test_every_page_is_drawn_and_asks_no_other_host(folder, site, tab):
    tab.on("response", lambda it: it.ok or it.status == 304 or tab.faults.append(it.url))
    pages = sorted(f"{it.parent.relative_to(folder)}/" for it in folder.glob("**/index.html"))
    assert set(pages) > set(DIAGRAMS)

    for scheme, shown in (("light", pages), ("dark", DIAGRAMS)):
        tab.emulate_media(color_scheme=scheme)
        for page in shown:
            tab.goto(f"{site}/{page}")
            expect(tab.locator("h1")).to_be_visible()
            drawn = tab.locator("div.mermaid")
            expect(drawn).to_have_count(DIAGRAMS.get(page, 0))
            for diagram in drawn.all():
                assert diagram.bounding_box()["height"] > 100, page
            assert tab.locator("pre.mermaid").count() == 0, page
            assert tab.faults == [], page
    tab.wait_for_load_state("networkidle")
    assert tab.faults == []


def test_a_search_finds_a_page(site, tab):
    tab.goto(site)
    tab.get_by_role("textbox", name="Search").fill("allow-list")

    expect(tab.get_by_role("link", name=re.compile("trusted")).first).to_be_visible()
    assert tab.faults == []


def test_every_page_is_in_the_menu_once():
    listed = re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2])

    found = {it.relative_to(ROOT / "docs").as_posix() for it in ROOT.glob("docs/**/*.md")}
    assert sorted(listed) == sorted(found | {"reference/http.md"})  # made when it is built


def test_every_route_of_the_backend_is_on_the_page_of_routes(folder):
    page = (folder / "reference/http/index.html").read_text()
    document = json.loads((folder / "reference/openapi.json").read_text())["paths"]
    sources = "".join(path.read_text() for path in ROOT.glob("backend/routes/*.py"))
    routes = set(re.findall(r"@router\.(?:get|post)\(\s*\"([^\"]+)\"", sources))

    assert len(routes) > 15
    for route in routes:
        assert any(path.endswith(route.rstrip("/")) for path in document), route
    described = {f"{method.upper()} {path}" for path in document for method in document[path]}
    assert set(re.findall(r"<h3[^>]*>((?:GET|POST) [^\s<]+)", page)) == described
    assert "sepal_length" in page
