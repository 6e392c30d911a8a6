"""Makes UTF-8 of a text, by rules and without statistics."""

import codecs
from collections import deque
from collections.abc import Iterator
from typing import NoReturn

from errors import UnusableTable

BLOCK_BYTES = 1024**2  # decoded at a time

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_FALLBACK = "Windows-1252"


def to_utf8(raw: bytes, encoding: str | None) -> tuple[bytes, str]:
    """Return UTF-8 without byte order marks, and the name of what it was; raises UnusableTable.

    `encoding` is that of a text which has no mark and is not UTF-8 as a whole.
    """
    name = _find(raw, encoding)
    text = raw if name == "UTF-8" else _convert(raw, name)
    while text.startswith(codecs.BOM_UTF8):  # joined files have several
        text = text[len(codecs.BOM_UTF8) :]
    if b"\0" in text:
        _refuse()
    return text, name


def _find(raw: bytes, encoding: str | None) -> str:
    if raw.startswith(_UTF_16):
        return "UTF-16"
    if b"\0" in raw:  # UTF-16 without a mark can be valid UTF-8, and so can what is no text
        return encoding or _refuse()
    if _is_utf8(raw):
        return "UTF-8"
    if raw.startswith(codecs.BOM_UTF8):
        _refuse_byte(raw, "UTF-8")
    return encoding or _FALLBACK


def _refuse() -> NoReturn:
    kinds = "CSV, gzip of CSV, Parquet nor .xlsx"
    raise UnusableTable(f"The file is neither {kinds}. Give one of these.")


def _is_utf8(raw: bytes) -> bool:
    try:
        deque(_decode(raw, "UTF-8"), maxlen=0)
    except UnicodeDecodeError:
        return False
    return True


def _convert(raw: bytes, name: str) -> bytes:
    try:
        return b"".join(text.encode() for text in _decode(raw, name))
    except UnicodeError:
        _refuse_byte(raw, name)


def _decode(raw: bytes, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    for start in range(0, len(raw), BLOCK_BYTES):
        end = start + BLOCK_BYTES
        yield decoder.decode(raw[start:end], final=end >= len(raw))


def _refuse_byte(raw: bytes, name: str) -> NoReturn:
    """Name the first line that is not in this encoding, the byte and the remedy."""
    place = 0
    try:
        raw.decode(name)
    except UnicodeDecodeError as error:
        place = error.start
    line = raw[:place].decode(name, errors="ignore").count("\n") + 1
    found = f"Line {line} holds the byte 0x{raw[place]:02X}, which is"
    if name in ("UTF-8", "UTF-16"):
        advice = "Save it again as UTF-8"
        raise UnusableTable(f"{found} not {name}, though the file begins as such. {advice}.")
    advice = "Name its encoding with" if name == _FALLBACK else "Give another"
    raise UnusableTable(f"{found} neither UTF-8 nor {name}. {advice} --encoding.")
