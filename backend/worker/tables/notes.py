"""Finds the rows of a text table that are no data: units below the header, totals at the end."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from worker.exchange import Array
from worker.tables.cells import MISSING, CellReader, is_text, to_mask

MOST_LAST = 3  # rows at the end; if more look like notes, none of them is one
FEW = 3  # features of which a row of data has more than one
COMPARED_ROWS = 20  # with the first one

_SUMS = "total|sum|mean|average|gesamt|somme|moyenne"
_LABEL = rf"(?i)^(grand )?({_SUMS})s?:?$"  # of a row, beside the features
_WORDS = rf"(?is)^(?:[^0-9].*[\s:]|{_SUMS}|source|note|quelle|fuente|media)"  # of a short row
_NOTHING = pa.array(["", *MISSING])


class _Look(NamedTuple):
    """Masks of a few rows: what each holds."""

    has_number: Array
    has_unit: Array  # a text in place of a number, not beginning with a digit
    is_note: Array


class Notes:
    """Finds notes while batches pass; `places` are the rows' numbers, from 0."""

    def __init__(
        self,
        readers: Iterable[CellReader],
        schema: Any,
        *,
        is_first: bool = True,
        is_last: bool = True,
        target: str = "",
    ) -> None:
        """Watch a whole table, or its first or last part; the target's labels do not count."""
        self.places: list[int] = []
        self._short: Collection[int] = ()
        found = [(schema.get_field_index(it.feature.name), it) for it in readers]
        self._readers = [(place, it) for place, it in found if place >= 0]
        known = {target, *(it.feature.name for _, it in self._readers)}
        self._target = schema.get_field_index(target)
        self._others = [place for place, name in enumerate(schema.names) if name not in known]
        self._is_first = is_first
        self._is_last = is_last

    def describe(self) -> str:
        count = len(self._short) - len({*self._short}.intersection(self.places))
        said = []
        if count == 1:
            said.append("1 row is shorter than the header, and what it lacks is missing.")
        if count > 1:
            rows = f"{count:,} rows are shorter than the header"
            said.append(f"{rows}, and what they lack is missing.")
        if 0 in self.places:
            said.append("Row 1 holds units and has no answer.")
        *others, last = ("", *(str(place + 1) for place in self.places if place))
        if len(others) > 1:
            said.append(f"Rows {', '.join(others[1:])} and {last} are no data and have no answer.")
        elif others:
            said.append(f"Row {last} is no data and has no answer.")
        return " ".join(said)

    def watch(self, batches: Iterator[Any], short: Collection[int] = ()) -> Iterator[Any]:
        """Pass the batches on, each once its notes are known.

        `short` are the places of rows that had fewer cells than the header.
        """
        self.places.clear()
        self._short = short
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
            return
        if not rows:
            self._find_units(held)
        last = pa.concat_batches(held)
        self._find_last(last, rows)
        yield last

    def _find_units(self, batches: list[Any]) -> None:
        """Only numbers below it show that the first row is no data."""
        rows = pa.concat_batches([it.slice(0, COMPARED_ROWS) for it in batches])
        look = self._look(rows.slice(0, COMPARED_ROWS), 0)
        is_first = self._is_first and look.has_unit[:1].any()
        if is_first and not look.has_number[0] and look.has_number[1:].any():
            self.places.append(0)

    def _find_last(self, last: Any, rows: int) -> None:
        """Go up from the end; a row of data has to be left."""
        start = max(0, last.num_rows - MOST_LAST - 1)
        are_notes = self._look(last.slice(start), rows + start).is_note.tolist()
        end = rows + last.num_rows
        first = end
        while self._is_last and are_notes and are_notes.pop():
            first -= 1
        is_data_left = first > len(self.places) or not self._is_first
        if is_data_left and end - first <= MOST_LAST:
            self.places += range(first, end)

    def _look(self, rows: Any, first: int) -> _Look:
        """Look at a few rows only: each takes several calls for each feature."""
        empty = np.zeros(rows.num_rows, bool)
        has_number, has_unit, has_text, has_words = (empty.copy() for _ in range(4))
        present = np.zeros(rows.num_rows, int)
        for place, reader in self._readers:
            cells = reader.clear(rows.column(place))
            is_there = to_mask(cells.is_valid())
            present += is_there
            has_words |= _match(cells, _WORDS)
            if reader.feature.type == "number":
                is_number = to_mask(reader.read(rows.column(place)).is_valid())
                has_number |= is_number
                has_text |= is_there & ~is_number
                has_unit |= _match(cells, "^[^0-9]") & ~is_number
        beside, has_label, has_words_beside = self._look_beside(rows)
        is_short = np.isin(np.arange(first, first + rows.num_rows), [*self._short])
        is_line = is_short & ~has_number & (has_words | has_words_beside)
        is_alone = (present == 1) & (beside == 0) if len(self._readers) >= FEW else False
        is_named = (has_label | is_line) & ~self._find_labelled(rows)
        return _Look(has_number, has_unit, has_text | is_named | (present == 0) | is_alone)

    def _look_beside(self, rows: Any) -> tuple[Array, Array, Array]:
        """How many cells are in the other columns, and whether one says what the row is."""
        present = np.zeros(rows.num_rows, int)
        has_label, has_words = np.zeros(rows.num_rows, bool), np.zeros(rows.num_rows, bool)
        for column in map(_trim, map(rows.column, self._others)):
            has_label |= _match(column, _LABEL)
            has_words |= _match(column, _WORDS)
            present += to_mask(column.is_valid())
        return present, has_label, has_words

    def _find_labelled(self, rows: Any) -> Array:
        """A row with a label was data in training, whatever it is called."""
        if self._target < 0:
            return np.zeros(rows.num_rows, bool)
        return to_mask(_trim(rows.column(self._target)).is_valid())


NO_NOTES = Notes([], pa.schema([]))


def _trim(column: Any) -> Any:
    """Text without the blanks around it; null where nothing is left, or a word for missing."""
    if not is_text(column.type):
        return column
    text = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.is_in(text, _NOTHING), None, text)


def _match(column: Any, pattern: str) -> Array:
    if not is_text(column.type):
        return np.zeros(len(column), bool)
    return to_mask(pc.match_substring_regex(column, pattern).fill_null(False))
