"""Reads request bodies, no further than allowed."""

from fastapi import Request

from errors import BodyTooLarge, UnsupportedMediaType, shorten


async def read_json_body(request: Request, max_bytes: int) -> bytes:
    """Raises UnsupportedMediaType or BodyTooLarge before the rest of the body has come."""
    _require_json(request)
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
    return bytes(body)


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is larger than the {max_bytes} bytes that are taken here.")


def _require_json(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        message = f"Content-Encoding {shorten(encoding)} is not taken here. Send the body as it is."
        raise UnsupportedMediaType(message)
    declared = request.headers.get("content-type", "")
    media_type, _, parameters = declared.lower().partition(";")
    if "charset" in parameters and "utf-8" not in parameters:
        raise UnsupportedMediaType("JSON is UTF-8. Send it so, without another charset.")
    if _is_json(media_type.strip()):
        return
    found = f"not {shorten(media_type)}" if media_type else "and none was sent"
    raise UnsupportedMediaType(f"Content-Type must be application/json, {found}.")


def _is_json(media_type: str) -> bool:
    is_other = media_type.startswith("application/") and media_type.endswith("+json")
    return media_type == "application/json" or (is_other and media_type != "application/+json")
