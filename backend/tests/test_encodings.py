import pytest

from errors import MalformedTable
from worker.encodings import find_encoding, recode

TEXT = "größe,año\n1,peut-être\n€,10°C\n"


def find(body, given=None):
    return find_encoding(lambda: [body], given)


def read(body, encoding):
    return b"".join(recode([body], encoding)).decode()


@pytest.mark.parametrize(
    ("codec", "given", "name"),
    [
        ("utf-8", None, "UTF-8"),
        ("utf-8-sig", "cp1250", "UTF-8"),
        ("utf-16", None, "UTF-16"),
        ("cp1252", None, "Windows-1252"),
        ("cp850", "cp850", "cp850"),
        ("ascii", "cp850", "UTF-8"),
        ("utf-16-le", "utf-16-le", "utf-16-le"),
    ],
)
def test_an_encoding_is_found_and_read(codec, given, name):
    text = (
        "a,b\n"
        if codec in ("ascii", "utf-16-le")
        else TEXT.replace("€", "ß" if codec == "cp850" else "€")
    )
    body = text.encode(codec)

    assert find(body, given) == name
    assert read(body, name) == text


@pytest.mark.parametrize("mark", ["\ufeff", "\ufeff\ufeff", "\ufeff\ufeff\ufeff"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-16-le", "utf-16-be"])
def test_byte_order_marks_never_count(mark, codec):
    body = (mark + TEXT).encode(codec)

    assert read(body, find(body)) == TEXT


@pytest.mark.parametrize("byte", [0x81, 0x8D, 0x8F, 0x90, 0x9D])
def test_a_byte_that_is_no_text_is_named_with_its_line(byte):
    body = b"a,b\n1,\xe9\n2," + bytes([byte]) + b"\n"

    with pytest.raises(MalformedTable, match=f"Line 3 has the byte 0x{byte:02X}.*Windows-1252"):
        find(body)


def test_a_mark_of_utf_8_is_believed():
    with pytest.raises(MalformedTable, match="Line 2 has the byte 0xE9, which"):
        find(b"\xef\xbb\xbfa,b\n\xe9,1\n")


def test_a_given_encoding_whose_mark_is_missing_is_told():
    with pytest.raises(MalformedTable, match="does not start with BOM"):
        find(b"a,b\n\xe9,1\n", "utf-16")


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "cp1252"])
def test_a_stream_is_read_whatever_its_blocks(codec, size):
    body = TEXT.encode(codec)
    blocks = [body[at : at + size] for at in range(4, len(body), size)]
    name = find_encoding(lambda: [body[:4], *blocks])

    assert b"".join(recode([body[:4], *blocks], name)).decode() == TEXT
