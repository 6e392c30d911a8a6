from collections import Counter

import numpy as np
import pyarrow as pa
from conftest import make_model
from mixed import FEATURES, INSTANCE, fit_mixed

from features.warnings import name_warnings
from worker.tables.columns import Columns
from worker.tables.table import Table
from worker.tables.unusual import UnusualCells

UNUSUAL = [
    {"age": None, "member": None, "island": None},
    {"age": 17.9, "island": "Anvers"},
    {"age": 81.0, "sex": "Male", "island": "Anvers"},
    {"age": 80.0, "mass": 0.0, "island": "Torgersen"},  # a rare value is known
]
REASONS = {"model knows": "unknown", "missing": "missing", "range": "out_of_range"}


def count(rows, mask=None):
    chunk = pa.RecordBatch.from_pylist([INSTANCE | row for row in rows])
    model = make_model(fit_mixed(), features=FEATURES)
    columns = Columns(model.description, Table(chunk.schema, lambda: iter([chunk])))
    counts = UnusualCells(model.description.features).count(columns.read_cells(chunk), mask)
    return model, counts


def test_rows_are_counted_by_column_and_reason():
    model, counts = count(UNUSUAL)

    assert name_warnings(model.names, counts) == {
        "age": {"missing": 1, "out_of_range": 2},
        "member": {"missing": 1},
        "island": {"unknown": 2, "missing": 1},
        "sex": {"unknown": 1},
    }


def test_a_table_is_warned_of_as_its_rows_are_one_by_one():
    rows = [INSTANCE | row for row in UNUSUAL]
    model, counts = count(UNUSUAL)

    answers = [model.describe(list(row.values()), (0, [0.5, 0.5])) for row in rows]

    said = [(it["feature"], it["detail"]) for answer in answers for it in answer["warnings"]]
    found = Counter(
        (name, reason) for name, it in said for word, reason in REASONS.items() if word in it
    )
    named = name_warnings(model.names, counts)
    assert found == {(name, it): rows for name, by in named.items() for it, rows in by.items()}


def test_counts_of_chunks_add_up_and_a_mask_leaves_rows_out():
    model, counts = count(UNUSUAL, np.array([False, True, False, True]))

    _, rest = count(UNUSUAL[::2])

    assert name_warnings(model.names, counts) == {
        "age": {"out_of_range": 1},
        "island": {"unknown": 1},
    }
    assert (counts + rest).tolist() == count(UNUSUAL)[1].tolist()
