import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from inputs import Feature
from readers import read
from sources import ChangedFile, open_source

X = [Feature("x", "number", False, ())]


@pytest.fixture
def read_file(tmp_path, monkeypatch):
    """Rows with their numbers, and faults, of a file that is read two rows at a time."""
    monkeypatch.setattr("readers.CHUNK_ROWS", 2)
    monkeypatch.setattr("readers.MIN_CHUNK_ROWS", 1)

    def read_content(content):
        path = tmp_path / "table"
        path.write_bytes(content)
        source = open_source(path, X)
        [partition] = source.list_partitions()
        chunks = list(read(partition, source))
        assert all(it.rows.num_rows <= 2 for it in chunks)
        rows = [
            pair
            for it in chunks
            for pair in zip(it.numbers.tolist(), it.rows["x"].to_pylist(), strict=True)
        ]
        return rows, [fault for it in chunks for fault in it.faults]

    return read_content


def test_rows_are_numbered_as_if_ragged_ones_were_there(read_file):
    rows, faults = read_file(b"x,y\n1\n2,b\n\n3,c\n4,d,e\n5,f\n6\n7,g\n8,h\n9\n")

    assert rows == [(2, "2"), (3, "3"), (5, "5"), (7, "7"), (8, "8")]
    assert [it.row for it in faults] == [1, 4, 6, 9]
    assert faults[1].reason == "It has 3 cells, and the header has 2."


def test_ragged_rows_alone_are_all_told(read_file):
    rows, faults = read_file(b"x,y\n1\n2\n3\n")

    assert rows == []
    assert [it.row for it in faults] == [1, 2, 3]


def test_a_row_that_is_not_in_utf_8_does_not_spoil_the_others(read_file):
    rows, faults = read_file("x,y\n1,a\n2,é\n3,b\n4\n".encode("latin-1"))

    assert rows == [(1, "1"), (3, "3")]
    assert [(it.row, it.reason) for it in faults] == [
        (2, "It holds bytes that are no UTF-8."),
        (4, "It has 1 cells, and the header has 2."),
    ]


def test_a_blank_line_of_one_column_is_a_row_without_a_value(read_file):
    rows, _ = read_file(b"x\n1\n\n3\n")

    assert rows == [(1, "1"), (2, None), (3, "3")]


def test_rows_of_parquet_are_numbered_through_its_groups(read_file):
    written = pa.BufferOutputStream()
    pq.write_table(pa.table({"x": np.arange(7.0)}), written, row_group_size=3)

    rows, faults = read_file(written.getvalue().to_pybytes())

    assert rows == [(it + 1, float(it)) for it in range(7)]
    assert faults == []


@pytest.fixture(params=["csv", "parquet"])
def path(request, tmp_path):
    """A file of 2000 rows."""
    table, path = pa.table({"x": np.arange(2000.0)}), tmp_path / "table"
    csv.write_csv(table, path) if request.param == "csv" else pq.write_table(table, path)
    return path


def test_another_file_under_the_same_path_is_not_read(path):
    source = open_source(path, X)
    [partition] = source.list_partitions()
    os.utime(path, ns=(0, 0))

    with pytest.raises(ChangedFile, match=f"{path} has changed since the scoring began"):
        next(read(partition, source))


def test_a_file_that_changes_while_it_is_read_is_named(path, monkeypatch):
    monkeypatch.setattr("readers.CHUNK_ROWS", 1024)
    source = open_source(path, X)
    [partition] = source.list_partitions()
    chunks = read(partition, source)
    next(chunks)
    os.utime(path, ns=(0, 0))

    with pytest.raises(ChangedFile, match="has changed since the scoring began"):
        list(chunks)
