from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from conftest import make_model
from formats import read
from mixed import FEATURES, INSTANCE, fit_mixed

from errors import InvalidTable
from features.warnings import name_warnings
from worker.media import WRITTEN, Format
from worker.tables import bodies
from worker.tables.answers import Answers
from worker.tables.bodies import score
from worker.tables.columns import Columns
from worker.tables.opening import TableBody
from worker.tables.table import Limits, Table
from worker.tables.unusual import UnusualCells

UNUSUAL = [
    {"age": None, "member": None, "island": None},
    {"age": 17.9, "island": "Anvers"},
    {"age": 81.0, "sex": "Male", "island": "Anvers"},
    {"age": 80.0, "mass": 0.0, "island": "Torgersen"},  # a rare value is known
]
HEADER = ",".join(INSTANCE) + "\n"
NOTE = "Total of all:,,,,,\n"  # a number that is text
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


def score_csv(content, wanted):
    """Score CSV, two rows at a time."""
    limits = Limits(9, 2**20, chunk_rows=2)
    body = TableBody(memoryview(content.encode()), Format.CSV, wanted, limits)
    answers = Answers(make_model(fit_mixed(), features=FEATURES).worker)
    return answers, b"".join(score(body, answers))


@pytest.mark.parametrize("wanted", WRITTEN)
@pytest.mark.parametrize(("places", "kept"), [((3,), 0), ((1, 2, 3), 2**20)])
def test_rows_that_are_no_data_keep_their_places_and_are_not_counted(
    monkeypatch, places, kept, wanted
):
    monkeypatch.setattr(bodies, "KEPT_BYTES", kept)  # else the table is read again
    rows = [NOTE if it in places else "41,0,true,false,Anvers,male\n" for it in range(4)]

    answers, content = score_csv(HEADER + "".join(rows), wanted)

    answer = read(content, wanted)
    expected = [it in places for it in range(4)]
    assert answer["prediction_class"].is_null().to_pylist() == expected
    assert answer["probability_yes"].is_null().to_pylist() == expected
    assert answers.warnings.sum(axis=0).tolist() == [4 - len(places), 0, 0]
    counts = answers.take_counts()
    assert counts.rows == counts.classes.sum() == 4 - len(places)
    assert counts.features.sum() == len(INSTANCE) * counts.rows


def test_notes_alone_are_rows_like_others():
    with pytest.raises(InvalidTable, match="Row 1: age must be a number"):
        score_csv(HEADER + NOTE, Format.CSV)
