"""The documentation's site is built without a warning, and asks nobody but its own server."""

import re
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml
from documentation import ROOT
from playwright.sync_api import expect
from processes import environment

DIAGRAMS = {"explanation/architecture/": 5, "models/": 1, "fr/": 1, "how-to/azure/": 1}


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [ROOT / ".venv/bin/mkdocs", "build", "--strict", "--site-dir", folder]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def site(folder):
    handler = partial(Handler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def pages(folder):
    return sorted(f"{it.parent.relative_to(folder)}/" for it in folder.glob("**/index.html"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_drawn_and_asks_no_other_host(scheme, folder, site, open_tab):
    tab = open_tab(color_scheme=scheme)
    tab.on("response", lambda it: it.ok or it.status == 304 or tab.faults.append(it.url))

    for page in pages(folder):
        tab.goto(f"{site}/{page}", wait_until="networkidle")
        expect(tab.locator("h1")).to_be_visible()
        for index in range(DIAGRAMS.get(page, 0)):
            drawn = tab.locator("div.mermaid").nth(index)
            expect(drawn).to_be_visible()
            assert drawn.bounding_box()["height"] > 100, page
        assert tab.locator("pre.mermaid").count() == 0, page
        assert tab.faults == [], page


def test_a_search_finds_a_page(site, tab):
    tab.goto(site)
    tab.get_by_role("textbox", name="Search").fill("allow-list")

    expect(tab.get_by_role("link", name=re.compile("trusted")).first).to_be_visible()
    assert tab.faults == []


def test_every_route_of_the_backend_is_on_the_page_of_routes(folder):
    page = (folder / "reference/http/index.html").read_text()

    routes = set()
    for path in (ROOT / "backend/routes").glob("*.py"):
        routes |= set(re.findall(r"@router\.(?:get|post)\(\s*\"([^\"]+)\"", path.read_text()))
    assert len(routes) > 15
    for route in routes:
        assert re.search(rf"(?:GET|POST) {re.escape(route)}", page), route
    assert "sepal_length" in page


def test_every_page_is_in_the_menu_once():
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("", lambda *_: None)
    config = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)

    listed = re.findall(r"[\w/-]+\.md", str(config["nav"]))
    found = {it.relative_to(ROOT / "docs").as_posix() for it in ROOT.glob("docs/**/*.md")}
    assert sorted(listed) == sorted(found | {"reference/http.md"})  # made when it is built
