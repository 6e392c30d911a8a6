"""Names the files of the repository that pages link to, where the site has no copy of them."""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.pages import Page

LINK = re.compile(r"\[(?P<text>[^\]]+)\]\((?P<path>\.\./[^)#\s]+)\)")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    docs = Path(config.docs_dir)
    folder = (docs / page.file.src_uri).parent

    def name(link: re.Match[str]) -> str:
        target = (folder / link["path"]).resolve()
        return link["text"] if target.exists() and docs not in target.parents else link[0]

    return LINK.sub(name, markdown)
