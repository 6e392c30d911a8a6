import pytest
from conftest import running_ready
from drawn import said
from mixed import number, publish
from tables import ROWS, result, score, upload

import spreadsheets
import texts

HEADER = b"age,mass,member,tagged,island,sex\n"
ROW = b"30,40,true,false,Dream,male\n"
STRANGE = b"30,40,true,false,Atlantis,male\n"


@pytest.fixture
def page(iris_url, open_page):
    return open_page(iris_url, "batch")


@pytest.fixture
def mixed_page(mixed_url, open_page):
    return open_page(mixed_url, "batch")


def find_warnings(page):
    """Rows of the table that says, by column, how many rows were answered with a warning."""
    return page.dataframe[2].value.to_dict("records")


def test_rows_without_an_answer_are_counted(page):
    upload(page, ROWS + b"huge,1e308,1e308,-1e308,1e308\nblue,0.2,1.4,3.5,5.1\n")
    score(page)

    assert [line for line in said(page) if line.startswith("Rows predicted: 3 in")]
    assert [line for line in said(page) if line.startswith("Rows without an answer: 1.")]


def test_a_row_of_units_and_a_source_have_no_answer_and_are_named(page):
    header, *rows = ROWS.splitlines()
    content = b"\n".join([header, b",cm,cm,cm,cm", *rows, b"Source: R. A. Fisher,,,,"])
    upload(page, content)
    read_as = "Row 1 holds units and has no answer. Row 4 is no data and has no answer."
    assert read_as in " ".join(said(page))
    score(page)

    assert result(page).table["prediction_class"].to_pylist() == [None, "setosa", "virginica", None]
    assert [line for line in said(page) if line.startswith("Rows without an answer: 2.")]


def test_many_unknown_values_are_said_loudly(mixed_page):
    score(upload(mixed_page, HEADER + ROW * 7 + STRANGE * 3))

    assert mixed_page.error[0].value.replace("\\", "") == (
        "island: 3 of 10 rows (30%) hold values the model does not know. Check that this is the "
        "right column and that its values are spelt as in training. The model knows Biscoe, "
        "Dream, Torgersen."
    )


def test_a_tenth_of_unknown_values_is_counted_without_alarm(mixed_page):
    score(upload(mixed_page, HEADER + ROW * 9 + STRANGE))

    assert not mixed_page.error
    assert find_warnings(mixed_page) == [
        {
            "Column": "island",
            "Unknown values": 1,
            "Missing values": 0,
            "Outside the training range": 0,
        }
    ]


def test_missing_values_and_those_out_of_range_are_counted_by_column(mixed_page):
    score(upload(mixed_page, HEADER + ROW * 5 + b",400,true,false,Dream,male\n"))

    counted = {it.pop("Column"): list(it.values()) for it in find_warnings(mixed_page)}
    assert counted == {"age": [0, 1, 0], "mass": [0, 0, 1]}


def test_more_columns_with_warnings_than_a_header_holds_are_counted(tmp_path, open_page):
    names = [f"x{index}" for index in range(300)]
    publish(tmp_path, [number(name) for name in names])
    with running_ready(tmp_path) as url:
        page = open_page(url, "batch")
        score(upload(page, f"{','.join(names)}\n{','.join(['99'] * 300)}\n".encode()))

        listed = len(find_warnings(page))
        assert 50 < listed < 300
        assert f"More columns with fewer such rows: {300 - listed}." in said(page)


def test_columns_that_are_named_like_answers_are_kept(tmp_path, open_page):
    publish(tmp_path, [number("prediction_class"), number("probability_no")])
    with running_ready(tmp_path) as url:
        page = open_page(url, "batch")
        score(upload(page, b"prediction_class,probability_no\n20,3\n70,6\n"))

        assert not page.exception
        found = result(page)
        assert found.class_column == "model_prediction_class"
        assert found.probabilities == ["model_probability_no", "model_probability_yes"]
        assert found.others == ["prediction_class", "probability_no"]
        assert found.count_classes() == {"no": 1, "yes": 1}


def test_a_table_too_large_for_a_sheet_is_offered_without_excel(page, monkeypatch):
    monkeypatch.setattr(spreadsheets, "MOST_ROWS", 1)

    score(upload(page, ROWS))

    assert texts.NO_WORKBOOK() in said(page)
    assert len(page.get("download_button")) == 3


def test_formulas_are_guarded_unless_somebody_switches_it_off(page):
    score(upload(page, ROWS))

    assert page.toggle[0].label == "Guard formulas"
    assert page.toggle[0].value
    assert page.toggle[0].set_value(False).run().toggle[0].value is False
    assert not page.exception
