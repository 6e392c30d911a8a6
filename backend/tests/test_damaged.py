"""Damaged and hostile tables end a process of their own at worst."""

import random
import struct

import numpy as np
import pyarrow as pa
import pytest
from conftest import NAMES, SETOSA
from formats import ARROW, CSV, PARQUET, write

GOOD = b"sepal_length,sepal_width,petal_length,petal_width\n5.1,3.5,1.4,0.2\n"
REFUSED = {400, 413, 422, 503}


@pytest.fixture(scope="module")
def client(share_app):
    return share_app({}, lambda _: {"worker_memory_bytes": 300_000_000, "batch_seconds": 20})


def post(client, body, media_type, accept="*/*"):
    headers = {"Content-Type": media_type, "Accept": accept}
    return client.post("/predict/batch", content=body, headers=headers)


def make_whole(media_type):
    table = pa.table({name: np.random.default_rng(0).random(200) for name in NAMES})
    texts = pa.array(["some", "quite a long text"] * 100)
    table = table.append_column("text", texts.dictionary_encode())
    table = table.append_column("view", texts.cast(pa.string_view()))
    return write(table, media_type, **({"compression": "zstd"} if media_type == PARQUET else {}))


def damage(whole, choose):
    """Other bytes here and there, or an end too early."""
    body = bytearray(whole)
    for _ in range(choose.choice([1, 2, 8])):
        value = choose.choice([0, 1, 127, 128, 255, choose.randrange(256)])
        body[choose.randrange(len(body))] = value
    return bytes(body[: choose.choice([len(body)] * 4 + [choose.randrange(len(body))])])


@pytest.mark.parametrize("media_type", [ARROW, PARQUET])
@pytest.mark.parametrize("times", [100, pytest.param(5000, marks=pytest.mark.soak)])
def test_a_damaged_table_is_refused_or_answered_and_the_next_one_too(client, media_type, times):
    choose, whole = random.Random(times), make_whole(media_type)

    found = [post(client, damage(whole, choose), media_type).status_code for _ in range(times)]

    assert set(found) <= REFUSED | {200}
    assert set(found) & REFUSED
    assert post(client, whole, media_type).status_code == 200
    assert client.post("/predict", json=SETOSA).status_code == 200


ONE = pa.table(dict.fromkeys(NAMES, np.ones(1)))
ZSTD = pa.ipc.IpcWriteOptions(compression="zstd")
RAW = {"compression": "zstd", "use_dictionary": False, "write_statistics": False}


def make_long():
    """One row with a text that is larger than a process may be."""
    return ONE.append_column("text", pa.array(["x" * 400_000_000], pa.large_string()))


def make_shared(kind):
    """Very many rows with the same long text, 200 GB in all."""
    table = pa.table(dict.fromkeys(NAMES, np.ones(500_000)))
    column = pa.DictionaryArray.from_arrays(np.zeros(500_000, np.int32), ["é" * 200_000])
    if kind == "view":
        text = "é".encode() * 200_000
        view = struct.pack("<i4sii", len(text), text[:4], 0, 0)
        buffers = [None, pa.py_buffer(view * 500_000), pa.py_buffer(text)]
        column = pa.Array.from_buffers(pa.string_view(), 500_000, buffers)
    return table.append_column("text", column)


BOMBS = {
    "arrow": lambda: (write(make_long(), ARROW, options=ZSTD), ARROW),
    "parquet": lambda: (write(make_long(), PARQUET, **RAW), PARQUET),
    "shared in arrow": lambda: (write(make_shared("dictionary"), ARROW, options=ZSTD), ARROW),
    "shared in parquet": lambda: (write(make_shared("dictionary"), PARQUET), PARQUET),
    "views": lambda: (write(make_shared("view"), ARROW, options=ZSTD), ARROW),
    "json": lambda: (b'{"instances": [' + b"[]," * 5_000_000 + b"[]]}", "application/json"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_table_that_takes_more_memory_than_it_may_harms_nobody(client, bomb):
    body, media_type = BOMBS[bomb]()

    answer = post(client, body, media_type, CSV)

    assert answer.status_code in (413, 503), answer.text[:500]
    assert "Send" in answer.json()["detail"]
    assert post(client, GOOD, CSV).status_code == 200


def test_a_table_that_takes_longer_than_it_may_answers_503(start_live):
    client = start_live(batch_seconds=0.001)
    zeros = pa.table(dict.fromkeys(NAMES, np.zeros(1_000_000)))

    answer = post(client, write(zeros, ARROW, options=ZSTD), ARROW, CSV)

    assert answer.status_code == 503
    assert "took longer than 0.001 seconds. Send less." in answer.json()["detail"]
