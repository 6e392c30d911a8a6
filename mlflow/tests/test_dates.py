import pandas as pd
import pytest

from table.dates import are_days, is_date

DATES = """
2021-01-05|2021/01/05|2021.01.05|5.1.2021|05.01.21|1. 5. 2021|01/05/2021|1/5/21|05-01-2021
2016/01/01 02:19:34|2021-01-05T10:00:00Z|2021-01-05 10:00:00.123+01:00|01/05/2021 3:45 PM
20210105T1015|05-Jan-21|5-Jan-2021|Jan 05, 2021|January 5, 2021|5 Jan 2021|1st March 2020
2021-Jan-05|05JAN2021|5-Jan|2021-01|2021/01|01/2021|Jan-21|Sept 2020|Mon, 5 Jan 2021
Tue, 05 Jan 2021 10:00:00 GMT|Mon Apr 06 22:19:45 PDT 2009|5. Januar 2021|1. März 2021|Dez 20
5 janv. 2021|15 août 2021|5 de enero de 2021|3 dic 2020
"""

OTHERS = """
2021|2021-13|13/2021|12-13|1.2.3|1.5|10-20|12:30|192.168.1.1|555-1234|Q1 2021|may|Mai|April
Mark 12|A-12-34|32.1.2021|2021-01-32|12 kg|1/2
"""


@pytest.mark.parametrize("text", DATES.strip().replace("\n", "|").split("|"))
def test_dates_are_recognised(text):
    assert is_date(text)


@pytest.mark.parametrize("text", OTHERS.strip().replace("\n", "|").split("|"))
def test_what_only_resembles_a_date_is_none(text):
    assert not is_date(text)


def test_eight_digits_are_days_if_all_are_valid():
    assert are_days(pd.Series([20210105.0, 19991231.0, None]))
    assert not are_days(pd.Series([20210105.0, 20210230.0]))
    assert not are_days(pd.Series([20210105.0, 21010101.0]))
    assert not are_days(pd.Series([None], dtype=float))
