import asyncio
import gzip
import json
import tracemalloc
import zlib
from codecs import BOM_UTF8

import numpy as np
import pytest
from conftest import SETOSA
from fastapi import Request
from open_protocol import describe_tensor, pack, pack_array

from errors import BodyTooLarge, DamagedBody, TooManyUploads, UnsupportedEncoding
from web.bodies import Uploads, read_body

JSON = {"Content-Type": "application/json"}


def test_a_body_above_the_limit_answers_413(client, start_live):
    small_client = start_live(max_body_bytes=1000)
    padded = json.dumps(SETOSA).encode().ljust(10_000)
    for body in (padded, iter([padded[:5000], padded[5000:]])):
        response = small_client.post("/predict", content=body, headers=JSON)

        assert response.status_code == 413
        assert response.headers["content-type"] == "application/problem+json"
        assert "larger than the 1000 bytes" in response.json()["detail"]
    # One instance is no place for megabytes.
    assert client.post("/predict", content=b" " * 100_000, headers=JSON).status_code == 413


TYPES = ["text/plain", "application/x-www-form-urlencoded", "nonsense+json", "text/html+json"]
TYPES += ["application/json; charset=utf-16"]


@pytest.mark.parametrize(
    ("headers", "said"),
    [({}, "none was sent"), (JSON | {"Content-Encoding": "gzip"}, "gzip is not taken here")]
    + [({"Content-Type": it}, "") for it in TYPES],
)
def test_a_body_of_another_type_or_encoding_answers_415(client, headers, said):
    response = client.post("/predict", content=b"{}", headers=headers)

    assert response.status_code == 415
    assert said in response.json()["detail"]


CHARSETS = ["", "; charset=utf-8", '; charset="UTF-8"', "; charset=utf8", ';charset="UTF8"']
CHARSETS += ["; charset = Utf8; profile=charset", "; charset='utf8'", "; charset=us-ascii"]


@pytest.mark.parametrize("charset", CHARSETS)
def test_json_in_utf_8_is_taken(client, charset):
    headers = {"Content-Type": f"application/json{charset}"}

    for path, body in (("/predict", SETOSA), ("/predict/batch", {"instances": [SETOSA]})):
        assert client.post(path, content=json.dumps(body), headers=headers).is_success


ROWS = {"instances": [[*SETOSA.values()]]}
TENSOR = {"inputs": [describe_tensor("rows", [[*SETOSA.values()]])]}
BODIES = [("/predict", SETOSA), ("/explain", SETOSA), ("/predict/batch", {"instances": [SETOSA]})]
BODIES += [("/v1/models/iris:predict", ROWS), ("/v2/models/iris/infer", TENSOR)]
BODIES += [("/v2/repository/index", {"ready": True})]


@pytest.mark.parametrize("marks", [1, 2])
def test_json_behind_byte_order_marks_is_taken_everywhere(journal_client, marks):
    predicted = journal_client.post("/predict", json=SETOSA).json()["prediction_id"]
    label = {"prediction_id": predicted, "label": "setosa"}

    for path, body in [*BODIES, ("/feedback", label), ("/feedback", [label])]:
        marked = BOM_UTF8 * marks + json.dumps(body).encode()
        answer = journal_client.post(path, content=marked, headers=JSON)
        assert answer.status_code == 200, (path, answer.text)


def test_a_byte_order_mark_counts_where_the_json_ends_before_binary_data(client):
    body, headers = pack([pack_array(np.array([[*SETOSA.values()]]), "rows")])
    [length] = headers.values()
    headers = dict.fromkeys(headers, str(int(length) + len(BOM_UTF8)))

    answer = client.post("/v2/models/iris/infer", content=BOM_UTF8 + body, headers=headers)

    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/predict", "/explain"])
@pytest.mark.parametrize("body", [ROWS, {"instances": 1}, {"columns": {}}, [SETOSA], [], 1])
def test_a_body_for_many_is_told_where_many_are_taken(client, path, body):
    answer = client.post(path, json=body)

    said = f"Send one JSON object with {', '.join(SETOSA)}. Send many to POST /predict/batch."
    assert answer.status_code == 422
    assert answer.json()["detail"] == said


@pytest.mark.parametrize("body", [SETOSA | {"columns": 1}, {"instances": [], "columns": 1}])
def test_another_body_with_a_key_too_many_is_told_that_key(client, body):
    answer = client.post("/predict", json=body)

    assert "columns is not a feature of this model." in answer.json()["detail"]


def test_what_was_sent_is_repeated_only_so_far(client):
    name = "x" * 10_000

    answers = [
        client.post("/predict", json={name: 1}),
        client.get(f"/{name}"),
        client.post("/predict", content=b"{}", headers={"Content-Type": name}),
    ]

    assert [response.status_code for response in answers] == [422, 404, 415]
    assert all(len(response.content) < 2000 for response in answers)


def make_request(*chunks, headers=(), uploads=None, is_whole=True):
    """Its body comes in these chunks; the rest of it never comes if they are not the whole."""
    events = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    events += [{"type": "http.request", "body": b"", "more_body": False}] * is_whole
    state = {"uploads": uploads or Uploads(1_000_000)}

    async def receive():
        await asyncio.sleep(0)
        return events.pop(0) if events else await asyncio.Event().wait()

    return Request({"type": "http", "headers": [*headers], "state": state}, receive)


def read(*chunks, encoding=None, max_bytes=1000):
    """What read_body makes of a body that comes in these chunks."""
    headers = [(b"content-encoding", encoding.encode())] if encoding else []
    return asyncio.run(read_body(make_request(*chunks, headers=headers), max_bytes))


def start_upload(uploads, *chunks):
    """A body that is read until it stalls."""
    request = make_request(*chunks, uploads=uploads, is_whole=False)
    return asyncio.create_task(read_body(request, 1000))


async def end(*tasks):
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


@pytest.mark.parametrize("encoding", [None, "identity", "gzip", "GZip", "x-gzip", "deflate"])
def test_a_body_is_read_however_it_is_compressed_as_far_as_the_limit(encoding):
    modules = {"deflate": zlib.compress, None: bytes, "identity": bytes}
    compress = modules.get(encoding, gzip.compress)
    body = compress(b"x" * 1000)

    assert read(body[:5], body[5:], encoding=encoding) == b"x" * 1000
    with pytest.raises(BodyTooLarge, match="larger than the 1000 bytes"):
        read(compress(b"x" * 1001), encoding=encoding)


def test_a_bomb_is_not_inflated_whole():
    bomb = gzip.compress(bytes(50_000_000))

    tracemalloc.start()
    with pytest.raises(BodyTooLarge):
        read(bomb, encoding="gzip", max_bytes=100_000)

    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", gzip.compress(b"{}")[:-1], gzip.compress(b"{}") * 2, gzip.compress(b"{}") + b"x"],
    ids=["empty", "plain", "cut", "twice", "more"],
)
def test_a_body_that_is_not_one_whole_stream_is_damaged(body):
    with pytest.raises(DamagedBody, match="gzip"):
        read(body, encoding="gzip")


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "x" * 1000])
def test_another_compression_is_told_which_are_taken(encoding):
    with pytest.raises(UnsupportedEncoding, match=r"Use gzip, deflate or none\.") as error:
        read(b"", encoding=encoding)

    assert error.value.headers == {"Accept-Encoding": "gzip, deflate"}
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("chunks", [[400], [400, 300]], ids=["stalls", "goes on"])
def test_the_upload_that_began_first_makes_room_for_the_others(chunks):
    uploads = Uploads(1000)

    async def upload():
        first = start_upload(uploads, *[b"x" * size for size in chunks])
        second = start_upload(uploads, b"x" * 400)
        await asyncio.sleep(0)
        body = await read_body(make_request(b"x" * 200, b"x" * 100, uploads=uploads), 1000)
        with pytest.raises(TooManyUploads, match="Send it again later"):
            await asyncio.wait_for(first, 20)
        held = uploads.bytes
        await end(second)
        return body, held

    assert asyncio.run(upload()) == (b"x" * 300, 400)
    assert uploads.bytes == 0


def test_stalled_uploads_hold_no_more_than_their_limit_and_keep_no_small_body_out():
    uploads, held = Uploads(10_000), []

    async def upload():
        stalled = []
        for size in range(100, 1000):
            stalled.append(start_upload(uploads, b"x" * size))
            small = make_request(b"x", uploads=uploads)
            assert await read_body(small, 1000) == b"x"
            held.append(uploads.bytes)
        await end(*stalled)

    asyncio.run(upload())

    assert 9_000 < max(held) <= 10_000
    assert uploads.bytes == 0
