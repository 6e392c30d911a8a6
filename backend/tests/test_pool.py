"""Parts of files, answered by a model's processes."""

import csv
from pathlib import Path

import pandas as pd
import pytest
from conftest import number
from formats import write_workbook
from sklearn.naive_bayes import GaussianNB

from files.listing import list_files
from files.output import Output
from files.pool import Pool
from files.sources import open_source
from worker.media import Format

NO_DATA = "It holds no data, but units, totals or a note."
WRITTEN = {"decimal": ",", "thousands": "."}


@pytest.fixture(scope="module")
def model(load_model):
    """It knows numbers with decimal commas."""
    estimator = GaussianNB().fit([[0, 0, 0], [1500, 1, 1]], ["a", "b"])
    features = [number(name, written=WRITTEN) for name in "xyz"]
    return load_model(estimator=estimator, instance=dict.fromkeys("xyz", 1), features=features)


@pytest.fixture
def score(model, tmp_path):
    """Score a file in small parts: the rows that are written, as text, and the bad ones."""

    def run(path):
        pool, output = Pool(model, seconds=60), Output(tmp_path / "out.csv")
        source = open_source(list_files(path, Path("/")), model.description, Format.CSV, pool.look)
        with output.begin(Format.CSV, {}):
            done = pool.score(source.list_parts(), output)
            output.finish({part.name: outcome for part, outcome in done}, pool.join)
        bad = output.bad.read_text() if output.bad.exists() else ""
        rows = [(int(row["row"]), row["reason"]) for row in csv.DictReader(bad.splitlines())]
        return pd.read_csv(output.path, dtype=str), rows

    return run


def test_only_the_first_and_last_rows_of_a_file_are_no_data(score, tmp_path, monkeypatch):
    monkeypatch.setattr("files.sources.PIECE_BYTES", 100)
    rows = ["1,5;2;3", "cm;cm;cm"] * 50  # wherever a part ends
    lines = ["x;y;z", "cm;cm;cm", *rows, "1,5;2;3", "Total: 100", "150;;", "Source: me"]
    (tmp_path / "in.csv").write_text("\n".join(lines))

    scored, bad = score(tmp_path / "in.csv")

    assert [row for row, said in bad if said == NO_DATA] == [1, 103, 104, 105]
    others = [row for row, said in bad if said == "x must be a number."]
    assert others == list(range(3, 102, 2))
    assert scored["x"].tolist() == ["1,5"] * 51


def test_decimal_commas_are_read_as_they_were_written_in_training(score, tmp_path):
    text = "x,y,z,note\n" + '"1.500,0",1.0,"1,0","1.500,0"\n0.0,0,0,8.0\n' * 2
    (tmp_path / "in.csv").write_text(text)

    scored, bad = score(tmp_path / "in.csv")

    assert not bad
    assert scored["prediction_class"].tolist() == ["b", "a"] * 2
    assert scored["x"].tolist() == ["1.500,0", "0.0"] * 2
    assert scored["note"].tolist() == ["1.500,0", "8.0"] * 2


@pytest.mark.parametrize("above", [99, 100, 101, 102])
def test_a_line_end_within_quotes_is_kept_wherever_a_block_ends(
    score, tmp_path, monkeypatch, above
):
    monkeypatch.setattr("files.sources.PIECE_BYTES", 256)
    note = "n" * above + "\r\n" + "n" * 99
    text = "x,y,z,note\r\n" + f'1,2,3,"{note}"\r\n' * 20
    (tmp_path / "in.csv").write_bytes(text.encode())

    scored, bad = score(tmp_path / "in.csv")

    assert not bad
    assert scored["note"].tolist() == [note] * 20


def test_a_workbook_is_written_as_csv_letter_by_letter(score, tmp_path):
    rows = [["x", "y", " z ", "zip", "n"], ["cm", "cm", "cm"], ["1.500,5", 2, 3.5, "06000", 7]]
    rows += [[1.25, "2", -1, "202.10", 8], ["Total: 3"]]

    (path := tmp_path / "in.xlsx").write_bytes(write_workbook(Sales=rows))
    scored, bad = score(path)

    assert bad == [(1, NO_DATA), (4, NO_DATA)]
    assert list(scored)[:5] == ["x", "y", "z", "zip", "n"]
    assert scored.iloc[:, :5].to_numpy().tolist() == [
        ["1.500,5", "2", "3.5", "06000", "7"],
        ["1.25", "2", "-1", "202.10", "8"],
    ]
    assert scored["prediction_class"].tolist() == ["b", "a"]


def test_workbooks_of_one_folder_may_hold_other_kinds_of_cells(score, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name, row in {"a": [1500, 1, 1, 5], "b": [0, 0, 0, "none"]}.items():
        workbook = write_workbook(Sales=[["x", "y", "z", "note"], row])
        (folder / f"{name}.xlsx").write_bytes(workbook)

    scored, bad = score(folder)

    assert not bad
    assert scored["note"].tolist() == ["5", "none"]
    assert scored["prediction_class"].tolist() == ["b", "a"]


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_text_is_written_in_utf_8_whatever_it_was_read_in(score, tmp_path, codec):
    text = "x;y;z;größe\n1,5;2;3; peut-être € \n"
    (tmp_path / "in.csv").write_bytes(text.encode(codec))

    scored, bad = score(tmp_path / "in.csv")

    assert not bad
    assert scored["größe"].tolist() == [" peut-être € "]
