"""What a worker and the process that writes its journal tell each other."""

import marshal
from typing import Any, NamedTuple

from features.counts import TableCounts
from instrumentation.identifiers import make_identifier, read_milliseconds
from schemas import Description, Value

# Of one prediction: its id, the index of its class, the probabilities, the values.
Row = tuple[str, int, list[float] | None, list[Value]]
# A table's id, its rows, and these counted by feature and bin, and by class.
Table = tuple[str, int, list[int], list[int]]
Name = tuple[str, str]  # version and sha256, as a model.pkl may be replaced


class Record(NamedTuple):
    """Predictions of one model, made at nearly the same time; or a table of any number of rows."""

    model: Name
    rows: int
    moment: float  # seconds since 1970
    is_table: bool
    packed: bytes

    def read(self) -> Any:
        """A list of Row, or a Table."""
        return marshal.loads(self.packed)  # noqa: S302  # of our own process


class Delivery(NamedTuple):
    """Records in the order they came in, with what is not known yet of their models.

    Where the writer is behind, the shadow has no time for them.
    """

    records: list[Record]
    descriptions: dict[Name, Description]
    live_version: str | None
    is_behind: bool


class Receipt(NamedTuple):
    """Whether a delivery is written: else `trouble` says why not; `lost` cannot be written ever."""

    trouble: str | None = None
    lost: int = 0


def name(description: Description) -> Name:
    return description.version, description.sha256


def pack(model: Name, rows: list[Row]) -> Record:
    """A third of the time that pickle takes; both ends are of one Python."""
    moment = read_milliseconds(rows[0][0]) / 1000
    return Record(model, len(rows), moment, False, marshal.dumps(rows))


def pack_table(model: Name, counts: TableCounts) -> Record:
    identifier = make_identifier()
    table = (identifier, counts.rows, counts.features.tolist(), counts.classes.tolist())
    moment = read_milliseconds(identifier) / 1000
    return Record(model, counts.rows, moment, True, marshal.dumps(table))
