"""What a worker and the process that writes its journal tell each other."""

import marshal
from typing import Any, NamedTuple

from features.counts import TableCounts
from instrumentation.identifiers import make_identifier, read_milliseconds
from schemas import Description, Value

# Of one prediction: its id, the index of its class, the probabilities, the values.
Row = tuple[str, int, list[float] | None, list[Value]]
# A table's id, its rows, and these counted by feature and bin, and by class.
CountedTable = tuple[str, int, list[int], list[int]]
Identity = tuple[str, str]  # version and sha256, as a model.pkl may be replaced


class Packet(NamedTuple):
    """Predictions of one model, made at nearly the same time; or a table of any number of rows."""

    model: Identity
    rows: int
    moment: float  # seconds since 1970
    is_table: bool
    packed: bytes

    def read(self) -> Any:
        """A list of Row, or a CountedTable."""
        return marshal.loads(self.packed)  # noqa: S302  # of our own process


class Delivery(NamedTuple):
    """Packets in the order they came in, with what is not known yet of their models.

    Where the writer is behind, the shadow has no time for them.
    """

    packets: list[Packet]
    descriptions: dict[Identity, Description]
    live_version: str | None
    is_behind: bool


class Receipt(NamedTuple):
    """Whether a delivery is written: else `trouble` says why not; `lost` cannot be written ever."""

    trouble: str | None = None
    lost: int = 0


def _identify(model: Description) -> Identity:
    return model.version, model.sha256


def pack_rows(model: Description, rows: list[Row]) -> Packet:
    """A third of the time that pickle takes; both ends are of one Python."""
    moment = read_milliseconds(rows[0][0]) / 1000
    return Packet(_identify(model), len(rows), moment, False, marshal.dumps(rows))


def pack_table(model: Description, counts: TableCounts) -> Packet:
    identifier = make_identifier()
    table = (identifier, counts.rows, counts.features.tolist(), counts.classes.tolist())
    moment = read_milliseconds(identifier) / 1000
    return Packet(_identify(model), counts.rows, moment, True, marshal.dumps(table))
