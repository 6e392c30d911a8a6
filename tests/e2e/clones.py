"""Makes the fresh clone that the stack is built and started from."""

import os
import shutil
import subprocess

from documentation import ROOT

SERVICES = ("backend", "frontend", "mlflow")
# Root gives the clone to somebody else.
OWNER = os.geteuid() or 12345


def make_clone(clone):
    """Copy what a fresh clone of the working tree holds; only its owner may read it."""
    git = ["git", "-c", f"safe.directory={ROOT}"]  # whoever owns it
    command = [*git, "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
    subprocess.run(["chmod", "-R", "go=", clone], check=True)
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", f"{OWNER}:{OWNER}", clone], check=True)
    return clone
