"""Says in one line how the bytes of a table were read."""

from typing import NamedTuple

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


class Origin(NamedTuple):
    """What the reader decided; all empty if the file says it itself, as Parquet does."""

    encoding: str = ""
    separator: str = ""  # one of SEPARATORS
    sheet: str = ""
    sheets: tuple[str, ...] = ()

    @property
    def is_text(self) -> bool:
        """Whether people write its cells, so that some rows may be notes."""
        return bool(self.encoding or self.sheet)

    def describe(self, has_decimal_commas: bool = False, thousands: str = "") -> str:
        """The line to print, or nothing; `thousands` is the plural of their separator."""
        if self.sheet:
            several = f" of {len(self.sheets)} sheets: {', '.join(self.sheets)}"
            return f"Read sheet {self.sheet}{several if len(self.sheets) > 1 else ''}."
        if not self.encoding:
            return ""
        parts = [f"Read as {self.encoding}", f"separated by {SEPARATORS[self.separator]}"]
        if has_decimal_commas:
            parts.append("decimal commas")
        if thousands:
            parts.append(f"thousands in {thousands}")
        return f"{', '.join(parts)}."
