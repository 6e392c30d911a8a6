import io
import struct

import flatbuffers
import numpy as np
import pyarrow as pa
import pytest
from formats import ARROW, write

from batch.arrow_messages import size_arrow
from batch.columnar import open_arrow
from batch.tables import Limits
from batch.unpacking import size_column
from errors import MalformedTable, TableTooLarge

LIMITS = Limits(1_000_000, 2**20)
DOUBLE, TIMESTAMP, UNION = 3, 10, 14
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

    def field(self, name="x", number=DOUBLE, text="", children=(), metadata=()):
        texts = {"_1": self.CreateString(text)} if text else {}
        parts = {"_0": self.CreateString(name), "_3": self.table(2, **texts)}
        parts |= {"_5": self.list(children), "_6": self.list(metadata)}
        self.StartObject(7)
        self.PrependUint8Slot(2, number, 0)
        for slot, offset in parts.items():
            self.PrependUOffsetTRelativeSlot(int(slot[1:]), offset, 0)
        return self.EndObject()

    def stream(self, fields, metadata=()):
        schema = self.table(4, _1=self.list(fields), _2=self.list(metadata))
        self.StartObject(5)
        self.PrependInt16Slot(0, 4, 0)
        self.PrependUint8Slot(1, 1, 0)
        self.PrependUOffsetTRelativeSlot(2, schema, 0)
        self.Finish(self.EndObject())
        data = bytes(self.Output())
        return struct.pack("<II", 0xFFFFFFFF, len(data)) + data + END


LONG = "x" * 50_000


def share_a_name(craft, times):
    return craft.stream([craft.field(LONG)] * times)


def share_a_zone(craft, times):
    return craft.stream([craft.field(number=TIMESTAMP, text=LONG)] * times)


def share_metadata(craft, times):
    return craft.stream([craft.field()], [craft.pair(LONG)] * times)


def share_metadata_of_a_column(craft, times):
    return craft.stream([craft.field(metadata=[craft.pair(LONG)] * times)])


def share_a_column_in_columns(craft, times):
    leaf = craft.field(LONG)
    return craft.stream([craft.field(number=UNION, text=LONG, children=[leaf])] * times)


def share_short_columns(craft, times):
    return craft.stream([craft.field()] * (100 * times))


@pytest.mark.parametrize(
    "share",
    [
        share_a_name,
        share_a_zone,
        share_metadata,
        share_metadata_of_a_column,
        share_a_column_in_columns,
        share_short_columns,
    ],
)
def test_a_schema_whose_columns_share_their_bytes_is_refused(share):
    with pytest.raises(MalformedTable, match="share their bytes"):
        open_arrow(share(Craft(), 10), 4, LIMITS)


@pytest.mark.parametrize("share", [share_a_name, share_metadata, share_metadata_of_a_column])
def test_each_may_be_there_once(share):
    body = share(Craft(), 1)

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
    bodies = {}
    for rows in (1, 600):
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table, max_chunksize=rows)
        bodies[rows] = sink.getvalue()

    [chunk] = open_arrow(bodies[600], 4, LIMITS).chunks(LIMITS)
    assert chunk.column("x").dictionary_decode().to_pylist() == texts.to_pylist()[:600]
    with pytest.raises(TableTooLarge, match="share in dictionaries are too large"):
        list(open_arrow(bodies[1], 4, LIMITS).chunks(LIMITS))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()])
def test_the_size_of_a_column_is_that_of_the_texts_its_rows_have(kind):
    texts = pa.array(["left out", "é" * 10, "", "ab"]).cast(kind)[1:]
    indices = pa.array([9, 2, 0, None, 0, 1], pa.uint8())[1:]
    column = pa.DictionaryArray.from_arrays(indices, texts)

    assert size_column(column) == 5 * 4 + 2 + 20 + 20
    assert size_column(column[2:3]) == 4
