import io
import struct
import time

import flatbuffers
import numpy as np
import pyarrow as pa
import pytest
from formats import ARROW, write, write_batches

from errors import InvalidTable, MalformedTable, TableTooLarge
from worker.tables.arrow_messages import DICTIONARY_ID, _field, _read_messages, size_arrow
from worker.tables.columnar import open_arrow
from worker.tables.tables import Limits
from worker.tables.unpacking import size_column
from worker.tables.writers import _to_cells

LIMITS = Limits(1_000_000, 2**20)
DOUBLE, TEXT, TIMESTAMP, UNION = 3, 5, 10, 14
END = struct.pack("<II", 0xFFFFFFFF, 0)


class Craft(flatbuffers.Builder):
    """Makes the message of a schema, of tables that may be used more than once."""

    def table(self, slots, **offsets):
        self.StartObject(slots)
        for slot, offset in offsets.items():
            self.PrependUOffsetTRelativeSlot(int(slot[1:]), offset, 0)
        return self.EndObject()

    def list(self, offsets):
        self.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.PrependUOffsetTRelative(offset)
        return self.EndVector()

    def pair(self, value):
        return self.table(2, _0=self.CreateString("key"), _1=self.CreateString(value))

    def field(self, name="x", number=DOUBLE, text="", children=(), metadata=(), **more):
        texts = {"_1": self.CreateString(text)} if text else {}
        parts = {"_0": self.CreateString(name), "_3": self.table(2, **texts), **more}
        parts |= {"_5": self.list(children), "_6": self.list(metadata)}
        self.StartObject(7)
        self.PrependUint8Slot(2, number, 0)
        for slot, offset in parts.items():
            self.PrependUOffsetTRelativeSlot(int(slot[1:]), offset, 0)
        return self.EndObject()

    def encoding(self):
        """As a dictionary's, whose number is 0, by integers of 32 bits."""
        self.StartObject(2)
        self.PrependInt32Slot(0, 32, 0)
        self.PrependBoolSlot(1, True, False)
        return self.table(4, _1=self.EndObject())

    def stream(self, fields, metadata=()):
        schema = self.table(4, _1=self.list(fields), _2=self.list(metadata))
        self.StartObject(5)
        self.PrependInt16Slot(0, 4, 0)
        self.PrependUint8Slot(1, 1, 0)
        self.PrependUOffsetTRelativeSlot(2, schema, 0)
        self.Finish(self.EndObject())
        data = bytes(self.Output())
        data += bytes(-len(data) % 8)
        return struct.pack("<II", 0xFFFFFFFF, len(data)) + data + END


def split(stream):
    """Metadata and body of each message."""
    at, found = 0, []
    for message in pa.ipc.MessageReader.open_stream(stream):
        size = struct.unpack_from("<I", stream, at + 4)[0]
        body = message.body.size if message.body else 0
        metadata, at = stream[at + 8 : at + 8 + size], at + 8 + size
        found.append((metadata, stream[at : at + body]))
        at += body
    return found


def join(messages):
    heads = (struct.pack("<II", 0xFFFFFFFF, len(metadata)) for metadata, _ in messages)
    parts = (head + metadata + body for head, (metadata, body) in zip(heads, messages, strict=True))
    return b"".join(parts) + END


LONG = "x" * 50_000


SHARED = {
    "name": lambda craft, times: craft.stream([craft.field(LONG)] * times),
    "zone": lambda craft, times: craft.stream([craft.field(number=TIMESTAMP, text=LONG)] * times),
    "metadata": lambda craft, times: craft.stream([craft.field()], [craft.pair(LONG)] * times),
    "metadata of a column": lambda craft, times: craft.stream(
        [craft.field(metadata=[craft.pair(LONG)] * times)]
    ),
    "column in columns": lambda craft, times: craft.stream(
        [craft.field(number=UNION, text=LONG, children=[craft.field(LONG)])] * times
    ),
    "short columns": lambda craft, times: craft.stream([craft.field()] * (100 * times)),
}


@pytest.mark.parametrize("shared", SHARED)
def test_a_schema_whose_columns_share_their_bytes_is_refused(shared):
    with pytest.raises(MalformedTable, match="share their bytes"):
        open_arrow(SHARED[shared](Craft(), 10), 4, LIMITS)


@pytest.mark.parametrize("shared", ["name", "metadata", "metadata of a column"])
def test_each_may_be_there_once(shared):
    body = SHARED[shared](Craft(), 1)

    assert open_arrow(body, 4, LIMITS).schema.equals(pa.ipc.open_stream(body).schema)


def test_columns_are_nested_only_so_deep():
    craft = Craft()
    field = craft.field()
    for _ in range(100):
        field = craft.field(children=[field])

    with pytest.raises(MalformedTable, match="nested too deep"):
        open_arrow(craft.stream([field]), 4, LIMITS)


def test_honest_schemas_are_taken():
    kinds = [pa.float64(), pa.string(), pa.timestamp("ns", "Europe/Paris"), pa.decimal128(9, 2)]
    kinds += [pa.dictionary(pa.int32(), pa.string())]
    fields = [pa.field(f"{it}", kinds[it % 5], metadata={"unit": "cm"}) for it in range(1000)]
    schema = pa.schema(fields, metadata={"pandas": "{}"})

    opened = open_arrow(write(schema.empty_table(), ARROW), 4, LIMITS)

    assert opened.schema.equals(schema, check_metadata=True)


def test_a_message_with_metadata_of_its_own_is_refused():
    table = pa.table({"x": [1.0, 2.0]})
    body = io.BytesIO()
    with pa.ipc.new_stream(body, table.schema) as stream:
        [batch] = table.to_batches()
        stream.write_batch(batch, custom_metadata={"ARROW:experimental_compression": "zstd"})

    with pytest.raises(MalformedTable, match="has metadata of its own"):
        open_arrow(body.getvalue(), 4, LIMITS)


@pytest.mark.parametrize("is_older", [False, True])
def test_a_stream_is_as_large_as_its_batches(is_older):
    table = pa.table({"x": np.random.default_rng(0).random(1000), "y": ["a", None] * 500})
    options = pa.ipc.IpcWriteOptions(use_legacy_format=is_older)

    unpacked = size_arrow(write(table, ARROW, options=options))

    assert unpacked.rows == 1000
    assert table.nbytes <= unpacked.total == unpacked.at_once < table.nbytes + 500


def test_a_dictionary_counts_for_each_batch_that_is_held_against_it():
    texts = pa.array([f"{it:08}" for it in range(100_000)])
    column = pa.DictionaryArray.from_arrays(np.arange(600, dtype=np.int32), texts)
    table = pa.table({"x": column})

    [chunk] = open_arrow(write(table, ARROW), 4, LIMITS).chunks(LIMITS)
    assert chunk.column("x").dictionary_decode().to_pylist() == texts.to_pylist()[:600]
    body = write_batches(table.to_batches(max_chunksize=1))
    with pytest.raises(TableTooLarge, match="share in dictionaries are too large"):
        list(open_arrow(body, 4, LIMITS).chunks(LIMITS))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()])
def test_the_size_of_a_column_is_that_of_the_texts_its_rows_have(kind):
    texts = pa.array(["left out", "é" * 10, "", "ab"]).cast(kind)[1:]
    indices = pa.array([9, 2, 0, None, 0, 1], pa.uint8())[1:]
    column = pa.DictionaryArray.from_arrays(indices, texts)
    offsets = pa.py_buffer(struct.pack("<iii", 0, 3, 5) + b"\0")  # with a byte after them
    longer = pa.StringArray.from_buffers(2, offsets, pa.py_buffer(b"abcde"))
    another = pa.DictionaryArray.from_arrays(np.array([0, 1, 1], np.int8), longer)

    assert size_column(column) == 5 * 4 + 2 + 20 + 20
    assert size_column(column[2:3]) == 4
    assert size_column(another) == 3 * 4 + 3 + 2 + 2


def test_a_batch_that_is_not_padded_or_has_fewer_rows_than_none_is_refused():
    schema, (metadata, body) = split(write(pa.table({"x": np.zeros(1001)}), ARROW))
    negative = metadata.replace(struct.pack("<q", 1001), struct.pack("<q", -1001))

    for batch, said in ((metadata + bytes(4), "not padded to 8"), (negative, "rows than none")):
        with pytest.raises(MalformedTable, match=said):
            open_arrow(join([schema, (batch, body)]), 4, LIMITS)


def test_the_same_bytes_count_for_each_column_that_has_them():
    table = pa.table({f"x{it}": np.zeros(1003) for it in range(40)})
    schema, (metadata, body) = split(write(table, ARROW))
    size, whole = struct.pack("<q", 8024), struct.pack("<q", len(body))

    shared = join([schema, (metadata.replace(size, whole), body)])

    assert size_arrow(shared).total == 40 * len(body)


def test_a_dictionary_counts_for_each_column_that_shares_it():
    texts = pa.array(["", "x" * 300_000])
    column = pa.DictionaryArray.from_arrays(np.zeros(1, np.int32), texts)
    honest = split(write(pa.table({f"x{it}": column for it in range(20)}), ARROW))
    craft = Craft()
    fields = [craft.field(f"x{it}", TEXT, _4=craft.encoding()) for it in range(20)]
    [(schema, _)] = split(craft.stream(fields))
    body = join([(schema, b""), honest[1], honest[-1]])
    opened = open_arrow(body, 20, LIMITS)

    with pytest.raises(TableTooLarge, match="at once"):
        list(opened.chunks(LIMITS))


def test_a_dictionary_that_replaces_another_counts_once():
    texts = (pa.array([f"{number} {it}" for it in range(100)]) for number in range(60))
    body = write_batches([pa.record_batch({"x": it.dictionary_encode()}) for it in texts])

    unpacked = size_arrow(body)

    assert unpacked.total < len(body)
    assert unpacked.at_once < len(body) / 50


def test_a_dictionary_that_grows_counts_whole_each_time():
    words = [f"{it:0100}" for it in range(100)]
    grown = [pa.array(words[: 10 * it + 10]) for it in range(10)]
    columns = [pa.DictionaryArray.from_arrays(np.zeros(1, np.int32), it) for it in grown]
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)

    body = write_batches([pa.record_batch({"x": it}) for it in columns], options=options)

    assert size_arrow(body).total > 10_000 * (1 + 10) / 2 * 0.9


def test_views_of_the_same_text_are_counted_before_they_are_read():
    text = ("é" * 400_000).encode()
    view = struct.pack("<i4sii", len(text), text[:4], 0, 0)
    buffers = [None, pa.py_buffer(view * 60_000), pa.py_buffer(text)]
    column = pa.Array.from_buffers(pa.string_view(), 60_000, buffers)
    opened = open_arrow(write(pa.table({"x": column}), ARROW), 4, LIMITS)

    start = time.process_time()
    with pytest.raises(TableTooLarge):
        list(opened.chunks(LIMITS))

    assert time.process_time() - start < 5


def test_batches_wait_for_each_other_only_as_far_as_they_are_small():
    batches = [pa.record_batch({"x": ["x" * 3_000_000]})] * 10
    body = write_batches(batches, options=pa.ipc.IpcWriteOptions(compression="zstd"))

    found = list(open_arrow(body, 4, LIMITS).chunks(LIMITS))

    assert [it.num_rows for it in found] == [2] * 5


@pytest.mark.parametrize(
    "kind", [pa.dictionary(pa.int8(), pa.string()), pa.string_view(), pa.binary_view()], ids=str
)
def test_a_type_around_a_shared_one_is_refused(kind):
    column = pa.ExtensionArray.from_storage(pa.opaque(kind, "odd", "x"), pa.nulls(1, kind))

    with pytest.raises(InvalidTable, match=r"x is of type extension<arrow.opaque"):
        open_arrow(write(pa.table({"x": column}), ARROW), 4, LIMITS)


@pytest.mark.parametrize("kind", [pa.int64(), pa.timestamp("us"), pa.bool_(), pa.null()], ids=str)
def test_a_dictionary_of_values_that_are_not_there_is_no_part_of_a_row(kind):
    values = pa.nulls(1_200_000, kind)
    column = pa.DictionaryArray.from_arrays(np.zeros(10, np.int32), values)
    limits = Limits(10**6, 2**24)

    [chunk] = open_arrow(write(pa.table({"x": column}), ARROW), 4, limits).chunks(limits)

    assert chunk.num_rows == 10
    assert size_column(chunk.column(0)) <= 10 * (4 + 8 + 1)


@pytest.mark.parametrize("kind", [pa.string_view(), pa.string(), pa.float64()], ids=str)
def test_batches_without_rows_are_passed_over(kind):
    full = pa.record_batch({"x": pa.array(["1", None]).cast(kind)})
    body = write_batches([full.slice(0, 0), full, full.slice(0, 0)])

    [chunk] = open_arrow(body, 4, LIMITS).chunks(LIMITS)

    assert chunk.equals(full)


def test_a_dictionary_of_nothing_is_not_written_out():
    values = pa.DictionaryArray.from_arrays(np.zeros(3, np.int32), pa.nulls(200_000_000))
    pool = pa.default_memory_pool()
    before = pool.max_memory()

    assert _to_cells(values).to_pylist() == ["", "", ""]

    assert pool.max_memory() - before < 1_000_000


def test_many_dictionaries_are_counted_in_time_that_grows_as_they_do():
    column = pa.array(["a"]).dictionary_encode()
    schema, _, second, _ = split(write(pa.table({"x": column, "y": column}), ARROW))
    _, message = _read_messages(memoryview(join([schema, second])))
    at = _field(message.data, message.header, DICTIONARY_ID)

    def number(it):
        metadata = bytearray(second[0])
        struct.pack_into("<q", metadata, at, it)
        return bytes(metadata), second[1]

    def measure(times):
        body = join([schema, *map(number, range(times))])
        start = time.process_time()
        size_arrow(body)
        return time.process_time() - start

    assert measure(20_000) < 30 * measure(2_000)
