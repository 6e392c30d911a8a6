"""Recognises dates, in all forms in which people write them."""

import re

import numpy as np
import pandas as pd

_MONTHS = (
    "jan(?:uary|uar|vier|v|eiro)?|j[äa]n(?:ner)?|feb(?:ruary|ruar|rero)?|f[ée]v(?:rier|r)?|"
    "mar(?:ch|s|zo)?|m[äa]r(?:z)?|mrz|apr(?:il)?|avr(?:il)?|abr(?:il)?|may|mai|mayo|"
    "june?|juni|juin|junio|july?|juli|juil(?:let)?|julio|aug(?:ust)?|ao[ûu]t|ago(?:sto)?|"
    "sept?(?:ember|embre|iembre)?|o[ck]t(?:ober|obre|ubre)?|nov(?:ember|embre|iembre)?|"
    "de[cz](?:ember)?|d[ée]c(?:embre)?|dic(?:iembre)?|ene(?:ro)?"
)
_MONTH, _YEAR = rf"(?:{_MONTHS})\.?", r"(?:[0-9]{4}|'?[0-9]{2})"
_DAY = r"(?:0?[1-9]|[12][0-9]|3[01])(?:\.|st|nd|rd|th|er|º)?"
_NUMBER, _GAP = "(?:0?[1-9]|[12][0-9]|3[01])", r"(?:[\s,./-]+|\s+de\s+)"
_CENTURY, _OF_YEAR = "(?:1[5-9]|2[0-9])[0-9]{2}", "(?:0?[1-9]|1[0-2])"
_FORMS = (
    rf"[0-9]{{4}}([-/.]){_OF_YEAR}\1{_NUMBER}",  # 2021-01-05
    rf"{_NUMBER}([./-])\s?{_NUMBER}\2\s?{_YEAR}",  # 5.1.2021, 01/05/21
    rf"{_CENTURY}[-/](?:0[1-9]|1[0-2])|(?:0[1-9]|1[0-2])[-/]{_CENTURY}",  # 2021-01, 01/2021
    rf"{_DAY}{_GAP}{_MONTH}(?:{_GAP}{_YEAR})?",  # 05-Jan-21, 5 de enero de 2021, 5 Jan
    rf"{_MONTH}{_GAP}{_DAY}(?:{_GAP}{_YEAR})?",  # Jan 05, 2021
    rf"{_MONTH}{_GAP}{_YEAR}",  # Jan-21
    rf"[0-9]{{4}}{_GAP}{_MONTH}(?:{_GAP}{_DAY})?",  # 2021-Jan-05
    rf"[0-9]{{1,2}}{_MONTH}(?:[0-9]{{2}}){{1,2}}",  # 05JAN2021
    rf"{_CENTURY}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])T[0-9]{{4,6}}",  # 20210105T101500
)
_WEEKDAY = r"(?:[^\W\d_]{2,10}\.?,?\s+)?"  # Tue, 5 Jan 2021
_TIME = r"(?:[T\s,]+(?:um |at )?[0-9]{1,2}(?:[:.h][0-9]{2}.*)?)?"
_DATE = re.compile(rf"{_WEEKDAY}(?:{'|'.join(_FORMS)}){_TIME}", re.IGNORECASE)
_UNIX = re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9]?[0-9] [0-9:]{8} .*[0-9]{4}")  # date's


def is_date(text: str) -> bool:
    """Whether it names a day or a month, perhaps with a time."""
    return bool(_DATE.fullmatch(text) or _UNIX.fullmatch(text))


def are_days(numbers: pd.Series) -> bool:
    """Whether all are days like 20210105, from 1900 to 2100."""
    present = numbers.dropna()
    if present.empty or not present.between(19000101, 21001231).all() or (present % 1 != 0).any():
        return False
    days = pd.Series(present.unique()).astype(np.int64).astype(str)
    return bool(pd.to_datetime(days, format="%Y%m%d", errors="coerce").notna().all())
