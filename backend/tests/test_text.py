import csv
import io
import random

import pytest

from errors import CommandFailed
from files.text import cut, read_first_row

CONTENTS = [
    "1,2\n3,4\n5,6\n",
    "1,2\r\n3,4\r\n5,6",
    "1,2\r3,4\r5,6\r",
    '1,"a\nb"\n"c,\nd",2\n3,4\n',
    '"a""b\n",1\n"""",2\n"",3\n',
    '5" pipe,1\nwidth 3",2\n"4""\n",3\n',
    "\n\n1,2\n\n3,4\n\n",
    'é,"ü\nø"\n漢,字\n',
]
CELLS = ["", "1.5", "a", 'he said "no"', "two\nlines", "a,b", '"', "\r\n", "ß", '""', 'x"']


def read(text):
    return list(csv.reader(io.StringIO(text, newline="")))


def cut_by(text, size, delimiter=",", start=0):
    content = text.encode()
    blocks = (content[at : at + size] for at in range(0, len(content), size))
    pieces, are_last = zip(*cut(blocks, delimiter, start), strict=True)
    assert are_last == (*[False] * (len(pieces) - 1), True)
    return list(pieces)


def expect_whole_rows(pieces, text):
    assert b"".join(pieces).decode() == text
    assert [row for it in pieces for row in read(it.decode())] == read(text)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 64])
@pytest.mark.parametrize("text", CONTENTS)
def test_pieces_are_whole_rows(text, size):
    expect_whole_rows(cut_by(text, size), text)


@pytest.mark.parametrize("seed", range(10))
def test_pieces_of_whatever_cells_are_whole_rows(seed):
    dice, written = random.Random(seed), io.StringIO()
    for _ in range(50):
        csv.writer(written).writerow(dice.choices(CELLS, k=3))
    text = written.getvalue()

    pieces = cut_by(text, dice.randint(1, 40))

    assert len(pieces) > 5
    expect_whole_rows(pieces, text)


def test_quotes_follow_the_delimiter_there_is():
    pieces = cut_by('1;"a\nb"\n2;c\n', 5, delimiter=";")

    assert pieces == [b'1;"a\nb"\n', b"2;c\n"]


def test_blanks_before_quotes_do_not_count():
    pieces = cut_by('1, "a\nb"\n2, "c"\n', 5)

    assert pieces == [b'1, "a\nb"\n', b'2, "c"\n']


def test_a_quote_that_is_never_closed_is_named(monkeypatch):
    monkeypatch.setattr("files.text.MAX_ROW_BYTES", 100)

    with pytest.raises(CommandFailed, match=r"begins at byte 8 .* quote in it is never closed"):
        cut_by('a,b\n1,2\n3,"4\n' + "5,6\n" * 100, 20, start=4)


def test_the_last_rows_are_in_one_piece_however_short():
    pieces = cut_by("12345678\n" * 20 + "end", 36)

    assert pieces == [b"12345678\n" * 4] * 4 + [b"12345678\n" * 4 + b"end"]
    assert cut_by("1\r2\rend\r", 64) == [b"1\r2\rend\r"]


@pytest.mark.parametrize("size", [1, 3, 64])
def test_what_is_above_the_rows_is_left_out(size):
    assert b"".join(cut_by('x,"y\n1,2\n3,4\n', size, start=5)) == b"1,2\n3,4\n"


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("a,b\n1,2\n", "a,b\n"),
        ("a,b\r\n1,2\r\n", "a,b\r\n"),
        ("a,b\r1,2\r", "a,b\r"),
        ('"a\nb",c\n1,2\n', '"a\nb",c\n'),
        ("\n\na,b\n1,2\n", "\n\na,b\n"),
        ("a,b", "a,b"),
        ("", ""),
    ],
)
def test_the_first_row_is_found(text, header):
    assert read_first_row(io.BytesIO(text.encode()), ",") == header.encode()


def test_a_long_first_row_is_found():
    header = ",".join(["a", '"b\r\n"'] * 90_000) + "\r\n"

    assert read_first_row(io.BytesIO(f"{header}1,2\r\n".encode()), ",") == header.encode()
