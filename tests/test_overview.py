"""The picture on the first page: the tutorial's table, an answer with its why, and drift.

Make it again with `pytest tests/test_overview.py -m soak --screenshots docs/images`.
"""

import html
import re
import struct
from base64 import b64encode
from pathlib import Path
from string import Template

import pytest
from documentation import ROOT, read_blocks
from guides import made_stack, run_block
from playwright.sync_api import expect

PANEL = {"viewport": {"width": 346, "height": 5000}, "device_scale_factor": 1.17}
AXIS = 66  # pixels below bars whose values stand beside them
TITLE = 40  # pixels below a chart, which its heading names
# Between two grapes, so that the picture shows two bars.
UNSURE = "alcohol=13.1&malic_acid=2.2&flavanoids=2&color_intensity=5&hue=0.9&proline=760"
CANDIDATES = 6
SHOWN = ("alcohol", "flavanoids", "proline", "grape")
WORDS = {
    "en-US": ("overview", "Give it a table", "Ask, and see why", "Know when it no longer fits"),
    "fr-FR": ("overview-french", "Un tableau", "Une réponse expliquée", "Une dérive signalée"),
}


@pytest.mark.soak
def test_the_overview_is_made_by_following_the_tutorial(published, tmp_path, open_tab, request):
    folder = request.config.getoption("--screenshots") or tmp_path
    with made_stack(tmp_path / "clone", published.models_dir) as stack:
        trained = follow_until_drift(stack)
        rows = (stack.folder / "data/wines.csv").read_text().splitlines()
        url = stack.url("8001")
        for locale, (name, *words) in WORDS.items():
            tab = open_tab(locale=locale, **PANEL)
            pictures = take_answer(tab, url) | take_drift(tab, url)
            texts = dict(zip(("table", "answer", "drift"), words, strict=True))
            template = Template((ROOT / "tests/overview.html").read_text())
            page = template.substitute(texts, **pictures, **show_table(rows, trained))
            draw(open_tab(), page, Path(folder, f"{name}.png"), url)
            expect_a_light_picture(Path(folder, f"{name}.png"))


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_the_first_page_loads_fast(words):
    expect_a_light_picture(ROOT / f"docs/images/{words[0]}.png")


def follow_until_drift(stack):
    """Return the tutorial's training as a terminal shows it, with all candidates."""
    said = ""
    for block in read_blocks("docs/tutorial.md"):
        if block.code.startswith("make train"):
            command = block.code.replace(" --budget 0.5", "")
            said = f"$ {command}\n{run_block(command, stack.folder).stdout}"
        else:
            stack.follow(block)
        if "harvest.py 1" in block.code:
            break
    return said


def show_table(lines, said):
    """Some rows, the target last, and what the training said of accuracy."""
    columns = [lines[0].split(",").index(name) for name in SHOWN]
    rows = [[line.split(",")[it] for it in columns] for line in lines[1::40]]
    cells = [[f"<td>{it}" for it in row] for row in rows]
    body = "<tr>".join("".join(row) for row in [[f"<th>{it}" for it in SHOWN], *cells])
    command, *output = said.splitlines()
    found = re.findall(r"^(\w{2,26}) +\S+ ± \S+ (\S+ ± \S+)", said, re.MULTILINE)
    told = [f"{name:27}{accuracy}" for name, accuracy in found[:CANDIDATES]]
    chosen = [line.partition(":")[0] for line in output if line.startswith("Chosen")]
    version = re.findall(r"^Published .*(model_\w+)", said, re.MULTILINE)
    terminal = [command, "", f"{'':27}accuracy", *told, "…", *chosen, f"Published {version[0]}"]
    return {"rows": f"<table>{body}</table>", "training": html.escape("\n".join(terminal))}


def take_answer(tab, url):
    tab.goto(f"{url}?{UNSURE}")
    charts = wait_for_charts(tab, 3)
    shown = take(tab, tab.get_by_test_id("stMetric")) + take(tab, charts.nth(0), AXIS)
    shown += take(tab, tab.get_by_role("heading", level=2).first) + take(tab, charts.nth(1), AXIS)
    return {"answer_shown": shown}


def take_drift(tab, url):
    tab.goto(f"{url}/monitoring")
    warning = tab.get_by_test_id("stAlert")
    expect(warning).to_be_visible()
    charts = wait_for_charts(tab, 5)
    legend = tab.get_by_test_id("stHtml").filter(has_text="■").first
    most_shifted = charts.nth(3).locator("xpath=ancestor::*[@data-testid='stVerticalBlock'][1]")
    return {"drift_shown": take(tab, warning) + take(tab, legend) + take(tab, most_shifted, TITLE)}


def wait_for_charts(tab, count):
    charts = tab.locator("[role=graphics-document] svg")
    expect(charts.nth(count)).to_be_visible()
    tab.wait_for_timeout(3000)  # what moves has come to rest
    return charts


def take(tab, element, cut=0):
    """A picture as wide as the view, without the last pixels of the element."""
    box = element.bounding_box()
    clip = {**box, "x": 0, "width": PANEL["viewport"]["width"], "height": box["height"] - cut}
    picture = b64encode(tab.screenshot(clip=clip)).decode()
    return f'<img alt="" src="data:image/png;base64,{picture}">'


def draw(tab, page, path, url):
    """Draw at the page's address, whose fonts it takes."""
    tab.set_viewport_size({"width": 1280, "height": 600})
    tab.goto(url)
    wait_for_charts(tab, 0)
    tab.evaluate("it => { document.body.innerHTML = it }", page)
    tab.evaluate("document.body.offsetHeight && document.fonts.ready.then(() => true)")
    tab.screenshot(path=path)


def expect_a_light_picture(path):
    content = path.read_bytes()
    width, height = struct.unpack(">II", content[16:24])
    assert (width, height) == (1280, 600)
    assert len(content) < 200_000
