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


@pytest.mark.parametrize("target", ["nowhere", "b.csv"])
def test_a_link_to_nothing_is_named(tmp_path, target):
    write_csv(tmp_path / "a.csv")
    (tmp_path / "b.csv").symlink_to(target)

    assert f"{tmp_path}/b.csv cannot be read: " in refusal(tmp_path)


def test_what_is_no_file_is_named(tmp_path):
    write_csv(tmp_path / "a.csv")
    os.mkfifo(tmp_path / "b.csv")

    assert f"{tmp_path}/b.csv is no file and no folder" in refusal(tmp_path)


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
    ("text", "said"),
    [
        ("", "is empty. Give it a header line"),
        ("x,y\n", "holds no rows below its header"),
        ("\n\n", "has no header"),
        ("x,y,x\n1,2,3\n", "Two columns are named x. Rename one"),
        ("x,\0\n1,2\n", "is neither CSV, gzip of CSV nor Parquet"),
    ],
)
def test_csv_without_a_table_is_refused(tmp_path, text, said):
    assert said in refusal(write_csv(tmp_path / "t.csv", text))


def test_a_file_without_line_ends_is_refused(tmp_path):
    text = "[" + ",".join(['{"x":1,"y":"a"}'] * 800_000) + "]"

    said = refusal(write_csv(tmp_path / "t.csv", text))

    assert f"The header of {tmp_path}/t.csv has not ended 1,048,576 bytes later" in said


def test_bytes_without_line_ends_are_no_table(tmp_path):
    path = tmp_path / "t.bin"
    path.write_bytes(bytes(2 * 1024**2))

    assert "is neither CSV, gzip of CSV nor Parquet" in refusal(path)


def test_a_quote_in_the_header_that_is_never_closed_is_told(tmp_path):
    said = refusal(write_csv(tmp_path / "t.csv", 'x,"y\n' + "1,2\n" * 500_000))

    assert "has not ended" in said
    assert "quote in it is never closed" in said


def test_a_quote_that_another_delimiter_would_open_is_no_matter(tmp_path):
    path = write_csv(tmp_path / "t.csv", 'note|"it,x,y\n' + "z,1,2\n" * 500_000)

    source = open_source(path, FEATURES)

    assert source.schema.names == ['note|"it', "x", "y"]


def test_a_gzip_file_that_changes_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("pieces.PIECE_BYTES", 50)
    path = write_csv(tmp_path / "t.csv.gz", "x,y\n" + "1,2\n" * 100)
    partitions = open_source(path, FEATURES).list_partitions()
    next(partitions)
    os.utime(path, ns=(0, 0))

    with pytest.raises(ChangedFile, match="has changed since the scoring began"):
        next(partitions)


def test_a_parquet_file_that_changes_is_named(tmp_path):
    path = write_parquet(tmp_path / "t.parquet", rows=100)
    source = open_source(path, FEATURES)
    path.write_bytes(b"PAR1 of another kind")

    with pytest.raises(ChangedFile, match="has changed since the scoring began"):
        next(source.list_partitions())


def test_another_encoding_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("x,y,größe\n1,2,3\n".encode("latin-1"))

    assert "is no CSV in UTF-8. Save it as that" in refusal(path)


def test_parquet_without_rows_is_refused(tmp_path):
    assert "holds no rows" in refusal(write_parquet(tmp_path / "t.parquet", rows=0))


def test_damaged_parquet_is_named(tmp_path):
    path = write_parquet(tmp_path / "t.parquet", rows=100)
    path.write_bytes(path.read_bytes()[:-20])

    assert f"The Parquet file {path} is damaged" in refusal(path)


def test_a_gzip_file_that_was_cut_off_is_named(tmp_path):
    path = write_csv(tmp_path / "t.csv.gz", "x,y\n" + "1,2\n" * PIECE_BYTES)
    path.write_bytes(path.read_bytes()[:-20])

    assert f"The gzip file {path} is damaged" in refusal(path)


def test_csv_and_parquet_are_not_mixed(tmp_path):
    write_parquet(tmp_path / "a.parquet", rows=3)
    write_csv(tmp_path / "b.csv")

    assert "holds both CSV and Parquet" in refusal(tmp_path)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_files_with_other_columns_are_named(tmp_path, kind):
    if kind == "csv":
        write_csv(tmp_path / "a.csv")
        write_csv(tmp_path / "b.csv", "x,y,z\n1,2,3\n")
    else:
        write_parquet(tmp_path / "a.parquet", rows=3)
        write_parquet(tmp_path / "b.parquet", rows=3, z=[1, 2, 3])

    assert f"b.{kind} has other columns than {tmp_path}/a.{kind}" in refusal(tmp_path)
