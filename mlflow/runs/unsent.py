"""The folder of records that MLflow could not take yet."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # its import takes seconds
    from runs.record import Record


class RecordFolder:
    """Keeps the records that MLflow does not have, each in a file that is whole or not there.

    They are pickles: the folder is the trainer's own, as its code is. Only the functions that
    pickle import joblib, which would double the time of a command without a training.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def keep(self, record: "Record") -> Path:
        """Replace what was kept of the record before; raises OSError if that cannot be written."""
        import joblib  # noqa: PLC0415  # as above

        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / f"run_{record.started_at}_{record.key}.joblib"
        hidden = path.with_name(f".{path.name}.tmp")
        try:
            joblib.dump(record, hidden)
            hidden.rename(path)
        finally:
            hidden.unlink(missing_ok=True)
        return path

    def find(self) -> list[Path]:
        """Oldest first."""
        return sorted(self._directory.glob("run_*.joblib"))


def read_record(path: Path) -> "Record":
    import joblib  # noqa: PLC0415  # as above

    record: Record = joblib.load(path)
    return record
