import io
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from formats import ARROW, CSV, PARQUET, read, write, write_batches

from errors import InvalidTable, MalformedTable, TableTooLarge
from worker.tables.arrow_messages import size_arrow
from worker.tables.columnar import open_arrow, open_parquet
from worker.tables.csv_tables import open_csv
from worker.tables.parquet_pages import size_parquet
from worker.tables.tables import CHUNK_BYTES, Limits, Table

LIMITS = Limits(1_000_000, 2**20)
OPEN = {ARROW: open_arrow, CSV: open_csv, PARQUET: open_parquet}


def chunks(body, media_type, limits=LIMITS):
    return list(OPEN[media_type](body, 4, limits).chunks(limits))


def draw(rows, columns=4):
    return pa.table({f"x{it}": np.random.default_rng(it).random(rows) for it in range(columns)})


@pytest.mark.parametrize("media_type", [ARROW, CSV, PARQUET])
@pytest.mark.parametrize("shape", [(1, 4), (40_000, 4), (3000, 100)])
def test_chunks_are_bounded_and_together_they_are_the_table(media_type, shape):
    table = draw(*shape)

    found = chunks(write(table, media_type), media_type, Limits(10**6, 2**24))

    assert max(it.num_rows for it in found) <= 16_384
    assert max(it.num_rows * it.num_columns for it in found) <= 131_072
    together = pa.Table.from_batches(found)
    expected = read(write(table, CSV), CSV) if media_type == CSV else table
    assert together.combine_chunks().equals(expected.combine_chunks())


@pytest.mark.parametrize("rows_each", [1, 7, 300])
def test_small_batches_are_put_together(rows_each):
    table = draw(2100)

    [found] = chunks(write_batches(table.to_batches(max_chunksize=rows_each)), ARROW)

    assert pa.table(found).equals(table.combine_chunks())


@pytest.mark.parametrize("kind", ["string", "string_view", "dictionary"])
def test_a_chunk_is_no_larger_than_its_bytes_may_be(kind):
    text = pa.array(["x" * 1_000_000] * 30)
    column = text.dictionary_encode() if kind == "dictionary" else text.cast(kind)
    table = pa.table({"x": column})

    found = list(Table(table.schema, lambda: iter(table.to_batches())).chunks(Limits(100, 2**24)))

    assert [it.num_rows for it in found] == [7, 8, 7, 8]
    assert CHUNK_BYTES < 9_000_000


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_an_arrow_stream_that_unpacks_to_too_much_is_not_unpacked(compression):
    bomb = pa.table({"x": np.zeros(900_000)})

    options = pa.ipc.IpcWriteOptions(compression=compression)
    body = write(bomb, ARROW, options=options)
    before = pa.total_allocated_bytes()
    with pytest.raises(TableTooLarge, match="unpacks to more than 4194304 bytes at once"):
        open_arrow(body, 4, LIMITS)

    assert len(body) < 100_000
    assert size_arrow(body).at_once == 7_200_000
    assert pa.total_allocated_bytes() - before < 1_000_000


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "brotli", "none"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_the_size_of_a_parquet_file_is_that_of_its_pages(compression, version):
    column = np.repeat(np.random.default_rng(0).random(450_000), 2)
    options = {"compression": compression, "data_page_version": version, "use_dictionary": False}
    body = write(pa.table({"x": column, "y": ["text"] * 900_000}), PARQUET, **options)

    unpacked = size_parquet(body)

    metadata = pq.read_metadata(pa.BufferReader(body))
    said = sum(metadata.row_group(0).column(it).total_uncompressed_size for it in range(2))
    assert 0.9 * said < unpacked.total <= said


def test_a_parquet_page_that_unpacks_to_too_much_is_not_unpacked():
    texts = pa.table({"x": ["x" * 6_000_000]})
    body = write(texts, PARQUET, compression="zstd", write_statistics=False)

    before = pa.total_allocated_bytes()
    with pytest.raises(TableTooLarge, match="at once"):
        open_parquet(body, 4, LIMITS)

    assert len(body) < 10_000
    assert pa.total_allocated_bytes() - before < 1_000_000


LONG_LIST = b"\x19\xf3" + b"\xff" * 8 + b"\x7f"  # of 2^63 bytes, in a field of a page's header


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (LONG_LIST, "is too long"),
        (b"\x19" * 100, "is nested too deep"),
        (b"\x25\x00\x05\x04\x00\x00", "says something twice"),  # the unpacked size
        (b"\x19\xf5\xa0\x9c\x01", "A list in a header"),  # of 20,000 bytes; a column has 8,000
    ],
)
def test_a_parquet_header_is_believed_once_and_as_far_as_its_column_goes(header, said):
    body = bytearray(write(draw(1000), PARQUET))
    body[4 : 4 + len(header)] = header  # of the first page

    with pytest.raises(MalformedTable, match=said):
        open_parquet(bytes(body), 4, LIMITS)


def test_parquet_columns_are_nested_only_so_deep():
    group = b"\x48\x00\x15\x02\x00"  # without a name, of one column
    schema = b"\x29\xfc" + b"\xc0\x9a\x0c" + group * 200_000  # a list of so many, in field 2
    footer = schema + b"\x16\x00\x19\x0c\x00"  # no rows, in no row groups
    body = b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"

    with pytest.raises(MalformedTable, match="nested too deep"):
        open_parquet(body, 4, LIMITS)


def test_parquet_columns_that_share_their_pages_are_refused():
    body = write(draw(1000), PARQUET)
    footer = pq.read_metadata(pa.BufferReader(body))
    for _ in range(3):
        footer.append_row_groups(pq.read_metadata(pa.BufferReader(body)))
    shared = io.BytesIO()
    footer.write_metadata_file(shared)

    with pytest.raises(MalformedTable, match="have the same pages"):
        size_parquet(body + shared.getvalue()[4:])


@pytest.mark.parametrize("media_type", [ARROW, PARQUET])
def test_text_that_is_shared_by_many_rows_is_counted_for_each(media_type):
    texts = pa.array(["x" * 100_000])
    column = pa.DictionaryArray.from_arrays(np.zeros(100_000, np.int32), texts)  # gigabytes
    body = write(pa.table({"x": column}), media_type)

    before = pa.total_allocated_bytes()
    start = time.process_time()
    with pytest.raises(TableTooLarge):
        chunks(body, media_type)

    assert len(body) < 600_000
    assert time.process_time() - start < 5
    assert pa.total_allocated_bytes() - before < 50_000_000


def test_the_different_texts_of_a_row_group_are_only_so_large_as_pyarrow_keeps_them_all():
    texts = pa.array([f"{it:06}" + "x" * 1000 for it in range(20_000)])
    table, limits = pa.table({"x": texts}), Limits(10**6, 2**22)

    found = chunks(write(table, PARQUET, compression="zstd", row_group_size=5000), PARQUET, limits)

    assert sum(it.num_rows for it in found) == 20_000
    with pytest.raises(TableTooLarge, match="at once"):
        chunks(write(table, PARQUET, compression="zstd"), PARQUET, limits)


def test_texts_that_parquet_would_give_whole_for_each_row_are_refused_before_they_grow():
    texts, limits = pa.array(["1" * 100_000] * 1000), Limits(10**6, 2**30)
    column = pa.ExtensionArray.from_storage(pa.json_(), texts)
    options = {"use_dictionary": False, "column_encoding": {"x": "DELTA_BYTE_ARRAY"}}

    with pytest.raises(InvalidTable, match=r"x is of type extension<arrow.json>, kept as bytes"):
        open_parquet(write(pa.table({"x": column}), PARQUET), 4, limits)
    with pytest.raises(MalformedTable, match="Write it as PLAIN"):
        open_parquet(write(pa.table({"x": texts}), PARQUET, **options), 4, limits)


@pytest.mark.parametrize("media_type", [ARROW, PARQUET])
def test_rows_that_cost_no_bytes_are_counted(media_type):
    with pytest.raises(TableTooLarge, match="More than 1000000 rows"):
        chunks(write(pa.table({"x": pa.nulls(1_000_001)}), media_type), media_type)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[1.0]]),
        pa.array([{"a": 1}]),
        pa.array([[("k", 1)]], pa.map_("string", "int8")),
        pa.RunEndEncodedArray.from_arrays(pa.array([1], pa.int32()), pa.array([1.0])),
        pa.array([[1.0]], pa.list_view(pa.float64())),
        pa.array([[1.0, 2.0]], pa.list_(pa.float64(), 2)),
        pa.array([None], pa.binary(200_000_000))[:0],
    ],
    ids=lambda it: str(it.type),
)
def test_columns_of_columns_or_of_very_wide_cells_are_refused_by_name(column):
    with pytest.raises(InvalidTable, match=r"deep is of type .* drop it"):
        open_arrow(write(pa.table({"deep": column}), ARROW), 4, LIMITS)


def test_there_are_only_so_many_columns_to_return():
    with pytest.raises(InvalidTable, match="More than 1000 columns beside the features"):
        open_csv(",".join(map(str, range(1005))).encode() + b"\n", 4, LIMITS)


@pytest.mark.parametrize("media_type", [ARROW, PARQUET])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.95])
def test_a_damaged_body_is_said_to_be_one(media_type, share):
    text = pa.array(["some"] * 500).dictionary_encode()
    body = write(draw(500).append_column("text", text), media_type)
    part = body[: int(share * len(body))]

    for broken in (part, part[1:], body[::-1], body[1:], b"x", bytes(100)):
        with pytest.raises(MalformedTable):
            chunks(broken, media_type)


FUZZ = """
import random, sys
from test_tables import *
from errors import ModelServerError
media_type, times = sys.argv[1], int(sys.argv[2])
choose = random.Random(0)
table = draw(200).append_column("text", pa.array(["some", "text"] * 100).dictionary_encode())
views = pa.array(["short", "quite a long text"] * 100).cast("string_view")
table = table.append_column("view", views)
whole = write(table, media_type, **({"compression": "zstd"} if media_type == PARQUET else {}))
for _ in range(times):
    body = bytearray(whole)
    for _ in range(choose.choice([1, 2, 8])):
        value = choose.choice([0, 1, 127, 128, 255, choose.randrange(256)])
        body[choose.randrange(len(body))] = value
    try:
        for chunk in chunks(bytes(body), media_type):
            [str(it) for it in chunk.columns]
    except ModelServerError:
        pass
"""


@pytest.mark.parametrize("media_type", [ARROW, PARQUET])
@pytest.mark.parametrize("times", [500, pytest.param(20_000, marks=pytest.mark.soak)])
def test_no_body_takes_the_process_with_it(media_type, times):
    command = [sys.executable, "-c", FUZZ, media_type, str(times)]
    folder = Path(__file__).parent
    paths = os.pathsep.join(map(str, (folder, folder.parent, folder.parent.parent / "tests")))

    variables = os.environ | {"PYTHONPATH": paths}
    ran = subprocess.run(command, env=variables, capture_output=True, text=True)

    assert ran.returncode == 0, ran.stderr[-2000:]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"a,b\n\xe9,1\n", "Line 2 of the CSV is not in UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "Line 1 of the CSV is not in UTF-8"),
        (b"a,b\n" + b"1,2\n" * 40_000 + b"1,\xe2\x82", "Line 40002 of the CSV is not in UTF-8"),
        (b"a,b\n\"" + b"x" * 3_000_000 + b'",1\n', "no CSV that can be read"),
    ],
    ids=["latin-1", "utf-16", "cut", "long row"],
)  # fmt: skip
def test_a_csv_that_cannot_be_read_is_told_where(body, said):
    with pytest.raises(MalformedTable, match=said):
        chunks(body, CSV)


def test_ragged_rows_are_named_and_counted_as_far_as_rows_are_taken():
    body = b"a,b\n" + b"1,2\n" * 100 + b"\n3\n1,2\n1,2,3\n" + b"4\n" * 30

    with pytest.raises(InvalidTable) as error:
        chunks(body, CSV)

    assert error.value.faults[:2] == [
        ("It has 1 cells, and the header has 2.", 101, None),
        ("It has 3 cells, and the header has 2.", 103, None),
    ]
    assert len(error.value.faults) == 20
    assert str(error.value).endswith("And 12 more.")
    with pytest.raises(TableTooLarge):
        chunks(b"a,b\n" + b"1\n" * 2000, CSV, Limits(1000, 2**20))


def test_characters_may_lie_across_the_pieces_that_are_looked_at():
    body = b"a,b\n" + "xé,€\n".encode() * 40_000

    assert sum(it.num_rows for it in chunks(body, CSV)) == 40_000


def test_a_blank_line_is_a_row_where_there_is_one_column():
    [chunk] = chunks(b'a\n1\n\n""\n2\n', CSV)

    assert chunk.column(0).to_pylist() == ["1", None, None, "2"]


@pytest.mark.parametrize("body", [b"a,b", b"a,b\n", b"a,b\r\n\r\n", b"\xef\xbb\xbfa,b\r"])
def test_a_header_alone_is_a_table_without_rows_and_without_one_there_is_none(body):
    table = open_csv(body, 4, LIMITS)

    assert table.schema.names == ["a", "b"]
    assert list(table.chunks(LIMITS)) == []
    with pytest.raises(MalformedTable):
        open_csv(body.replace(b"a,b", b""), 4, LIMITS)
