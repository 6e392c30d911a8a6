import asyncio
import gzip
import json
import tracemalloc
import zlib

import pytest
from conftest import SETOSA
from fastapi import Request

from bodies import read_body
from errors import BodyTooLarge, DamagedBody, UnsupportedEncoding

JSON = {"Content-Type": "application/json"}


def test_a_body_above_the_limit_answers_413(client, start_live):
    small_client = start_live(max_body_bytes=1000)
    for body in (b" " * 10_000, iter([b" " * 100] * 100)):
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


@pytest.mark.parametrize("charset", ["", "; charset=utf-8", '; charset="UTF-8"'])
def test_json_in_utf_8_is_taken(client, charset):
    headers = {"Content-Type": f"application/json{charset}"}

    assert client.post("/predict", content=json.dumps(SETOSA), headers=headers).is_success


def test_what_was_sent_is_repeated_only_so_far(client):
    name = "x" * 10_000

    answers = [
        client.post("/predict", json={name: 1}),
        client.get(f"/{name}"),
        client.post("/predict", content=b"{}", headers={"Content-Type": name}),
    ]

    assert [response.status_code for response in answers] == [422, 404, 415]
    assert all(len(response.content) < 2000 for response in answers)


def read(*chunks, encoding=None, max_bytes=1000):
    """What read_body makes of a body that comes in these chunks."""
    events = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    events.append({"type": "http.request", "body": b"", "more_body": False})
    headers = [(b"content-encoding", encoding.encode())] if encoding else []

    async def receive():
        return events.pop(0)

    request = Request({"type": "http", "headers": headers}, receive)
    return asyncio.run(read_body(request, max_bytes))


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
