"""Finds the encoding of a text, and gives the text in UTF-8."""

import codecs
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from errors import MalformedTable

BLOCK_BYTES = 1024**2

# Names for people, which Python knows as well.
UTF_8, UTF_16, USUAL = "UTF-8", "UTF-16", "Windows-1252"

_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MARK = codecs.BOM_UTF8.decode()

Blocks = Iterable[bytes | memoryview]


def find_encoding(read: Callable[[], Blocks], given: str | None = None) -> str:
    """The encoding of the blocks, which are read once if it is UTF-8, and twice if not.

    `given` is what the training was told of. Raises MalformedTable if the text is not in it.
    """
    head = bytes(next(iter(read()), b""))[:4]
    if head.startswith(_UTF_16_MARKS):
        name = UTF_16
    elif head.startswith(codecs.BOM_UTF8):
        name = UTF_8
    elif _is_utf_8(read(), takes_nul=given is None):
        return UTF_8
    else:
        name = given or USUAL
    deque(recode(read(), name), maxlen=0)
    return name


def recode(blocks: Blocks, encoding: str) -> Iterator[bytes]:
    """The text in UTF-8, without byte order marks; raises MalformedTable with the line."""
    decoder = codecs.getincrementaldecoder(encoding)()
    is_begun, lines = False, 1
    for block in chain(blocks, [b""]):
        try:
            text = decoder.decode(bytes(block), not block)
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode(encoding, "ignore")
            raise _refuse(error, lines + before.count("\n"), encoding) from None
        except UnicodeError as error:  # a byte order mark is missing
            raise MalformedTable(f"{error}. Save the file as UTF-8.") from None
        lines += text.count("\n")
        text = text if is_begun else text.lstrip(_MARK)
        is_begun = is_begun or bool(text)
        if text:
            yield text.encode()


def split(content: memoryview) -> Iterator[memoryview]:
    """Blocks of what is in memory."""
    return (content[at : at + BLOCK_BYTES] for at in range(0, len(content), BLOCK_BYTES))


def _is_utf_8(blocks: Blocks, *, takes_nul: bool) -> bool:
    """UTF-16 without a mark can be valid UTF-8, too, but for its NUL characters."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for block in chain(blocks, [b""]):
            if "\0" in decoder.decode(block, not block) and not takes_nul:
                return False
    except UnicodeDecodeError:
        return False
    return True


def _refuse(error: UnicodeDecodeError, line: int, encoding: str) -> MalformedTable:
    byte = error.object[error.start]
    said = f"Line {line} has the byte 0x{byte:02X}, which is not text in {encoding}"
    return MalformedTable(f"{said}. Save the file as UTF-8.")
