"""What a worker and the process that writes its journal tell each other."""

import marshal
from collections.abc import Sequence
from typing import NamedTuple

from identifiers import read_milliseconds
from journal.tally import Counted
from schemas import Description, Value

# Of one prediction: its id, the index of its class, the probabilities, the values.
Row = tuple[str, int, list[float] | None, list[Value]]


class Singles(NamedTuple):
    """Predictions of one version, made at nearly the same time."""

    version: str
    rows: int
    moment: float  # seconds since 1970
    packed: bytes

    @property
    def size(self) -> int:
        return len(self.packed)

    def read(self) -> list[Row]:
        rows: list[Row] = marshal.loads(self.packed)  # noqa: S302  # of our own process
        return rows


def join(records: Sequence[Singles]) -> list[Row]:
    """The rows of several, in their order."""
    return [row for record in records for row in record.read()]


class TableEntry(NamedTuple):
    """A table that was predicted: one entry, whatever its rows."""

    identifier: str
    version: str
    rows: int
    counted: Counted

    @property
    def moment(self) -> float:
        return read_milliseconds(self.identifier) / 1000

    @property
    def size(self) -> int:
        return 8 * sum(len(counts) for counts in self.counted.features) + 200


Record = Singles | TableEntry


class Delivery(NamedTuple):
    """Records in the order they came in, with what is not known yet of their versions.

    Where the writer is behind, the shadow has no time for them.
    """

    records: list[Record]
    descriptions: dict[str, Description]
    live_version: str | None
    is_behind: bool


class Receipt(NamedTuple):
    """Whether a delivery is written: else `trouble` says why not; `lost` cannot be written ever."""

    trouble: str | None = None
    lost: int = 0


def pack(version: str, rows: list[Row]) -> Singles:
    """A third of the time that pickle takes; both ends are of one Python."""
    moment = read_milliseconds(rows[0][0]) / 1000
    return Singles(version, len(rows), moment, marshal.dumps(rows))
