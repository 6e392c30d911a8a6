"""Finds a browser, or fetches one."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from debian import install
from playwright.sync_api import Browser, sync_playwright

NAMES = ("google-chrome", "google-chrome-stable", "chromium", "chromium-browser")
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"

# Without the last four it looks up its maker's hosts, which a test machine may not reach.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def running_browser() -> Iterator[Browser]:
    """A headless Chrome or Chromium."""
    executable = _find() or _install()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


def _find() -> str | None:
    found = filter(None, map(shutil.which, NAMES))
    return next(found, MAC if Path(MAC).exists() else None)


def _install() -> str | None:
    """Debian's where that is possible, else Playwright's own, which it then finds itself."""
    if os.geteuid() == 0 and shutil.which("apt-get") and _is_debian():
        install("chromium", "fonts-dejavu-core")
        return _find()
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)
    return None


def _is_debian() -> bool:
    # Ubuntu's package of that name is a snap, which a container cannot run.
    return "\nID=debian\n" in "\n" + Path("/etc/os-release").read_text()
