import random

import pytest
from conftest import VERSION, describe, fit
from mixed import FEATURES

from errors import InvalidTable, TableTooLarge
from schemas import Manifest, Written
from worker.tables import csv_tables
from worker.tables.columns import Columns
from worker.tables.csv_tables import open_csv
from worker.tables.table import Limits

AGE, *_, ISLAND, _ = FEATURES
LIMITS = Limits(10_000, 2**30)
CELLS = ["", "1.5", "a", 'he said "no"', "two\nlines", "a,b", '"', "\r\n", "ß", '""', "\r", "\ry"]


def describe_model(features=(AGE, ISLAND), **changes):
    return Manifest.model_validate(
        describe(fit(), b"", VERSION) | {"features": [*features]} | changes
    )


def open_text(text, known=None, limits=LIMITS):
    body = text if isinstance(text, bytes) else text.encode()
    return open_csv(memoryview(body), limits, known or describe_model())


def read(table):
    return [row for batch in table.chunks() for row in batch.to_pylist()]


def read_features(text, known):
    """Rows of what the cells of the features stand for."""
    table = open_text(text, known)
    [chunk] = table.chunks()
    columns = Columns(known, table)
    assert columns.find_bad(chunk) == []
    return list(zip(*(cells.to_pylist() for cells in columns.read_cells(chunk)), strict=True))


def quote(cell):
    doubled = cell.replace('"', '""')
    return f'"{doubled}"' if set(cell) & set(',"\r\n') else cell


@pytest.mark.parametrize("seed", range(20))
def test_nothing_of_a_cell_is_lost_wherever_a_block_ends(seed, monkeypatch):
    dice = random.Random(seed)
    rows = [dice.choices(CELLS, k=3) for _ in range(30)]
    end = dice.choice(["\n", "\r\n", "\r"])
    body = "a,b,c\n" + "".join(",".join(map(quote, row)) + end for row in rows)

    for size in range(50, 90, 3):
        monkeypatch.setattr(csv_tables, "BLOCK_BYTES", size)
        found = read(open_text(body))

        assert [[cell or "" for cell in row.values()] for row in found] == rows, size


def test_a_cell_keeps_a_line_end_at_the_edge_of_a_block():
    filling = ('30,"' + "z" * 994 + '"\r\n') * (2**20 // 1000 - 1)
    cell = "A" * (2**20 - len(filling) - len('31,"') - 1) + "\r\nB"

    found = read(open_text(f'age,note\r\n{filling}31,"{cell}"\r\n'))

    assert found[-1] == {"age": "31", "note": cell}


@pytest.mark.parametrize(
    "text",
    [
        "age,island\n30.5,Dream\n40,Biscoe\n",
        "age, island\n30.5, Dream\n40 , Biscoe \n",
        'age, "island"\n30.5, "Dream"\n"40", "Biscoe"\n',
        "sep=;\r\nage;island\r\n30,5;Dream\r\n40;Biscoe\r\n",
        "\ufeff\ufeffisland\tage\nDream\t30.5\nBiscoe\t40\n",
        "\ufeffage;island;größe\r\n30,5;Dream;\r\n40,0;Biscoe;".encode("utf-16-le"),
        "age;island;größe\n30,5;Dream;ü\n40,0;Biscoe;é\n".encode("cp1252"),
        " \n\nage|island\r30.5|Dream\r  \r40|Biscoe\r",
        ",age,island\n1,30.5,\u00a0Dream\n2,+40,Biscoe\u202f\n",
        '"",row,age,island\n1,9,30.5,Dream\n2,8,4e1,Biscoe\n',
    ],
)
def test_a_table_is_read_however_it_was_saved(text):
    found = read_features(text, describe_model([ISLAND, AGE]))

    assert found == [("Dream", 30.5), ("Biscoe", 40.0)]


def test_cells_are_read_as_the_manifest_says_they_were_written():
    features = [AGE | {"written": {"decimal": ",", "thousands": ".", "affix": "€"}}, ISLAND]
    written = {"missing": ["k.A."], "encoding": "cp1250"}
    known = describe_model([features[0], ISLAND | {"values": ["Łódź"], "mode": "Łódź"}])
    known = known.model_copy(update={"written": Written.model_validate(written)})
    text = 'age,island\n"1.234,50 €",Łódź\nk.A.,k.A.\n€ 5.1,Łódź\n'.encode("cp1250")

    assert read_features(text, known) == [(1234.5, "Łódź"), (None, None), (5.1, "Łódź")]
    said = "Read as cp1250, separated by commas, decimal commas, thousands in points."
    assert open_text(text, known).read_as == said


def test_blanks_before_quotes_are_no_part_of_a_cell_and_those_inside_are():
    text = 'age,note\n1, "a, ""b"", c"\n2,"x, ""y"" , z"\n3,  said "no"\n4,"two\n, ""lines"\n'

    notes = [row["note"] for row in read(open_text(text))]

    assert notes == ['a, "b", c', 'x, "y" , z', '  said "no"', 'two\n, "lines']


def test_cells_come_back_letter_by_letter():
    text = "age,code\n8.0,06000\n 202.10 ,1e5\nNA,\n"

    assert [[*row.values()] for row in read(open_text(text))] == [
        ["8.0", "06000"],
        [" 202.10 ", "1e5"],
        ["NA", None],
    ]


def test_a_column_without_a_name_is_told_by_its_place():
    with pytest.raises(InvalidTable, match=r"^Column 3 has no name\. Give it one"):
        open_text("age,island,,\n30,Dream,,\n")


def test_lines_of_blanks_are_no_rows_and_long_ones_are_named():
    text = "age,island\n30,Dream\n   \n\n31\n\t\n32,Biscoe,x\n33,Dream\n34\n35,a,b,c\n"

    with pytest.raises(InvalidTable) as error:
        read(open_text(text))

    assert [(row, detail[:14]) for detail, row, _ in error.value.faults] == [
        (3, "It has 3 cells"),
        (6, "It has 4 cells"),
    ]


@pytest.mark.parametrize("block", [30, 2**20])
def test_short_rows_are_filled_up_at_their_places(block, monkeypatch):
    monkeypatch.setattr(csv_tables, "BLOCK_BYTES", block)
    short = ["1", '"2\n2"', "3,", '"4 ""x"", y",a']
    rows = short + ["5,b,c"] * 9 + short * 3 + ["6,,d"] + short

    found = [[*row.values()] for row in read(open_text("age,island,note\n" + "\n".join(rows)))]

    filled = [["1", None, None], ["2\n2", None, None], ["3", None, None], ['4 "x", y', "a", None]]
    full = [["5", "b", "c"]] * 9
    assert found == [*filled, *full, *filled * 3, ["6", None, "d"], *filled]


def test_a_short_line_of_tabs_is_a_row_and_one_of_blanks_is_none():
    assert len(read(open_text("age\tisland\tnote\n1\ta\tb\n\t\n  \n2\ta\tb\n"))) == 3


def test_a_row_that_ends_inside_of_quotes_is_refused():
    with pytest.raises(InvalidTable, match="Row 2: It has 2 cells, and the header has 3"):
        read(open_text('age,island,note\n1,a,b\n2,"a,b\n'))


def test_short_rows_of_many_columns_are_filled_up_a_few_at_a_time():
    header = ",".join(f"c{place}" for place in range(500))
    limits = Limits(10_000, 10**6)

    with pytest.raises(TableTooLarge):
        read(open_text(f"age,island,{header}\n" + "1\n" * 9_000, limits=limits))
