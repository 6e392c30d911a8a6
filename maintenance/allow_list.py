"""Adds to the backend's allow-list every name that a known good pickle needs to load.

Run it when scikit-learn is upgraded or the trainer has a new candidate, with each Python that is
supported, as names differ between the libraries' versions; then read the difference:

    make allow-list
"""

import io
import sys
import tempfile
from pathlib import Path

from joblib.numpy_pickle import NumpyUnpickler

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from pickles import dump_candidates, dump_usual
from processes import ROOT

FILE = ROOT / "backend/worker/allow_list.txt"


class NotingUnpickler(NumpyUnpickler):
    """Loads a pickle of our own making and keeps the names it asks for."""

    def __init__(self, pickled: bytes) -> None:
        super().__init__("", io.BytesIO(pickled), ensure_native_byte_order=True)
        self.names: set[tuple[str, ...]] = set()

    def find_class(self, module: str, name: str) -> object:
        self.names.add((module, name))
        return super().find_class(module, name)


def list_names(pickled: bytes) -> set[tuple[str, ...]]:
    unpickler = NotingUnpickler(pickled)
    unpickler.load()
    return unpickler.names


def main(folder: Path) -> None:
    dump_usual(folder)
    dump_candidates(folder)
    pickles = [path.read_bytes() for path in folder.glob("*.pkl")]
    listed = {tuple(line.split()) for line in FILE.read_text().splitlines()}
    names = listed.union(*map(list_names, pickles))
    FILE.write_text("".join(f"{module} {name}\n" for module, name in sorted(names)))
    print(f"{len(names)} names, from {len(pickles)} pickles, in {FILE.relative_to(ROOT)}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))
