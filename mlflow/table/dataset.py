"""Makes of a table what a classifier can be trained on."""

import difflib
import hashlib
from argparse import Namespace
from dataclasses import dataclass, field, replace
from typing import IO

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.datasets import load_iris

from errors import UnusableTable, hide_secrets
from reading.fetching import IRIS
from reading.formats import Table, parse_table
from reading.origin import Origin
from table.choices import NO_CHOICES, Choices
from table.columns import Kind
from table.data_rows import DataRows
from table.exclusions import select_columns
from table.identifiers import require_no_answers
from table.labels import MIN_CLASS_ROWS, read_labels
from table.notes import Notes
from table.numbers import PLAIN, Written
from table.phrases import enumerate_all

_PLURALS = {",": "commas", ".": "points", " ": "blanks", "'": "apostrophes"}


@dataclass(frozen=True)
class Dataset:
    """Features X of shape (n, f) and labels y of shape (n,), strings all.

    `kinds` says of each column what it is: numbers and booleans are floats, categories strings,
    what is missing NaN; `nullable` are the columns in which something is. `encoding` was given, not
    found. `written` says how the table writes the numbers of a column, unless they are plain.
    `remarks` say how it was read and what was left out, and why. The last `feedback_rows` are not
    of the table.
    """

    name: str
    target: str
    X: pd.DataFrame
    y: pd.Series
    sha256: str
    kinds: dict[str, Kind]
    nullable: list[str]
    source: str = ""
    encoding: str = ""
    units: dict[str, str] = field(default_factory=dict)
    written: dict[str, Written] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    feedback_rows: int = 0

    @property
    def classes(self) -> list[str]:
        return sorted(self.y.unique())

    def sample(self, rows: int, seed: int) -> "Dataset":
        """At most so many rows, the classes in proportion, but of none fewer than two a fold."""
        if len(self.X) <= rows:
            return self
        random = np.random.default_rng(seed)
        share, labels = rows / len(self.X), self.y.to_numpy()
        positions = (np.flatnonzero(labels == label) for label in self.classes)
        chosen = [_draw(of_class, share, random) for of_class in positions]
        return self.take(np.sort(np.concatenate(chosen)))

    def take(self, rows: npt.NDArray[np.intp]) -> "Dataset":
        """Only the rows with these numbers."""
        return replace(self, X=self.X.iloc[rows], y=self.y.iloc[rows])


def read_dataset(arguments: Namespace, file: IO[bytes] | None) -> Dataset:
    """Read the table in this file, which is closed, or Iris without one; raises UnusableTable."""
    if file is None:
        return read_iris()
    with file:
        table = parse_table(file.read(), arguments.data, arguments.encoding, arguments.sheet)
    choices = Choices.of(arguments)
    dataset = make_dataset(table, arguments.name, arguments.target, choices)
    source, encoding = hide_secrets(arguments.data), arguments.encoding or ""
    return replace(dataset, source=source, encoding=encoding)


def read_iris() -> Dataset:
    """Fisher's 150 flowers."""
    bunch = load_iris(as_frame=True)
    frame = bunch.data.rename(columns=lambda name: name.removesuffix(" (cm)").replace(" ", "_"))
    units = dict.fromkeys(frame.columns, "cm")
    frame["species"] = bunch.target_names[bunch.target]
    sha256 = hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()
    dataset = make_dataset(Table(frame, sha256), IRIS, "species")
    return replace(dataset, units=units, source="sklearn.datasets.load_iris")


def make_dataset(table: Table, name: str, target: str, choices: Choices = NO_CHOICES) -> Dataset:
    """Raises UnusableTable, naming the column, if a person has to decide what to do."""
    for column in (target, *choices.drop, *choices.categories, *choices.keep):
        _require(column, table)
    rows = DataRows(table, target, choices)
    columns = rows.read()
    selected, left_out = select_columns(columns, choices, rows.numbers_rows)
    selected = rows.settle(selected)
    cells, is_code = table.frame[target].drop(rows.notes.rows), target in choices.categories
    labels, remarks = read_labels(cells, is_code, choices.merge_rare)
    require_no_answers(selected, labels, choices.keep)
    written = {name: one.written for name, one in selected.items() if one.kind == "number"}
    told = rows.notes.describe(table.short)
    X = pd.DataFrame({name: column.values for name, column in selected.items()}, copy=False)
    return Dataset(
        name=name,
        target=target,
        X=X,
        y=labels,
        sha256=table.sha256,
        kinds={name: column.kind for name, column in selected.items()},
        nullable=[name for name in X.columns if X[name].isna().any()],
        units=_find_units(written, rows.notes),
        written={name: one for name, one in written.items() if one != PLAIN},
        remarks=[*_tell_reading(table, written), *told, *remarks, *left_out],
    )


def _require(column: str, table: Table) -> None:
    if column in table.frame.columns:
        return
    folded = {name.casefold(): name for name in table.frame.columns}
    near = difflib.get_close_matches(column.casefold(), folded, n=1)
    meant = f" Did you mean {folded[near[0]]}?" if near else ""
    names = ", ".join(table.frame.columns[:20])
    sheets = _name_sheets(table.origin)
    raise UnusableTable(f"There is no column {column}.{meant} The columns are {names}.{sheets}")


def _name_sheets(origin: Origin) -> str:
    if len(origin.sheets) < 2:  # noqa: PLR2004
        return ""
    return f" They are of sheet {origin.sheet}; --sheet takes another: {', '.join(origin.sheets)}."


def _find_units(written: dict[str, Written], notes: Notes) -> dict[str, str]:
    units = {name: one.affix or notes.units.get(name) for name, one in written.items()}
    return {name: unit for name, unit in units.items() if unit}


def _tell_reading(table: Table, written: dict[str, Written]) -> list[str]:
    has_commas = any(one.decimal == "," for one in written.values())
    thousands = sorted({_PLURALS[one.thousands] for one in written.values() if one.thousands})
    said = table.origin.describe(has_commas, enumerate_all(thousands) if thousands else "")
    return [said] if said else []


def _draw(
    positions: npt.NDArray[np.intp], share: float, random: np.random.Generator
) -> npt.NDArray[np.intp]:
    wanted = max(round(share * len(positions)), min(2 * MIN_CLASS_ROWS, len(positions)))
    return random.choice(positions, wanted, replace=False)
