"""Reads a JSON array piece by piece, so that no piece keeps others waiting."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from pydantic_core import from_json

from errors import MalformedBody

PIECE_BYTES = 65_536
MAX_DEPTH = 200  # as deep as pydantic reads

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["\[\]{},]', re.DOTALL)


class ArrayText:
    """An array in a text, from after its bracket; `end` is where it is over, once all is read.

    A piece that can be read to its end, and is followed by a comma or a bracket, is a right one:
    its reader would have been in the same place in the whole text. So a cut is guessed at, and
    sought only where the guess was wrong.
    """

    def __init__(self, text: bytes, start: int, guess: Callable[[bytes, int], int]) -> None:
        self.end = start
        self._text = text
        self._guess = guess

    def __iter__(self) -> Iterator[list[Any]]:
        """The next elements; raises MalformedBody."""
        is_first, is_over = True, False
        while not is_over:
            elements, cut = self._read_piece(self.end)
            is_over = self._text[cut : cut + 1] == b"]"
            if not elements and not (is_over and is_first):
                raise MalformedBody(f"At byte {cut} a value is missing beside a comma.")
            self.end, is_first = cut + 1, False
            yield elements

    def _read_piece(self, at: int) -> tuple[list[Any], int]:
        guessed = self._guess(self._text, at)
        if guessed >= at:
            with suppress(ValueError):  # a wrong guess, or no JSON
                return self._parse(at, guessed), guessed
        cut = self._find_cut(at)
        try:
            return self._parse(at, cut), cut
        except ValueError as error:
            said = str(error).partition(" at line ")[0]
            raise MalformedBody(f"After byte {at}: {said}. Send JSON in UTF-8.") from None

    def _parse(self, start: int, end: int) -> list[Any]:
        elements: list[Any] = from_json(b"[" + self._text[start:end] + b"]")
        return elements

    def _find_cut(self, at: int) -> int:
        """The comma after enough elements, or the bracket after the last one."""
        depth = 0
        for token in _TOKEN.finditer(self._text, at):
            mark = token[0]
            is_far = token.start() - at >= PIECE_BYTES
            if depth == 0 and (mark == b"]" or (mark == b"," and is_far)):
                return token.start()
            depth += (mark in (b"[", b"{")) - (mark in (b"]", b"}"))
            if mark == b'"' or not 0 <= depth <= MAX_DEPTH:
                break
        raise MalformedBody(f"The array around byte {at} does not end as it should.")


def guess_object(text: bytes, at: int) -> int:
    """In an array of objects that is the last thing in the text; negative without a guess."""
    far = at + PIECE_BYTES
    end = text.find(b"},", far, far + PIECE_BYTES) + 1
    if end or len(text) > far + PIECE_BYTES:
        return end or -1
    return text.rfind(b"]", at)


def guess_value(text: bytes, at: int) -> int:
    """In an array of numbers or texts; negative without a guess."""
    end = text.find(b"]", at, at + PIECE_BYTES)
    return end if end >= 0 else text.rfind(b",", at, at + PIECE_BYTES)
