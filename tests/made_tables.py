"""Makes tables as people bring them, each with something that a table of numbers has not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import make_classification

TARGET = "kind"


def make_mixed(folder: Path) -> Path:
    """Numbers, booleans and categories, with missing values in each; Parquet."""
    frame, random = _numbers(rows=200, columns=2, classes=3)
    frame["member"] = random.random(200) < 0.5
    frame["island"] = random.choice(["Biscoe", "Dream", "Torgersen"], 200)
    frame["member"] = frame["member"].astype(object)
    for name in ("x0", "member", "island"):
        frame.loc[random.random(200) < 0.1, name] = None
    frame["id"] = [f"row {i}" for i in range(200)]
    path = folder / "mixed.parquet"
    frame.to_parquet(path, index=False)
    return path


def make_penguins(folder: Path) -> Path:
    """The same as CSV, under the name that the documentation gives it."""
    frame = pd.read_parquet(make_mixed(folder)).rename(columns={TARGET: "species"})
    (folder / "mixed.parquet").unlink()
    return _write(frame, folder / "penguins.csv")


def make_binary(folder: Path) -> Path:
    """Two classes, numbered, with two hundred rows of one to each of the other; gzip of CSV."""
    frame, random = _numbers(rows=2010, columns=3, classes=2)
    rare = np.zeros(2010, dtype=int)
    rare[random.choice(2010, 10, replace=False)] = 1
    frame[TARGET] = rare
    frame.loc[rare == 1, "x0"] += 3
    return _write(frame, folder / "binary.csv.gz")


def make_many_classes(folder: Path) -> Path:
    """Thirty classes; semicolons and decimal commas, as in half of Europe."""
    frame, _ = _numbers(rows=450, columns=8, classes=30)
    return _write(frame, folder / "many_classes.csv", sep=";", decimal=",")


def make_unicode(folder: Path) -> Path:
    """Two hundred columns; names and labels in other alphabets, in an old encoding."""
    frame, random = _numbers(rows=200, columns=199, classes=2)
    frame = frame.rename(columns={"x0": "größe in $", "x1": "länge/breite~1"})
    frame.insert(2, "straße", random.choice(["Überweg", "Öl & Gas", "<b>Café</b>"], 200))
    frame[TARGET] = frame[TARGET].map({"class 0": "naïve", "class 1": "Ærø"})
    return _write(frame, folder / "straße.csv", encoding="latin-1")


TABLES: list[Callable[[Path], Path]] = [
    make_mixed,
    make_binary,
    make_many_classes,
    make_unicode,
]


def _numbers(rows: int, columns: int, classes: int) -> tuple[pd.DataFrame, np.random.Generator]:
    informative = min(columns, 6)
    X, y = make_classification(
        rows,
        columns,
        n_informative=informative,
        n_redundant=0,
        n_clusters_per_class=1,
        n_classes=classes,
        random_state=0,
    )
    frame = pd.DataFrame(X.round(3), columns=[f"x{i}" for i in range(columns)])
    return frame.assign(**{TARGET: [f"class {label}" for label in y]}), np.random.default_rng(0)


def _write(frame: pd.DataFrame, path: Path, **options: str) -> Path:
    frame.to_csv(path, index=False, **options)
    return path
