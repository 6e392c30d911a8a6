"""Agrees with a caller on the formats of a request and its answer."""

import re
from collections.abc import Sequence
from enum import StrEnum

from errors import NotAcceptable, UnsupportedMediaType, shorten


class Format(StrEnum):
    """A way to write a table, by its media type."""

    JSON = "application/json"
    CSV = "text/csv"
    PARQUET = "application/vnd.apache.parquet"
    ARROW = "application/vnd.apache.arrow.stream"
    XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


_CHARSET = re.compile(r"""\bcharset\s*=\s*["']?([^"';\s]*)""")
_UTF_8 = ("utf-8", "utf8", "us-ascii")
# What a CSV is in is found from its bytes, and Windows-1252 has all of ISO 8859-1.
_CHARSETS = {
    Format.JSON: _UTF_8,
    Format.CSV: (*_UTF_8, "windows-1252", "cp1252", "iso-8859-1", "latin1"),
}
WRITTEN: tuple[Format, ...] = tuple(
    kind for kind in Format if kind is not Format.XLSX
)  # formats of answers


def find_format(content_type: str) -> Format:
    """What a body is declared as; raises UnsupportedMediaType."""
    media_type, _, parameters = content_type.lower().partition(";")
    found = next((known for known in Format if known == media_type.strip()), None)
    if found is None:
        declared = f"not {shorten(media_type)}" if media_type.strip() else "and none was sent"
        raise UnsupportedMediaType(f"Content-Type must be {_list(tuple(Format))}, {declared}.")
    if found in _CHARSETS and not _names(parameters, _CHARSETS[found]):
        raise UnsupportedMediaType("Text is taken in UTF-8. Send it so, without another charset.")
    return found


def is_utf8(parameters: str) -> bool:
    """Whether a media type's parameters, in lower case, name UTF-8 or no charset."""
    return _names(parameters, _UTF_8)


def _names(parameters: str, charsets: Sequence[str]) -> bool:
    declared = _CHARSET.search(parameters)
    return declared is None or declared[1] in charsets


def _list(kinds: Sequence[str]) -> str:
    return f"{', '.join(kinds[:-1])} or {kinds[-1]}"


def choose_format(accept: str, sent: Format) -> Format:
    """The one the caller likes best, of several the one that was sent; raises NotAcceptable.

    A spreadsheet is answered with CSV.

    RFC 9110, 12.5.1: of the ranges that match a type the most specific one has its say.
    """
    ranges = [_read_range(text) for text in accept.split(",") if text.strip()] or [("*/*", 1.0)]
    first = sent if sent in WRITTEN else Format.CSV
    weights = {each: _weigh(each, ranges) for each in (first, *WRITTEN)}
    best: Format = max(weights, key=weights.__getitem__)
    if weights[best] <= 0:
        raise NotAcceptable(f"The answer can be {_list(WRITTEN)}. Accept one of them.")
    return best


def _weigh(media_type: str, ranges: list[tuple[str, float]]) -> float:
    kind = media_type.partition("/")[0]
    for wanted in (media_type, f"{kind}/*", "*/*"):
        weights = [weight for given, weight in ranges if given == wanted]
        if weights:
            return max(weights)
    return 0.0


def _read_range(text: str) -> tuple[str, float]:
    media_range, *parameters = (part.strip().lower() for part in text.split(";"))
    weight = next((text[2:] for text in parameters if text.startswith("q=")), "1")
    try:
        return media_range, float(weight)
    except ValueError:
        return media_range, 0.0  # what cannot be understood is not wished for
