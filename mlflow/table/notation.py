"""Finds out how the numbers of a column are written."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from table.numbers import PLAIN, Written, escape, read_numbers

MOSTLY = 0.5  # a column of which more than this share are numbers was meant as numbers
SAMPLE = 10_000  # cells of a column that are looked at, and as many of the longest
MAX_AFFIX = 20  # characters, which a manifest has room for
ONLY = 0.9  # a unit on fewer of the cells that have one is not the column's only one
MIN_SHOWN = 10  # cells like 1.234 and 950 that together show what the point is

_ISO = (
    "AED ARS AUD BGN BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR ISK JPY KES "
    "KRW MXN MYR NGN NOK NZD PEN PHP PKR PLN RON RUB SAR SEK SGD THB TRY TWD UAH USD VND ZAR"
)
_CURRENCY = (
    r"(?:US|A|C|R|NZ|HK|S)?\$|[¢£¥₡₦₩₪₫€₭₱₲₴₵₸₹₺₽₿]|[Kk]r\.?|Kč|zł|Fr\.?|Ft|lei|Rs\.?|руб\.?|"
    + _ISO.replace(" ", "|")
)
# These may follow a number without a blank; A, B and rd may not: 2A and 3rd are no quantities.
_UNITS = (
    "% ‰ ° °C °F kg g mg µg lb lbs oz km m cm mm µm nm mi ft km/h kph mph m/s h min s ms l L ml mL "
    "cl dl cc CC kW kWh MW MWh hp PS bhp kB KB MB GB TB Hz kHz MHz GHz Pa hPa kPa bar kcal kJ J "
    "mmHg m² m2 m³ m3 km² km2 ha px"
)
_WORD = r"[^\W\d_°%‰²³]\S{0,14}|[°%‰]\S{0,3}"
_CELL = re.compile(
    rf"[+\-−]?\s*(?:(?P<before>{_CURRENCY})\s*)?[+\-−]?"
    r"(?P<number>(?:[0-9](?:[0-9.,'’]|[ \u00a0\u202f](?=[0-9]))*|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?)"
    rf"(?:\s*(?P<tight>{_UNITS.replace(' ', '|')}|{_CURRENCY})"
    rf"|\s+(?P<loose>(?:{_WORD})(?: [^\W\d_]\S{{0,9}}){{0,2}}))?"
)
_HEAD, _GROUP = r"[1-9][0-9]{0,2}", r"[0-9]{3}"
_STAND_INS = ("0", "9", "99", "999")  # for missing values, beside measurements with three decimals
_PHONE = re.compile(rf"{_GROUP}(?:{escape(' ')}{_GROUP}){{2,}}")
_EXPONENT = r"(?:[eE][+-]?[0-9]+)?"
_OTHERS = {",": r"[. \u00a0\u202f'’]", ".": r"[, \u00a0\u202f'’]"}


class Evidence(NamedTuple):
    """How many of the cells look like numbers, and in how many a sign is certainly what."""

    cells: int
    numbers: int
    affix: str
    signs: Counter[tuple[str, str]]

    @property
    def shows_commas(self) -> bool:
        """Whether these are numbers with decimal commas."""
        decimals = self.signs["decimal", ","] > self.signs["decimal", "."]
        return decimals and self.numbers > MOSTLY * self.cells

    @property
    def shows_points(self) -> bool:
        """Whether these are numbers with decimal points."""
        decimals = self.signs["decimal", "."] > self.signs["decimal", ","]
        return decimals and self.numbers > MOSTLY * self.cells

    @property
    def shows_groups(self) -> bool:
        """Whether these are whole numbers that have a point from 1.000 on, and only then."""
        others = (("long", ""), ("decimal", "."), ("decimal", ","))
        short, grouped = self.signs["short", ""], self.signs["either", "."]
        if any(self.signs[role] for role in others) or not (short and grouped):
            return False
        return short + grouped >= MIN_SHOWN and self.numbers > MOSTLY * self.cells


def infer_written(columns: dict[str, pd.Series], semicolons: bool) -> dict[str, Written]:
    """How each of these columns of text writes numbers, if it holds any.

    `semicolons` says that they separate the table's fields.
    """
    plain = [name for name in columns if read_numbers(columns[name], PLAIN).notna().all()]
    evidence = {name: examine(sample(columns[name])) for name in columns if name not in plain}
    commas_shown = any(one.shows_commas for one in evidence.values())
    if commas_shown or semicolons:  # so points may be between thousands in plain numbers too
        evidence |= {name: examine(sample(columns[name])) for name in plain}
    if semicolons and not any(one.shows_points for one in evidence.values()):
        commas_shown = commas_shown or any(one.shows_groups for one in evidence.values())
    decided = {name: decide(one, commas_shown, semicolons) for name, one in evidence.items()}
    return dict.fromkeys(plain, PLAIN) | decided


def sample(texts: pd.Series) -> Counter[str]:
    """How often each text is there; of a long column, of some rows and of the longest texts."""
    if len(texts) > 2 * SAMPLE:
        # Signs between thousands are in the longest.
        longest = np.argpartition(texts.str.len().to_numpy(), -SAMPLE)[-SAMPLE:]
        spread = np.linspace(0, len(texts) - 1, SAMPLE).astype(np.intp)
        texts = texts.iloc[np.concatenate([spread, longest])]
    return Counter(texts.tolist())


def examine(cells: Counter[str]) -> Evidence:
    """Look at a column's texts, of which the missing ones are left out."""
    looks = [(look, count) for text, count in cells.items() if (look := _CELL.fullmatch(text))]
    affix, numbers = _find_affix(looks), Counter[str]()
    for look, count in looks:
        if _affix_of(look) in ("", affix):
            numbers["+" * look[0].startswith("+") + look["number"]] += count
    signs = Counter[tuple[str, str]]()
    for number, count in numbers.items():
        signs.update(dict.fromkeys(_find_roles(number), count))
    return Evidence(cells.total(), numbers.total(), affix, signs)


def list_units(cells: Counter[str]) -> list[str]:
    """What stands around most of these numbers, if it is not one unit; nothing of other texts."""
    looks = [(look, count) for text, count in cells.items() if (look := _CELL.fullmatch(text))]
    if sum(count for _, count in looks) <= MOSTLY * cells.total():
        return []
    units = dict.fromkeys(unit for look, _ in looks if (unit := _affix_of(look)))
    return list(units) if len(units) > 1 else []


def decide(evidence: Evidence, commas_shown: bool, semicolons: bool) -> Written:
    """Read the signs by the column's own evidence, and else by the table's.

    `commas_shown` says that some column of the table has decimal commas, `semicolons` that they
    separate its fields.
    """
    signs = evidence.signs
    is_comma = _is_decimal_comma(signs, commas_shown or semicolons)
    found = Counter({sign: signs["thousands", sign] for sign in " '"})
    if not is_comma:
        found[","] = signs["thousands", ","] + signs["either", ","]
    if not signs["decimal", "."]:
        either = signs["either", "."] if commas_shown else 0
        found["."] = signs["thousands", "."] + either
    [(thousands, count)] = found.most_common(1)
    if not count:
        return Written("," if is_comma else ".", "", evidence.affix)
    return Written("," if is_comma or thousands == "." else ".", thousands, evidence.affix)


def _is_decimal_comma(signs: Counter[tuple[str, str]], expected: bool) -> bool:
    decimals, thousands = signs["decimal", ","], signs["thousands", ","]
    if decimals or thousands:
        return decimals > thousands
    return signs["either", ","] > 0 and expected and not signs["decimal", "."]


def _find_affix(looks: list[tuple[re.Match[str], int]]) -> str:
    """The one unit or currency that most of the numbers have."""
    counts = Counter[str]()
    for look, count in looks:
        counts[_affix_of(look)] += count
    total, plain = counts.total(), counts.pop("", 0)
    for affix, count in counts.most_common(1):
        if count >= max(ONLY * (total - plain), MOSTLY * total) and len(affix) <= MAX_AFFIX:
            return affix
    return ""


def _affix_of(look: re.Match[str]) -> str:
    """What stands around the number: of two, both, which no column's affix is."""
    return (look["before"] or "") + (look["tight"] or look["loose"] or "")


def _find_roles(written: str) -> Iterator[tuple[str, str]]:
    number = written.removeprefix("+")
    if number.isdigit() and number not in _STAND_INS:
        yield ("short" if len(number) <= 3 else "long"), ""  # noqa: PLR2004
    for sign, decimal in ((",", r"\."), (".", ",")):
        if sign not in number:
            continue
        escaped = re.escape(sign)
        if re.fullmatch(_HEAD + escaped + _GROUP, number):
            yield "either", sign
        elif re.fullmatch(rf"{_HEAD}(?:{escaped}{_GROUP})+(?:{decimal}[0-9]*)?", number):
            yield "thousands", sign
        elif re.fullmatch(
            rf"(?:[0-9]*|{_HEAD}(?:{_OTHERS[sign]}{_GROUP})+){escaped}[0-9]*{_EXPONENT}", number
        ):
            yield "decimal", sign
    for sign in " '":
        if re.fullmatch(rf"{_HEAD}(?:{escape(sign)}{_GROUP})+(?:[.,][0-9]*)?", number):
            is_phone = _PHONE.fullmatch(number) or written.startswith("+")
            yield ("phone" if is_phone else "thousands"), sign
