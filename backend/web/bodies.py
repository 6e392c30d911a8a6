"""Reads request bodies, no further than allowed."""

import asyncio
import re
import zlib
from codecs import BOM_UTF8
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from fastapi import Request

from errors import (
    BodyTooLarge,
    DamagedBody,
    TooManyUploads,
    UnsupportedEncoding,
    UnsupportedMediaType,
    UploadTooSlow,
    shorten,
)
from worker.media import is_utf8

UPLOAD_SECONDS = 300  # 16 MB at half a megabit a second
_JSON = re.compile(r"application/(.+\+)?json")
# What zlib calls a window says the format as well.
_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class Uploads:
    """The bodies that are coming in, within one limit of bytes for all of them.

    The upload that began first makes room for the others. So slow uploads keep nobody out, and a
    small body comes in unless the whole limit is used up again before it is there.
    """

    def __init__(self, max_bytes: int) -> None:
        self.bytes = 0
        self._max_bytes = max_bytes
        self._coming: dict[asyncio.Timeout, int] = {}  # the bytes of each, the oldest first

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Callable[[int], None]]:
        """Yield what counts the bytes as they come; raises UploadTooSlow or TooManyUploads."""
        limit = asyncio.timeout(UPLOAD_SECONDS)
        self._coming[limit] = 0
        try:
            async with limit:
                yield partial(self._count, limit)
        except TimeoutError:
            if limit in self._coming:
                message = f"The body took longer than {UPLOAD_SECONDS} seconds. Send a smaller one."
                raise UploadTooSlow(message) from None
            message = "Other uploads needed the room of this one. Send it again later."
            raise TooManyUploads(message) from None
        finally:
            self.bytes -= self._coming.pop(limit, 0)

    def _count(self, limit: asyncio.Timeout, size: int) -> None:
        if limit in self._coming:
            self._coming[limit] += size
            self.bytes += size
        while self.bytes > self._max_bytes:
            oldest = next(iter(self._coming))
            self.bytes -= self._coming.pop(oldest)
            if not oldest.expired():
                oldest.reschedule(0)  # now


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The body of any type, without its gzip or deflate.

    Raises UnsupportedEncoding, DamagedBody, what Uploads raises, or BodyTooLarge: before more than
    `max_bytes` have come, and before they have been inflated.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", *_WINDOWS):
        message = f"Content-Encoding {shorten(encoding)} is not taken. Use gzip, deflate or none."
        raise UnsupportedEncoding(message)
    async with request.state.uploads.begin() as count:
        body = await _collect(request, max_bytes, count)
        if encoding == "identity":
            return body
        return await asyncio.to_thread(_inflate, body, encoding, max_bytes)


async def read_json_body(request: Request, max_bytes: int) -> bytes:
    """The body without byte order marks, which PowerShell and Notepad put before it.

    Raises UnsupportedMediaType or BodyTooLarge before the rest of the body has come.
    """
    _require_json(request)
    return (await read_body(request, max_bytes)).lstrip(BOM_UTF8)


async def _collect(request: Request, max_bytes: int, count: Callable[[int], None]) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
        count(len(chunk))
    return bytes(body)


def _inflate(body: bytes, encoding: str, max_bytes: int) -> bytes:
    stream = zlib.decompressobj(_WINDOWS[encoding])
    try:
        inflated = stream.decompress(body, max_bytes + 1)
    except zlib.error:
        raise DamagedBody(f"The body is not in the {encoding} its header declares.") from None
    if len(inflated) > max_bytes:
        raise _too_large(max_bytes)
    # One member only: each further one would be copied again, and a body can hold a million.
    if not stream.eof or stream.unused_data:
        raise DamagedBody(f"The body is not one whole {encoding} stream.")
    return inflated


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is larger than the {max_bytes} bytes that are taken here.")


def _require_json(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        message = f"Content-Encoding {shorten(encoding)} is not taken here. Send the body as it is."
        raise UnsupportedMediaType(message)
    declared = request.headers.get("content-type", "")
    media_type, _, parameters = declared.lower().partition(";")
    if not is_utf8(parameters):
        raise UnsupportedMediaType("JSON is UTF-8. Send it so, without another charset.")
    if _JSON.fullmatch(media_type.strip()):
        return
    found = f"not {shorten(media_type)}" if media_type else "and none was sent"
    raise UnsupportedMediaType(f"Content-Type must be application/json, {found}.")
