"""Puts Mermaid into the site, which else would load it from another host."""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

PACKAGE = "mermaid@11.17.2"
SCRIPT = "package/dist/mermaid.min.js"
SHA256 = "581ed7d74bd9048d0e3a91363927d72ef22942d7722546b27f7cc29e35390eb8"
# mkdocs.yml has it among its scripts: where `mermaid` is known, the theme fetches no other.
ADDRESS = "assets/mermaid.min.js"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    kept = Path(config.config_file_path).parent / ".docs_cache" / "mermaid.min.js"
    if not kept.exists():
        _fetch(kept)
    if hashlib.sha256(kept.read_bytes()).hexdigest() != SHA256:
        raise PluginError(f"{kept} is not {PACKAGE}. Remove it, and build again.")
    files.append(File.generated(config, ADDRESS, abs_src_path=str(kept)))
    return files


def _fetch(path: Path) -> None:
    """Once, by npm, from whichever registry that asks."""
    if not shutil.which("npm"):
        raise PluginError(f"The diagrams need {PACKAGE}, and there is no npm. Install Node.js.")
    path.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", PACKAGE, "--pack-destination", folder]
        if subprocess.run(command, check=False).returncode:
            raise PluginError(f"npm could not fetch {PACKAGE}; what it says is above.")
        [archive] = Path(folder).glob("*.tgz")
        shutil.unpack_archive(archive, folder, filter="data")
        shutil.copy(Path(folder) / SCRIPT, path)
