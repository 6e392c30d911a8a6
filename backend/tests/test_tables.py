import gc
import weakref
from functools import partial

import numpy as np
import pyarrow as pa
import pytest
from conftest import NAMES, fit, make_model
from formats import ARROW, CSV, PARQUET, read, write, write_batches

from errors import InvalidTable, MalformedTable, TableTooLarge
from worker.exchange import Message
from worker.tables.binary_tables import open_arrow, open_parquet
from worker.tables.csv_tables import open_csv
from worker.tables.files import Part
from worker.tables.table import CHUNK_BYTES, Limits, Table

LIMITS = Limits(1_000_000, 2**30)
KNOWN = make_model(fit()).description
OPEN = {ARROW: open_arrow, PARQUET: open_parquet}


def open_table(body, media_type, limits=LIMITS):
    if media_type == CSV:
        return open_csv(memoryview(body), limits, KNOWN)
    return OPEN[media_type](partial(pa.BufferReader, body), limits)


def chunks(body, media_type, limits=LIMITS):
    return list(open_table(body, media_type, limits).chunks())


def draw(rows, columns=4):
    return pa.table({f"x{it}": np.random.default_rng(it).random(rows) for it in range(columns)})


@pytest.mark.parametrize("media_type", [ARROW, CSV, PARQUET])
@pytest.mark.parametrize("shape", [(1, 4), (40_000, 4), (3000, 100)])
def test_chunks_are_bounded_and_together_they_are_the_table(media_type, shape):
    table = draw(*shape)

    found = chunks(write(table, media_type), media_type)

    assert max(it.num_rows for it in found) <= 16_384
    assert max(it.num_rows * it.num_columns for it in found) <= 131_072
    together = pa.Table.from_batches(found)
    expected = read(write(table, CSV), CSV) if media_type == CSV else table
    assert together.combine_chunks().equals(expected.combine_chunks())


@pytest.mark.parametrize("media_type", [ARROW, PARQUET])
def test_an_unnamed_first_column_holds_the_numbers_of_the_rows(media_type):
    table = draw(2, 3)
    unnamed = write(table.rename_columns(["", "row", "x"]), media_type)

    assert chunks(unnamed, media_type)[0].schema.names == ["row_1", "row", "x"]
    with pytest.raises(InvalidTable, match="Column 2 has no name"):
        open_table(write(table.rename_columns(["a", "", "x"]), media_type), media_type)


@pytest.mark.parametrize("rows_each", [1, 7, 300])
def test_small_batches_are_put_together(rows_each):
    table = draw(2100)

    [found] = chunks(write_batches(table.to_batches(max_chunksize=rows_each)), ARROW)

    assert pa.table(found).equals(table.combine_chunks())


def test_batches_wait_for_each_other_only_as_far_as_they_are_small():
    body = write_batches([pa.record_batch({"x": ["x" * 3_000_000]})] * 10)

    assert [it.num_rows for it in chunks(body, ARROW)] == [2] * 5


@pytest.mark.parametrize("kind", [pa.string_view(), pa.string(), pa.float64()], ids=str)
def test_batches_without_rows_are_passed_over(kind):
    full = pa.record_batch({"x": pa.array(["1", None]).cast(kind)})

    [chunk] = chunks(write_batches([full.slice(0, 0), full, full.slice(0, 0)]), ARROW)

    assert chunk.equals(full)


@pytest.mark.parametrize("media_type", [ARROW, PARQUET])
def test_blanks_around_names_never_count(media_type):
    table = pa.table({" x": [1.5], "y\u00a0": [2.5], "a b": [3.5]})

    [found] = chunks(write(table, media_type), media_type)

    assert found.to_pylist() == [{"x": 1.5, "y": 2.5, "a b": 3.5}]


def test_parquet_columns_of_json_are_read():
    column = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}', None]))

    [chunk] = chunks(write(pa.table({"x": column}), PARQUET), PARQUET)

    assert chunk.column("x").to_pylist() == ['{"a": 1}', None]


def test_parquet_of_long_texts_is_read_a_few_rows_at_a_time():
    texts = pa.array([f"{it:06}" + "x" * 100_000 for it in range(1000)])

    found = chunks(write(pa.table({"x": texts}), PARQUET, compression="zstd"), PARQUET)

    assert sum(it.num_rows for it in found) == 1000
    assert max(it.nbytes for it in found) <= CHUNK_BYTES


@pytest.mark.parametrize("kind", ["string", "string_view", "dictionary"])
def test_a_chunk_is_no_larger_than_its_bytes_may_be(kind):
    text = pa.array(["x" * 1_000_000] * 30)
    column = text.dictionary_encode() if kind == "dictionary" else text.cast(kind)
    table = pa.table({"x": column})

    found = list(Table(table.schema, lambda: iter(table.to_batches()), LIMITS).chunks())

    assert [it.num_rows for it in found] == [7, 8, 7, 8]
    assert CHUNK_BYTES < 9_000_000


@pytest.mark.parametrize("media_type", [ARROW, PARQUET])
def test_rows_that_cost_no_bytes_are_counted(media_type):
    with pytest.raises(TableTooLarge, match="More than 1000000 rows"):
        chunks(write(pa.table({"x": pa.nulls(1_000_001)}), media_type), media_type)


@pytest.mark.parametrize("media_type", [ARROW, PARQUET])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.95])
def test_a_damaged_body_is_said_to_be_one(media_type, share):
    text = pa.array(["some"] * 500).dictionary_encode()
    body = write(draw(500).append_column("text", text), media_type)
    part = body[: int(share * len(body))]

    for broken in (part, part[1:], body[::-1], body[1:], b"x", bytes(100)):
        with pytest.raises(MalformedTable):
            chunks(broken, media_type)


def test_a_csv_that_cannot_be_read_is_told_where():
    with pytest.raises(MalformedTable, match="Line 40002 has the byte 0x81"):
        chunks(b"a,b\n" + b"1,2\n" * 40_000 + b"1,\x81", CSV)
    with pytest.raises(MalformedTable, match="no CSV that can be read"):
        chunks(b'a,b\n"' + b"x" * 3_000_000 + b'",1\n', CSV)


def test_long_rows_are_named_and_counted_as_far_as_rows_are_taken():
    body = b"a,b\n" + b"1,2\n" * 100 + b"\n3,4,5\n1\n1,2,3\n" + b"4,5,6\n" * 30

    with pytest.raises(InvalidTable) as error:
        chunks(body, CSV)

    assert error.value.faults[:2] == [
        ("It has 3 cells, and the header has 2.", 101, None),
        ("It has 3 cells, and the header has 2.", 103, None),
    ]
    assert len(error.value.faults) == 20
    assert str(error.value).endswith("And 12 more.")
    with pytest.raises(TableTooLarge):
        chunks(b"a,b\n" + b"1\n" * 2000, CSV, Limits(1000, 2**30))


def test_characters_may_lie_across_the_pieces_that_are_looked_at():
    body = b"a,b\n" + "xé,€\n".encode() * 40_000

    assert sum(it.num_rows for it in chunks(body, CSV)) == 40_000


def test_a_blank_line_is_a_row_where_there_is_one_column():
    [chunk] = chunks(b'a\n1\n\n""\n2\n', CSV)

    assert chunk.column(0).to_pylist() == ["1", None, None, "2"]


@pytest.mark.parametrize("body", [b"a,b", b"a,b\n", b"a,b\r\n\r\n", b"\xef\xbb\xbfa,b\r"])
def test_a_header_alone_is_a_table_without_rows_and_without_one_there_is_none(body):
    table = open_table(body, CSV)

    assert table.schema.names == ["a", "b"]
    assert list(table.chunks()) == []
    with pytest.raises(MalformedTable):
        open_table(body.replace(b"a,b", b""), CSV)


def test_a_part_of_a_file_is_forgotten_once_it_is_written():
    head = {"sent": CSV, "wanted": CSV, "header": [",", NAMES, 0]}
    body = np.frombuffer(b"5.1,3.5,1.4,0.2\n5.1,short\n5.1,1,1,1,long\n", np.uint8)
    part = Part(make_model(fit()).worker, Message(head, {"body": body}), None)
    assert b"setosa" in b"".join(part.write())
    kept = weakref.ref(part)

    del part
    gc.collect()

    assert kept() is None
