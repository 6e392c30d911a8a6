import pytest
from formats import XLSX

from errors import NotAcceptable, UnsupportedMediaType
from worker.media import Format, choose_format, find_format

CSV = ["text/csv", "Text/CSV; header=present", "text/csv;charset=UTF-8", "text/csv; charset=utf8"]
CSV += [
    "text/csv; charset=windows-1252",
    'text/csv; charset="ISO-8859-1"',
    "text/csv;charset=latin1",
]


@pytest.mark.parametrize("text", CSV)
def test_a_type_is_found_with_its_parameters(text):
    assert find_format(text) is Format.CSV


OTHERS = ["", "text/plain", "application/json; charset=iso-8859-1", "text/csv; charset=koi8-r"]


@pytest.mark.parametrize("text", OTHERS)
def test_another_type_is_told_what_is_taken(text):
    with pytest.raises(UnsupportedMediaType, match=r"text/csv, application|in UTF-8"):
        find_format(text)


LIKED = {
    Format.CSV: ["", "*/*", "text/*", "application/json, text/csv"],
    Format.JSON: [
        *("application/json", "APPLICATION/JSON;Q=0.2", "application/*", ",, application/json"),
        *("application/json;q=0.5, text/csv;q=0.4", "application/json;q=0.5, */*;q=0.1"),
        "*/*, text/csv;q=0",
    ],
    Format.PARQUET: ["text/html, application/vnd.apache.parquet;v=1;q=0.3, */*;q=0"],
}


@pytest.mark.parametrize("chosen", LIKED)
def test_the_format_liked_best_is_chosen_and_of_several_the_one_sent(chosen):
    for accept in LIKED[chosen]:
        assert choose_format(accept, Format.CSV) is chosen, accept


@pytest.mark.parametrize(
    "accept", ["text/html", "*/*;q=0", "text/csv;q=nonsense", "csv", "text/csv;q=0"]
)
def test_what_cannot_be_met_is_told_what_can(accept):
    with pytest.raises(NotAcceptable, match="text/csv"):
        choose_format(accept, Format.CSV)


def test_a_spreadsheet_is_taken_and_answered_with_csv():
    sent = find_format(XLSX)

    assert sent is Format.XLSX
    assert choose_format("", sent) is Format.CSV
    assert choose_format("application/json", sent) is Format.JSON
    with pytest.raises(NotAcceptable, match=r"arrow.stream\. Accept"):
        choose_format(sent, sent)
