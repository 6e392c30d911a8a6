import pytest
from mixed import FEATURES
from test_csv_tables import describe_model, open_text, read

from worker.tables import csv_tables

AGE, MASS, MEMBER, _, ISLAND, _ = FEATURES
KNOWN = describe_model([AGE, MASS, ISLAND])
HEADER = "age,mass,island\n"
BESIDE = f"id,name,{HEADER[:-1]},{KNOWN.target.name}\n"
DATA = "40,4.5,Dream\n"
UNITS = "years,kg,\n"
NOTES = ["Total,12.5,\n", ",,\n", "x,4.5,Dream\n", "Source: the zoo,,\n", ",5,\n"]
ROW = "1,Bo,40,4.5,Dream,no\n"
SHORT = [
    *("Source: the zoo\n", "total\n", "a note\n", '"Quelle: a, b"\n', "Total;\n"),
    *("Source: the zoo, 2021\n", "Note,by,,,our office\n", "x,see, below\n"),
]


def find(text, known=KNOWN):
    table = open_text(text, known)
    return len(read(table)), [*table.no_data], table.notes.describe()


@pytest.mark.parametrize("note", NOTES)
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("block", [30, 2**20])
def test_up_to_three_rows_at_the_end_may_be_no_data(note, count, block, monkeypatch):
    monkeypatch.setattr(csv_tables, "BLOCK_BYTES", block)

    rows, places, said = find(HEADER + DATA * 10 + note * count)

    assert (rows, places) == (10 + count, [*range(10, 10 + count)])
    assert (
        said
        == [
            "Row 11 is no data and has no answer.",
            "Rows 11 and 12 are no data and have no answer.",
            "Rows 11, 12 and 13 are no data and have no answer.",
        ][count - 1]
    )


@pytest.mark.parametrize("note", NOTES)
def test_more_of_them_or_nothing_else_is_data(note):
    assert find(HEADER + DATA + note * 4)[1:] == ([], "")
    assert find(HEADER + note * 3)[1:] == ([], "")


@pytest.mark.parametrize("row", ["years,kg,\n", "years,NA,\n", "Alter,%,Insel\n", "-,(kg),x\n"])
def test_a_row_of_units_is_no_data(row):
    assert find(HEADER + row + DATA) == (2, [0], "Row 1 holds units and has no answer.")
    assert find(HEADER + row + "NA,,Dream\n" + DATA)[1] == [0]


@pytest.mark.parametrize("row", ["40,kg,\n", "NA,,\n", "2x,3y,Dream\n", "nan,inf,\n"])
def test_other_first_rows_are_data(row):
    assert find(HEADER + row + DATA) == (2, [], "")


def test_units_and_totals_may_both_be_there():
    rows, places, said = find(HEADER + UNITS + DATA * 2 + NOTES[0])

    assert (rows, places) == (4, [0, 3])
    assert said == "Row 1 holds units and has no answer. Row 4 is no data and has no answer."


@pytest.mark.parametrize("line", SHORT)
def test_a_short_line_of_words_at_the_end_is_no_data(line):
    assert find(BESIDE + ROW * 2 + line) == (3, [2], "Row 3 is no data and has no answer.")


def test_short_lines_and_rows_are_counted_together():
    lines = "Total,1,\n" + "\n" + "a note\n" + ",,\n"

    rows, places, said = find(HEADER + DATA * 2 + lines)

    assert (rows, places) == (5, [2, 3, 4])
    assert said == "Rows 3, 4 and 5 are no data and have no answer."


def test_other_short_rows_are_data_that_lack_something():
    one = "1 row is shorter than the header, and what it lacks is missing."
    three = "3 rows are shorter than the header, and what they lack is missing."

    assert find(HEADER + "40,4.5\n" + DATA) == (2, [], one)
    assert find(HEADER + DATA + "40\n40,4.5\n" + DATA + "40,4.5\n") == (5, [], three)
    assert find(BESIDE + ROW + "7,Ada Li,40,4.5\n") == (2, [], one)


def test_of_few_features_one_is_enough_and_none_is_not():
    known = describe_model([MEMBER, ISLAND])

    assert find("member,island\ntrue,\n,Dream\n", known) == (2, [], "")
    assert find("member,island\ntrue,\n,\n", known)[:2] == (2, [1])


@pytest.mark.parametrize(
    "row",
    [
        "7,Ada,40,,,yes\n",
        "7,,40,,,\n",
        ",Total Energies,,4.5,Dream,\n",
        "7,Total,40,4.5,Dream,yes\n",
        "7,note,40,4.5,Dream,\n",
    ],
)
def test_a_row_with_cells_beside_the_features_is_data(row):
    assert find(BESIDE + ROW * 2 + row) == (3, [], "")


@pytest.mark.parametrize(
    "row", ["Total,,40,4.5,,\n", ",Grand total:,40,,,\n", "7,,,,,\n", "NA,?,40,,,yes\n"]
)
def test_a_row_that_is_called_a_total_or_has_one_cell_is_not(row):
    assert find(BESIDE + ROW * 2 + row)[:2] == (3, [2])


def test_a_table_is_looked_at_anew_each_time_it_is_read():
    table = open_text(HEADER + UNITS + DATA + NOTES[0], KNOWN)

    assert read(table) == read(table)
    assert [*table.no_data] == [0, 2]
