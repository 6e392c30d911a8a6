import pytest

from batch.media import Format, choose_format, find_format
from errors import NotAcceptable, UnsupportedMediaType


@pytest.mark.parametrize("text", ["text/csv", "Text/CSV; header=present", "text/csv;charset=UTF-8"])
def test_a_type_is_found_with_its_parameters(text):
    assert find_format(text) is Format.CSV


@pytest.mark.parametrize("text", ["", "text/plain", "application/json; charset=latin-1"])
def test_another_type_is_told_what_is_taken(text):
    with pytest.raises(UnsupportedMediaType, match=r"text/csv, application|in UTF-8"):
        find_format(text)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", Format.CSV),
        ("*/*", Format.CSV),
        ("text/*", Format.CSV),
        ("application/json", Format.JSON),
        ("APPLICATION/JSON;Q=0.2", Format.JSON),
        ("application/*", Format.JSON),
        ("application/json;q=0.5, text/csv;q=0.4", Format.JSON),
        ("application/json;q=0.5, */*;q=0.1", Format.JSON),
        ("*/*, text/csv;q=0", Format.JSON),
        ("text/html, application/vnd.apache.parquet;v=1;q=0.3, */*;q=0", Format.PARQUET),
        ("application/json, text/csv", Format.CSV),
        (",, application/json", Format.JSON),
    ],
)
def test_the_format_liked_best_is_chosen_and_of_several_the_one_sent(accept, chosen):
    assert choose_format(accept, Format.CSV) is chosen


@pytest.mark.parametrize(
    "accept", ["text/html", "*/*;q=0", "text/csv;q=nonsense", "csv", "text/csv;q=0"]
)
def test_what_cannot_be_met_is_told_what_can(accept):
    with pytest.raises(NotAcceptable, match="text/csv"):
        choose_format(accept, Format.CSV)
