"""Reads request bodies, no further than allowed."""

from fastapi import Request

from errors import BodyTooLarge, UnsupportedMediaType


async def read_json_body(request: Request, max_bytes: int) -> bytes:
    """Raises UnsupportedMediaType or BodyTooLarge before the rest of the body has come."""
    _require_json(request.headers.get("content-type", ""))
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise BodyTooLarge(f"The body is larger than {max_bytes} bytes. Send less at a time.")
    return bytes(body)


def _require_json(content_type: str) -> None:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/json" or media_type.endswith("+json"):
        return
    found = f"not {media_type}" if media_type else "and none was sent"
    raise UnsupportedMediaType(f"Content-Type must be application/json, {found}.")
