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
from table.columns import Kind, LeftOut, quote, read_cells, read_column, read_texts
from table.fetching import IRIS
from table.reading import Table, parse_table

MIN_ROWS = 20
MIN_CLASS_ROWS = 5  # one for each fold of the comparison
MAX_CLASSES = 100
MAX_NUMERIC_CLASSES = 20  # different fractions; more are measurements


@dataclass(frozen=True)
class Dataset:
    """Features X of shape (n, f) and labels y of shape (n,), strings all.

    `kinds` says of each column what it is: numbers and booleans are floats, categories strings,
    what is missing NaN; `nullable` are the columns in which something is. `remarks` say what of
    the table was left out, and why. The last `feedback_rows` are not of the table.
    """

    name: str
    target: str
    X: pd.DataFrame
    y: pd.Series
    sha256: str
    kinds: dict[str, Kind]
    nullable: list[str]
    source: str = ""
    units: dict[str, str] = field(default_factory=dict)
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
    name, target = arguments.name, arguments.target
    dataset = make_dataset(table, name, target, arguments.drop, arguments.category)
    return replace(dataset, source=hide_secrets(arguments.data))


def read_iris() -> Dataset:
    """Fisher's 150 flowers."""
    bunch = load_iris(as_frame=True)
    frame = bunch.data.rename(columns=lambda name: name.removesuffix(" (cm)").replace(" ", "_"))
    units = dict.fromkeys(frame.columns, "cm")
    frame["species"] = bunch.target_names[bunch.target]
    sha256 = hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()
    dataset = make_dataset(Table(frame, sha256), IRIS, "species")
    return replace(dataset, units=units, source="sklearn.datasets.load_iris")


def make_dataset(
    table: Table,
    name: str,
    target: str,
    drop: list[str] | None = None,
    categories: list[str] | None = None,
) -> Dataset:
    """Raises UnusableTable, naming the column, if a person has to decide what to do.

    Columns in `drop` are left out; whole numbers in `categories` are codes, not quantities.
    """
    codes = categories or []
    columns = table.frame.items()
    frame = pd.DataFrame({name: read_cells(cells, name in codes) for name, cells in columns})
    for column in (target, *(drop or []), *codes):
        _require(column, frame)
    labels, remarks = _read_labels(frame[target])
    features = frame.loc[labels.index].drop(columns=[target, *(drop or [])])
    X, kinds, left_out = _read_features(features, codes)
    _refuse_leaks(X, kinds, labels)
    nullable = [name for name in X.columns if X[name].isna().any()]
    return Dataset(
        name, target, X, labels, table.sha256, kinds, nullable, remarks=remarks + left_out
    )


def _require(column: str, frame: pd.DataFrame) -> None:
    if column in frame.columns:
        return
    folded = {name.casefold(): name for name in frame.columns}
    near = difflib.get_close_matches(column.casefold(), folded, n=1)
    meant = f" Did you mean {folded[near[0]]}?" if near else ""
    names = ", ".join(frame.columns[:20])
    raise UnusableTable(f"There is no column {column}.{meant} The columns are {names}.")


def _read_labels(values: pd.Series) -> tuple[pd.Series, list[str]]:
    """The labels that are there, as strings, and a remark if some are missing."""
    present = values.dropna()
    _refuse_quantities(present)
    labels = read_texts(present)
    counts = labels.value_counts()
    if len(labels) < MIN_ROWS:
        message = f"Column {values.name} has labels in {len(labels)} row(s)"
        raise UnusableTable(f"{message}; a comparison needs {MIN_ROWS} at least. Add rows.")
    if len(counts) < 2:  # noqa: PLR2004
        message = f"Column {values.name} holds only {counts.index[0]!r}"
        raise UnusableTable(f"{message}. A classifier needs two classes; add rows of another.")
    if counts.min() < MIN_CLASS_ROWS:
        message = f"Class {counts.index[-1]!r} of {values.name} has {counts.min()} row(s)"
        advice = "Add rows, merge it with another class, or take its rows out"
        raise UnusableTable(f"{message}; {MIN_CLASS_ROWS} are needed, one a fold. {advice}.")
    missing = len(values) - len(present)
    remarks = [f"{missing} rows without a {values.name} are left out."] if missing else []
    return labels, remarks


def _refuse_quantities(labels: pd.Series) -> None:
    try:
        different = labels.nunique()
    except TypeError:
        message = f"Column {labels.name} holds lists or the like, not labels"
        raise UnusableTable(f"{message}. Take another column as the target.") from None
    fractions = pd.api.types.is_float_dtype(labels) and (labels % 1 != 0).any()
    if different > (MAX_NUMERIC_CLASSES if fractions else MAX_CLASSES):
        what = "numbers" if pd.api.types.is_numeric_dtype(labels) else "labels"
        message = f"Column {labels.name} holds {different} different {what}: too many for classes"
        advice = "Group them into a few, or take another column as the target"
        raise UnusableTable(f"{message}. {advice}.")


def _read_features(
    features: pd.DataFrame, codes: list[str]
) -> tuple[pd.DataFrame, dict[str, Kind], list[str]]:
    columns, remarks = {}, []
    for name in features.columns:
        try:
            columns[name] = read_column(features[name], is_code=name in codes)
        except LeftOut as reason:
            remarks.append(f"Column {name} is left out: {reason}.")
    if not columns:
        raise UnusableTable(" ".join(["No column is left to learn from.", *remarks]))
    X = pd.DataFrame({name: column.values for name, column in columns.items()})
    return X, {name: column.kind for name, column in columns.items()}, remarks


def _refuse_leaks(X: pd.DataFrame, kinds: dict[str, Kind], labels: pd.Series) -> None:
    """A column with as many values as there are classes, one for each, is the target itself."""
    classes = labels.nunique()
    for name in X.columns:
        values = X[name]
        if values.isna().any() or values.nunique() != classes:
            continue
        if (values.groupby(labels).nunique() == 1).all():
            what = "is" if kinds[name] == "category" else "tells"
            message = f"Column {name} {what} {labels.name} under another name"
            advice = f"It is the answer itself: --drop {quote(name)}"
            raise UnusableTable(f"{message}: each of its values goes with one class. {advice}.")


def _draw(
    positions: npt.NDArray[np.intp], share: float, random: np.random.Generator
) -> npt.NDArray[np.intp]:
    wanted = max(round(share * len(positions)), min(2 * MIN_CLASS_ROWS, len(positions)))
    return random.choice(positions, wanted, replace=False)
