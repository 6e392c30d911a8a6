import datetime as dt

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from errors import UnusableTable
from reading.formats import parse_table
from reading.origin import Origin

FRAME = pd.DataFrame({"id": [7, 3, 9], "art": ["Löwe", "Bär", "Wal"]})


@pytest.fixture
def reread(tmp_path):
    def write_and_read(table):
        path = tmp_path / "table.parquet"
        if isinstance(table, pd.DataFrame):
            table.to_parquet(path)
        else:
            pq.write_table(table, path)
        table = parse_table(path.read_bytes(), "table.parquet")
        assert table.origin == Origin()
        return table.frame

    return write_and_read


def test_an_index_is_a_column(reread):
    frame = reread(FRAME.set_index("art"))

    assert frame.to_dict("list") == FRAME.to_dict("list")


def test_an_index_that_is_a_column_too_is_read_once(reread):
    frame = reread(FRAME.set_index("id", drop=False))

    assert frame.to_dict("list") == FRAME.to_dict("list")


def test_levels_of_an_index_that_are_columns_too_are_read_once(reread):
    frame = reread(FRAME.set_index(["art", "id"], drop=False))

    assert frame.to_dict("list") == FRAME.to_dict("list")


def test_an_index_without_a_name_keeps_what_the_file_calls_it(reread):
    frame = reread(FRAME.set_axis([5, 3, 1]))

    assert frame.columns.tolist() == ["id", "art", "__index_level_0__"]


def test_an_index_with_another_columns_name_keeps_what_the_file_calls_it(reread):
    frame = reread(FRAME.set_axis([5, 3, 2]).rename_axis("id"))

    assert frame.columns.tolist() == ["id", "art", "__index_level_0__"]
    assert frame["id"].tolist() == [7, 3, 9]


def test_columns_keep_their_types(reread):
    columns = {
        "whole": [1, 2],
        "fraction": [0.5, None],
        "truth": [True, False],
        "day": [dt.date(2021, 1, 5), dt.date(2021, 1, 6)],
    }
    frame = reread(pd.DataFrame(columns))

    kinds = [pd.api.types.infer_dtype(frame[name]) for name in columns]
    assert kinds == ["integer", "floating", "boolean", "date"]


@pytest.mark.parametrize("kind", ["str", "category"])
def test_blanks_around_texts_and_names_never_count(reread, kind):
    frame = reread(pd.DataFrame({" art\u00a0": [" Löwe", "Löwe\u00a0", "  "]}, dtype=kind))

    assert frame["art"].dropna().tolist() == ["Löwe", "Löwe"]
    assert frame["art"].nunique() == 1
    assert frame["art"].dtype == kind


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "b", ""], "Column 3 has no name"),
        (["a", "a ", "b"], "Two columns are named a"),
    ],
)
def test_names_are_checked(reread, names, message):
    with pytest.raises(UnusableTable, match=message):
        reread(pa.table([[1], [2], [3]], names=names))


def test_numbers_may_be_names(reread):
    assert reread(pa.table([[1], [2]], names=["0", "1"])).columns.tolist() == ["0", "1"]
