import csv
import gzip
import io
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import number
from sklearn.naive_bayes import GaussianNB

from errors import CommandFailed
from files.listing import list_files
from files.pool import Pool
from files.sources import PIECE_BYTES, open_source
from schemas import Written
from worker.media import Format

ELSEWHERE = Path("/elsewhere")


@pytest.fixture(scope="module")
def model(load_model):
    """The description of a model with the features x and y, and a way to ask its process."""
    estimator = GaussianNB().fit(np.array([[0, 0], [1, 1], [0, 1], [1, 0]]), ["a", "b", "a", "b"])
    features = [number("x"), number("y")]
    opened = load_model(estimator=estimator, instance={"x": 1, "y": 1}, features=features)
    return opened.description, Pool(opened, seconds=60).look


@pytest.fixture
def open_it(model):
    known, look = model

    def open_path(path, left_out=ELSEWHERE):
        return open_source(list_files(path, left_out), known, Format.PARQUET, look)

    return open_path


@pytest.fixture
def refusal(open_it):
    def refuse(path):
        with pytest.raises(CommandFailed) as refused:
            list(open_it(path).list_parts())
        return str(refused.value)

    return refuse


def write_parquet(path, rows, group=10, **columns):
    table = pa.table({"x": list(range(rows)), "y": [1.5] * rows, **columns})
    pq.write_table(table, path, row_group_size=group)
    return path


def write_csv(path, text="x,y\n1,2\n3,4\n", codec="utf-8"):
    content = text.encode(codec)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def read_column(source):
    return [value for part in source.list_parts() for value in read_part(part)]


def read_part(part):
    if part.body:
        return [x for x, _ in csv.reader(io.StringIO(part.body.decode(), newline=""))]
    return pq.ParquetFile(part.file.path).read_row_groups(part.head["groups"])["x"].to_pylist()


def test_row_groups_are_put_together_up_to_a_partition(open_it, tmp_path, monkeypatch):
    monkeypatch.setattr("files.sources.PART_ROWS", 25)
    source = open_it(write_parquet(tmp_path / "t.parquet", rows=95))

    found = list(source.list_parts())

    assert [it.head["groups"] for it in found] == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    assert [it.number for it in found] == [0, 1, 2, 3, 4]
    assert sum(it.size for it in found) == pytest.approx(source.size, abs=5)
    assert read_column(source) == list(range(95))


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "without an ending"])
def test_csv_is_parted_between_rows(open_it, tmp_path, monkeypatch, name):
    monkeypatch.setattr("files.sources.PIECE_BYTES", 50)
    text = "x,y\n" + "".join(f'{it},"a\n{it}"\n' for it in range(100))

    source = open_it(write_csv(tmp_path / name, text))

    found = list(source.list_parts())
    assert len(found) > 10
    assert sum(it.size for it in found) <= source.size
    assert read_column(source) == [str(it) for it in range(100)]


def test_a_folder_is_all_its_files_but_hidden_ones(open_it, tmp_path):
    (tmp_path / "2025").mkdir()
    write_parquet(tmp_path / "2025/b.parquet", rows=3)
    write_parquet(tmp_path / "c.parquet", rows=2)
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".c.parquet.crc").write_text("0")
    (tmp_path / "~$open.xlsx").write_text("0")

    source = open_it(tmp_path)

    assert [it.path.name for it in source.files] == ["b.parquet", "c.parquet"]
    assert read_column(source) == [0, 1, 2, 0, 1]


def test_the_folder_left_out_is_not_read_behind_a_link_either(open_it, tmp_path):
    folder = tmp_path / "in"
    (folder / "scored").mkdir(parents=True)
    write_csv(folder / "a.csv")
    write_csv(folder / "scored/a.csv")
    (folder / "again").symlink_to("scored")
    (folder / "b.csv").symlink_to("scored/a.csv")

    source = open_it(folder, folder / "scored")

    assert [file.path for file in source.files] == [folder / "a.csv"]


def test_folders_behind_links_are_read_once(open_it, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "elsewhere").mkdir()
    write_parquet(tmp_path / "elsewhere/a.parquet", rows=3)
    write_parquet(tmp_path / "in/b.parquet", rows=2)
    (tmp_path / "in/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/same.parquet").symlink_to("b.parquet")
    (tmp_path / "elsewhere/round").symlink_to(tmp_path / "in")

    source = open_it(tmp_path / "in")

    assert [it.path.name for it in source.files] == ["a.parquet", "b.parquet"]
    assert read_column(source) == [0, 1, 2, 0, 1]


def link(target):
    return lambda path: path.symlink_to(target)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (link("nowhere"), "b.csv cannot be read: "),
        (link("b.csv"), "b.csv cannot be read: "),
        (os.mkfifo, "b.csv is not a file or a folder"),
        (lambda path: write_parquet(path, rows=3), "IN holds CSV and Parquet. Score each"),
        (lambda path: write_csv(path, "x,y,z\n1,2,3\n"), "b.csv has other columns than"),
    ],
)
def test_what_does_not_fit_into_a_folder_is_named(refusal, tmp_path, make, said):
    write_csv(tmp_path / "a.csv")
    make(tmp_path / "b.csv")

    assert said in refusal(tmp_path)


@pytest.mark.parametrize("mark", ",;\t|")
def test_the_delimiter_is_the_one_that_finds_the_features(open_it, tmp_path, mark):
    text = "note;to,all\tof|it,x,y\nz,1,2\n".replace(",x,y", f"{mark}x{mark}y")

    source = open_it(write_csv(tmp_path / "t.csv", text))

    text = source.contents[tmp_path / "t.csv"].text
    assert text.header.delimiter == mark
    assert text.header.names[-2:] == ["x", "y"]


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "cp1252"])
def test_text_is_cut_whatever_encoding_it_is_in(open_it, tmp_path, monkeypatch, name, codec):
    monkeypatch.setattr("files.sources.PIECE_BYTES", 100)
    text = '\r\n \r\n"x","größe\r\n",y\r\n' + "".join(f'{it},"é\r\n€",1\r\n' for it in range(100))

    source = open_it(write_csv(tmp_path / name, text, codec))

    bodies = [part.body.decode() for part in source.list_parts()]
    assert [part.body.decode() for part in source.list_parts()] == bodies
    assert 5 < len(bodies) < 50
    rows = [row for body in bodies for row in csv.reader(io.StringIO(body, newline=""))]
    assert rows == [[str(it), "é\r\n€", "1"] for it in range(100)]


def test_text_that_is_not_utf_8_is_in_the_encoding_of_the_training(model, tmp_path):
    written = Written(missing=[], encoding="cp1250")
    known = model[0].model_copy(update={"written": written})
    path = write_csv(tmp_path / "t.csv", "x,y,note\n1,2,Łódź\n", "cp1250")

    source = open_source([path], known, None, model[1])

    assert [part.body.decode() for part in source.list_parts()] == ["1,2,Łódź\n"]
    assert list(source.tell()) == ["Read as cp1250, separated by commas."]


def test_files_of_one_folder_may_be_written_by_several_programs(open_it, tmp_path):
    text = "{0}x{1}größe{1}y\n1{1}é{1}2\n"
    for name, above, mark, codec in (
        ("a", "", ",", "utf-8"),
        ("b", "", ";", "cp1252"),
        ("c", "sep=\t\n", "\t", "utf-16"),
    ):
        write_csv(tmp_path / f"{name}.csv", text.format(above, mark), codec)

    source = open_it(tmp_path)

    assert list(source.tell()) == [
        "Read as UTF-8, separated by commas (1 of 3 files).",
        "Read as Windows-1252, separated by semicolons (1 of 3 files).",
        "Read as UTF-16, separated by tabs (1 of 3 files).",
    ]
    assert [part.body.decode() for part in source.list_parts()] == [
        "1,é,2\n",
        "1;é;2\n",
        "1\té\t2\n",
    ]


def test_what_is_not_there_is_said(refusal, tmp_path):
    assert f"There is no file {tmp_path}/t.csv" in refusal(tmp_path / "t.csv")
    assert "holds no files" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty. Give it a header line"),
        (b"x,y\n", "holds no rows below its header"),
        (b"\n\n", "t.csv cannot be read: The CSV is empty"),
        (b"PK\3\4" + bytes(99), "t.csv cannot be read: The body is no .xlsx that can be read"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "or older than .xlsx. Save it as .xlsx"),
        (b"x,,y\n1,2,3\n", "t.csv: Column 2 has no name. Give it one"),
        (b"x,y,x\n1,2,3\n", "There are two columns x"),
        (b"x,\0\n1,2\n", "holds NUL characters"),
        (bytes(2 * 1024**2), "holds NUL characters"),
        (b"[" + b'{"x":1,"y":"a"},' * 800_000, "Perhaps it is not CSV"),
        (b'x,"y\n' + b"1,2\n" * 500_000, "quote in it is never closed"),
        (b"x,y\n1,2\n3,\x81\n", "Line 3 has the byte 0x81, which is not text in Windows-1252"),
    ],
    ids=range(12),
)
def test_what_is_no_table_is_refused(refusal, tmp_path, content, said):
    (tmp_path / "t.csv").write_bytes(content)

    assert said in refusal(tmp_path / "t.csv")


def test_a_quote_that_another_delimiter_would_open_is_no_matter(open_it, tmp_path):
    path = write_csv(tmp_path / "t.csv", 'note|"it,x,y\n' + "z,1,2\n" * 500_000)

    source = open_it(path)

    assert source.contents[path].text.header.names == ['note|"it', "x", "y"]


def test_a_file_that_changes_is_named(tmp_path, open_it):
    [part] = open_it(write_csv(tmp_path / "t.csv.gz")).list_parts()
    part.file.require_same()
    os.utime(part.file.path, ns=(0, 0))

    with pytest.raises(CommandFailed, match="has changed since the scoring began"):
        part.file.require_same()


def test_a_file_that_was_cut_off_is_named(refusal, tmp_path):
    parquet = write_parquet(tmp_path / "t.parquet", rows=100)
    zipped = write_csv(tmp_path / "t.csv.gz", "x,y\n" + "1,2\n" * PIECE_BYTES)
    for path in (parquet, zipped):
        path.write_bytes(path.read_bytes()[:-20])

    assert f"The Parquet file {parquet} is damaged" in refusal(parquet)
    assert f"The gzip file {zipped} is damaged" in refusal(zipped)


def test_parquet_without_rows_or_with_other_columns_is_refused(refusal, tmp_path):
    assert "holds no rows" in refusal(write_parquet(tmp_path / "a.parquet", rows=0))
    write_parquet(tmp_path / "a.parquet", rows=3)
    write_parquet(tmp_path / "b.parquet", rows=3, z=[1, 2, 3])

    assert f"b.parquet has other columns than {tmp_path}/a.parquet" in refusal(tmp_path)
