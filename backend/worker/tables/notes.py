"""Finds the rows of a text table that are no data: units below the header, totals at the end."""

import csv
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from worker.exchange import Array
from worker.tables.cells import BLANKS, MISSING, CellReader, is_text

MOST_LAST = 3  # rows at the end; if more look like notes, none of them is one
FEW = 3  # features of which a row of data has more than one
COMPARED_ROWS = 20  # with the first one


_SUMS = "total|sum|mean|average|gesamt|somme|moyenne"
_WORDS = f"{_SUMS}|source|note|quelle|fuente|media"
_NOTE = re.compile(rf"[^0-9].*[\s:].*|({_WORDS}).*", re.IGNORECASE | re.DOTALL)
_LABEL = rf"(?i)^{BLANKS}(grand )?({_SUMS})s?:?{BLANKS}$"  # of a row, beside the features
_NOTHING = pa.array([None, "", *MISSING])


class Ragged(Protocol):
    """Rows with more cells than the header, or fewer, which are in no batch."""

    @property
    def count(self) -> int:
        """All so far."""

    @property
    def waiting(self) -> Collection[int]:
        """Numbers of those that are notes if they are at the end."""

    def settle(self, notes: Collection[int]) -> None:
        """Hear which of them are."""


class NoRagged:
    """All rows have as many cells as the header."""

    count = 0
    waiting = ()

    def settle(self, notes: Collection[int]) -> None:
        """There is nothing to raise."""


class _Look(NamedTuple):
    """What is in each of a few rows."""

    has_number: Array
    has_word: Array  # in place of a number, and not beginning with a digit
    is_note: Array


class Notes:
    """Known once the batches have been passed on.

    `places` are those of rows in the batches, counted from 0; `numbers` count all rows from 1.
    """

    def __init__(
        self,
        readers: Iterable[CellReader],
        schema: Any,
        *,
        is_first: bool = True,
        is_last: bool = True,
        target: str = "",
    ) -> None:
        """Of the whole of a table, or of its first or last part; labels are no cells."""
        self.places: list[int] = []
        self.numbers: list[int] = []
        found = [(schema.get_field_index(it.feature.name), it) for it in readers]
        self._readers = [(place, it) for place, it in found if place >= 0]
        known = {target, *(it.feature.name for _, it in self._readers)}
        self._target = schema.get_field_index(target)
        self._others = [place for place, name in enumerate(schema.names) if name not in known]
        self._is_first = is_first
        self._is_last = is_last

    def describe(self) -> str:
        said = ["Row 1 holds units and has no answer."] if 1 in self.numbers else []
        *others, last = ("", *(str(number) for number in self.numbers if number > 1))
        if len(others) > 1:
            said.append(f"Rows {', '.join(others[1:])} and {last} are no data and have no answer.")
        elif others:
            said.append(f"Row {last} is no data and has no answer.")
        return " ".join(said)

    def watch(self, batches: Iterator[Any], ragged: Ragged) -> Iterator[Any]:
        """Pass the batches on, each once its notes are known."""
        self.places.clear()
        self.numbers.clear()
        held: list[Any] = []
        rows = 0
        for batch in batches:
            held.append(batch)
            if sum(it.num_rows for it in held[1:]) > MOST_LAST:
                if not rows:
                    self._find_units(held)
                rows += held[0].num_rows
                yield held.pop(0)
        if not held:
            ragged.settle(())
            return
        if not rows:
            self._find_units(held)
        last = pa.concat_batches(held)
        self._find_last(last, rows, ragged)
        ragged.settle(self.numbers)
        yield last

    def _find_units(self, batches: list[Any]) -> None:
        """Only numbers below it show that the first row is no data."""
        rows = pa.concat_batches([it.slice(0, COMPARED_ROWS) for it in batches])
        has_number, has_word, _ = self._look(rows.slice(0, COMPARED_ROWS))
        if self._is_first and has_word[:1].any() and not has_number[0] and has_number[1:].any():
            self.places.append(0)
            self.numbers.append(1)

    def _find_last(self, last: Any, rows: int, ragged: Ragged) -> None:
        """Go up from the end; a row of data has to be left."""
        tail = last.slice(max(0, last.num_rows - MOST_LAST - 1))
        are_notes = self._look(tail).is_note.tolist()
        place = rows + last.num_rows - 1
        number = place + 1 + ragged.count
        places: list[int] = []
        numbers: list[int] = []
        while self._is_last and len(numbers) <= MOST_LAST:
            if number not in ragged.waiting:
                if not (are_notes and are_notes.pop()):
                    break
                places.insert(0, place)
                place -= 1
            numbers.insert(0, number)
            number -= 1
        is_data_left = place >= len(self.places) or not self._is_first
        if is_data_left and len(numbers) <= MOST_LAST:
            self.places += places
            self.numbers += numbers

    def _look(self, rows: Any) -> _Look:
        """Of a few rows, as each takes several calls for each feature."""
        has_number, has_word, has_text = (np.zeros(rows.num_rows, bool) for _ in range(3))
        present = np.zeros(rows.num_rows, int)
        for place, reader in self._readers:
            cells = reader.clear(rows.column(place))
            is_there = _to_mask(cells.is_valid())
            present += is_there
            if reader.feature.type == "number":
                is_number = _to_mask(reader.read(rows.column(place)).is_valid())
                has_number |= is_number
                has_text |= is_there & ~is_number
                if is_text(cells.type):
                    begins = pc.match_substring_regex(cells, "^[^0-9]").fill_null(False)
                    has_word |= _to_mask(begins) & ~is_number
        others, has_label = self._look_beside(rows)
        is_alone = (present == 1) & (others == 0) if len(self._readers) >= FEW else False
        return _Look(has_number, has_word, has_text | has_label | (present == 0) | is_alone)

    def _look_beside(self, rows: Any) -> tuple[Array, Array]:
        """How many cells are in the other columns, and whether one says what the row is.

        A row with a label was data in training.
        """
        present, has_label = np.zeros(rows.num_rows, int), np.zeros(rows.num_rows, bool)
        for column in map(rows.column, self._others):
            if is_text(column.type):
                has_label |= _to_mask(pc.match_substring_regex(column, _LABEL).fill_null(False))
            present += _is_there(column)
        if self._target >= 0:
            has_label &= ~_is_there(rows.column(self._target))
        return present, has_label


NO_NOTES = Notes([], pa.schema([]))


def is_note(line: str, delimiter: str) -> bool:
    """Whether a line of fewer or more cells than the header has one single cell of words."""
    try:
        cells = [cell.strip() for row in csv.reader([line], delimiter=delimiter) for cell in row]
    except csv.Error:
        return False
    found = list(filter(None, cells))
    return len(found) == 1 and _NOTE.fullmatch(found[0]) is not None


def _is_there(column: Any) -> Array:
    """Whether more than blanks or a word for missing is in each cell."""
    if not is_text(column.type):
        return _to_mask(column.is_valid())
    return ~_to_mask(pc.is_in(pc.utf8_trim_whitespace(column), _NOTHING))


def _to_mask(cells: Any) -> Array:
    mask: Array = cells.to_numpy(zero_copy_only=False)
    return mask
