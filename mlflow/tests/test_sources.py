import gzip
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headers import UnusableSource
from inputs import Feature
from pieces import PIECE_BYTES
from readers import read
from sources import ChangedFile, open_source

FEATURES = [Feature(name, "number", False, ()) for name in ("x", "y")]


def write_parquet(path, rows, group=10, **columns):
    table = pa.table({"x": list(range(rows)), "y": [1.5] * rows, **columns})
    pq.write_table(table, path, row_group_size=group)
    return path


def write_csv(path, text="x,y\n1,2\n3,4\n"):
    content = text.encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def read_column(source, name="x"):
    chunks = (it.rows for partition in source.list_partitions() for it in read(partition, source))
    return [value for rows in chunks for value in rows[name].to_pylist()]


def refusal(path):
    with pytest.raises(UnusableSource) as refused:
        list(open_source(path, FEATURES).list_partitions())
    return str(refused.value)


def test_row_groups_are_put_together_up_to_a_partition(tmp_path, monkeypatch):
    monkeypatch.setattr("sources.PARTITION_ROWS", 25)
    source = open_source(write_parquet(tmp_path / "t.parquet", rows=95), FEATURES)

    found = list(source.list_partitions())

    assert [(it.start, it.end) for it in found] == [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10)]
    assert [it.number for it in found] == [0, 1, 2, 3, 4]
    assert sum(it.size for it in found) == pytest.approx(source.size, abs=5)
    assert read_column(source) == list(range(95))


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "without an ending"])
def test_csv_is_parted_between_rows(tmp_path, monkeypatch, name):
    monkeypatch.setattr("pieces.PIECE_BYTES", 50)
    text = "x,y\n" + "".join(f'{it},"a\n{it}"\n' for it in range(100))

    source = open_source(write_csv(tmp_path / name, text), FEATURES)

    found = list(source.list_partitions())
    assert len(found) > 10
    assert sum(it.size for it in found) <= source.size
    assert read_column(source) == [str(it) for it in range(100)]


def test_a_folder_is_all_its_files_but_hidden_ones(tmp_path):
    (tmp_path / "2025").mkdir()
    write_parquet(tmp_path / "2025/b.parquet", rows=3)
    write_parquet(tmp_path / "c.parquet", rows=2)
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".c.parquet.crc").write_text("0")

    source = open_source(tmp_path, FEATURES)

    assert [it.path.name for it in source.files] == ["b.parquet", "c.parquet"]
    assert read_column(source) == [0, 1, 2, 0, 1]


def test_folders_behind_links_are_read_once(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "elsewhere").mkdir()
    write_parquet(tmp_path / "elsewhere/a.parquet", rows=3)
    write_parquet(tmp_path / "in/b.parquet", rows=2)
    (tmp_path / "in/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/same.parquet").symlink_to("b.parquet")
    (tmp_path / "elsewhere/round").symlink_to(tmp_path / "in")

    source = open_source(tmp_path / "in", FEATURES)

    assert [it.path.name for it in source.files] == ["a.parquet", "b.parquet"]
    assert read_column(source) == [0, 1, 2, 0, 1]


def link(target):
    return lambda path: path.symlink_to(target)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (link("nowhere"), "b.csv cannot be read: "),
        (link("b.csv"), "b.csv cannot be read: "),
        (os.mkfifo, "b.csv is no file and no folder"),
        (lambda path: write_parquet(path, rows=3), "holds both CSV and Parquet"),
        (lambda path: write_csv(path, "x,y,z\n1,2,3\n"), "b.csv has other columns than"),
    ],
)
def test_what_does_not_fit_into_a_folder_is_named(tmp_path, make, said):
    write_csv(tmp_path / "a.csv")
    make(tmp_path / "b.csv")

    assert said in refusal(tmp_path)


@pytest.mark.parametrize("mark", ",;\t|")
def test_the_delimiter_is_the_one_that_finds_the_features(tmp_path, mark):
    text = "note;to,all\tof|it,x,y\nz,1,2\n".replace(",x,y", f"{mark}x{mark}y")

    source = open_source(write_csv(tmp_path / "t.csv", text), FEATURES)

    assert source.delimiter == mark
    assert source.schema.names[-2:] == ["x", "y"]


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    source = open_source(write_csv(tmp_path / "t.csv", "\ufeffx,y\n1,2\n"), FEATURES)

    assert source.schema.names == ["x", "y"]


def test_what_is_not_there_is_said(tmp_path):
    assert f"There is no file {tmp_path}/t.csv" in refusal(tmp_path / "t.csv")
    assert "holds no files" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty. Give it a header line"),
        (b"x,y\n", "holds no rows below its header"),
        (b"\n\n", "has no header"),
        (b"x,y,x\n1,2,3\n", "Two columns are named x. Rename one"),
        (b"x,\0\n1,2\n", "is neither CSV, gzip of CSV nor Parquet"),
        (bytes(2 * 1024**2), "is neither CSV, gzip of CSV nor Parquet"),
        (b"[" + b'{"x":1,"y":"a"},' * 800_000, "t.csv has not ended 1,048,576 bytes later"),
        (b'x,"y\n' + b"1,2\n" * 500_000, "quote in it is never closed"),
        ("x,y,größe\n1,2,3\n".encode("latin-1"), "is no CSV in UTF-8. Save it as that"),
    ],
    ids=range(9),
)
def test_what_is_no_table_is_refused(tmp_path, content, said):
    (tmp_path / "t.csv").write_bytes(content)

    assert said in refusal(tmp_path / "t.csv")


def test_a_quote_that_another_delimiter_would_open_is_no_matter(tmp_path):
    path = write_csv(tmp_path / "t.csv", 'note|"it,x,y\n' + "z,1,2\n" * 500_000)

    source = open_source(path, FEATURES)

    assert source.schema.names == ['note|"it', "x", "y"]


def test_a_file_that_changes_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("pieces.PIECE_BYTES", 50)
    zipped = write_csv(tmp_path / "t.csv.gz", "x,y\n" + "1,2\n" * 100)
    parquet = write_parquet(tmp_path / "t.parquet", rows=100)
    pieces = open_source(zipped, FEATURES).list_partitions()
    groups = open_source(parquet, FEATURES).list_partitions()
    next(pieces)
    os.utime(zipped, ns=(0, 0))
    parquet.write_bytes(b"PAR1 of another kind")

    for partitions in (pieces, groups):
        with pytest.raises(ChangedFile, match="has changed since the scoring began"):
            next(partitions)


def test_a_file_that_was_cut_off_is_named(tmp_path):
    parquet = write_parquet(tmp_path / "t.parquet", rows=100)
    zipped = write_csv(tmp_path / "t.csv.gz", "x,y\n" + "1,2\n" * PIECE_BYTES)
    for path in (parquet, zipped):
        path.write_bytes(path.read_bytes()[:-20])

    assert f"The Parquet file {parquet} is damaged" in refusal(parquet)
    assert f"The gzip file {zipped} is damaged" in refusal(zipped)


def test_parquet_without_rows_or_with_other_columns_is_refused(tmp_path):
    assert "holds no rows" in refusal(write_parquet(tmp_path / "a.parquet", rows=0))
    write_parquet(tmp_path / "a.parquet", rows=3)
    write_parquet(tmp_path / "b.parquet", rows=3, z=[1, 2, 3])

    assert f"b.parquet has other columns than {tmp_path}/a.parquet" in refusal(tmp_path)
