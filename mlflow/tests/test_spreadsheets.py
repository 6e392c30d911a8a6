import io
import zipfile

import pandas as pd
import pytest
import xlsxwriter
from formats import write_workbook

from errors import UnusableTable
from reading.formats import parse_table
from reading.origin import Origin
from table.dataset import make_dataset

DAY = pd.Timestamp(2021, 1, 5)
ROWS = [["x", "y"], [1, "a"], [2, "b"]]


def make_archive(files):
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return raw.getvalue()


def change_sheet(raw, old, new):
    """The same workbook with other XML in its first sheet."""
    name = "xl/worksheets/sheet1.xml"
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert old in files[name]
    return make_archive(files | {name: files[name].replace(old, new)})


def read(*rows):
    return parse_table(write_workbook(Sheet=rows), "t.xlsx").frame


def test_cells_keep_their_kinds():
    frame = read(["n", "w", "t", "b", "d"], [1.5, 2, "x", True, DAY], [2.5, 3, "y", False, DAY])

    kinds = [pd.api.types.infer_dtype(frame[name]) for name in frame]
    assert kinds == ["floating", "floating", "string", "boolean", "datetime64"]
    assert frame.iloc[0].tolist() == [1.5, 2.0, "x", True, DAY]


def test_a_column_may_mix_kinds_and_its_whole_numbers_have_no_decimals():
    frame = read(["zip", "y"], [1234.0, 1], ["01234", 2], [0.5, 3], [True, 4])

    assert list(map(str, frame["zip"])) == ["1234", "01234", "0.5", "True"]


def test_days_and_times_in_one_column_are_dates():
    frame = read(["d", "y"], [DAY, 1], [DAY.replace(hour=12), 2], [None, 3])

    assert frame["d"].dropna().tolist() == [DAY, DAY.replace(hour=12)]


@pytest.mark.parametrize("empty", ["", "  ", "\u00a0", None])
def test_empty_cells_are_missing_and_texts_are_trimmed(empty):
    names, first, last = (
        ["n", "t", "b", "d", "x"],
        [1, " a", True, DAY, 1],
        [3, "a\u00a0", True, DAY, 1],
    )
    frame = read(names, first, [*[empty] * 4, 1], last)

    assert frame[names[:-1]].isna().all(axis=1).tolist() == [False, True, False]
    assert frame["t"].tolist()[::2] == ["a", "a"]
    assert frame["n"].dtype == float


@pytest.mark.parametrize("error", ["#DIV/0!", "#N/A", "#NAME?"])
def test_an_error_of_excel_is_missing(error):
    formula = f'<c r="A3" t="e"><f>1/0</f><v>{error}</v></c>'.encode()
    raw = change_sheet(write_workbook(S=ROWS), b'<c r="A3"><v>2</v></c>', formula)

    assert parse_table(raw, "t.xlsx").frame["x"].isna().tolist() == [False, True]


def test_merged_cells_hold_their_value_once():
    raw = io.BytesIO()
    with xlsxwriter.Workbook(raw) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["x", "y"])
        sheet.merge_range(1, 0, 2, 0, "north")
        sheet.write_column(1, 1, ["a", "b"])

    frame = parse_table(raw.getvalue(), "t.xlsx").frame

    assert frame["x"].fillna("-").tolist() == ["north", "-"]


def test_empty_rows_and_columns_around_the_table_do_not_count():
    blank = [None, " "]
    frame = read(blank, [], [None, "x", None, "y", " "], [None, 1, None, "a"], [], blank)

    assert frame.to_dict("list") == {"x": [1], "y": ["a"]}


def test_empty_rows_within_the_table_do_not_count_as_lines_of_csv_do_not():
    assert read(["x", "y"], [1, "a"], [None, " "], [2, "b"])["y"].tolist() == ["a", "b"]


def test_numbers_and_dates_may_be_names():
    names = read(["region", 2019, 2020.0, 0.5, DAY, True], ["n", 1, 2, 3, 4, 5]).columns.tolist()

    assert names == ["region", "2019", "2020", "0.5", "2021-01-05", "True"]


def test_an_unnamed_first_column_numbers_the_rows():
    assert read([None, "row"], [0, "a"], [1, "b"]).columns.tolist() == ["row_1", "row"]


def test_the_first_sheet_with_cells_is_read_or_the_one_that_is_named():
    raw = write_workbook(Notes=[], Sales=ROWS, Costs=[["z"], [7]])
    first, costs = parse_table(raw, "t.xlsx"), parse_table(raw, "t.xlsx", sheet="Costs")

    assert first.frame["y"].tolist() == ["a", "b"]
    assert first.origin == Origin(sheet="Sales", sheets=("Notes", "Sales", "Costs"))
    assert first.origin.describe() == "Read sheet Sales of 3 sheets: Notes, Sales, Costs."
    assert costs.frame.to_dict("list") == {"z": [7]}


def test_a_workbook_with_one_sheet_tells_its_name():
    assert parse_table(write_workbook(S=ROWS), "t").origin.describe() == "Read sheet S."


def test_a_chart_is_no_sheet():
    raw = io.BytesIO()
    with xlsxwriter.Workbook(raw) as book:
        chart = book.add_chart({"type": "line"})
        chart.add_series({"values": "=Data!$A$2:$A$3"})
        book.add_chartsheet("Chart").set_chart(chart)
        book.add_worksheet("Data").write_column(0, 0, ["x", 1, 2])

    assert parse_table(raw.getvalue(), "t.xlsx").origin.sheets == ("Data",)


OLD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


@pytest.mark.parametrize(
    ("raw", "sheet", "message"),
    [
        (write_workbook(A=ROWS, B=[]), "C", "There is no sheet C. The sheets are A, B"),
        (write_workbook(A=ROWS, B=[]), "B", "Sheet B holds no cells. The sheets are A, B"),
        (write_workbook(A=[[" "]]), None, "The workbook holds no cells"),
        (write_workbook(A=ROWS[:1]), None, "t.xlsx holds no rows"),
        (write_workbook(A=[[1, 2], [3, 4]]), None, "first line holds numbers"),
        (
            write_workbook(A=[["x", None, "y"], [1, 2, 3]]),
            None,
            "Column 2 has no name. Give it one",
        ),
        (write_workbook(A=[["x", None, None], [1, 2, 3]]), None, "Delete the lines above the"),
        (write_workbook(A=[["x", "x "], [1, 2]]), None, "Two columns are named x"),
        (b"x,y\n1,a\n", "A", "is no .xlsx workbook. Leave --sheet out"),
        (OLD, None, "in the format before 2007. Save it as .xlsx"),
        (OLD + "EncryptedPackage".encode("utf-16-le"), None, "protected by a password"),
        (make_archive({"t.csv": "x,y"}), None, "no .xlsx workbook: it holds t.csv. Unzip it"),
        (make_archive({}), None, "no .xlsx workbook: it holds nothing"),
        (make_archive({"xl/workbook.xml": "x"}), None, "workbook is damaged"),
        (write_workbook(A=ROWS)[:2000], None, "workbook is damaged"),
        (write_workbook(A=ROWS).replace(b"\0\0\x08\0", b"\1\0\x08\0"), None, "workbook is damaged"),
    ],
)
def test_what_cannot_be_read_is_said(raw, sheet, message):
    with pytest.raises(UnusableTable, match=message):
        parse_table(raw, "t.xlsx", sheet=sheet)


@pytest.mark.parametrize(
    "cell", [b'<c r="XFD1048576"><v>1</v></c>', b"<c r='B9999999999'><v>1</v></c>"]
)
def test_a_cell_far_from_the_table_is_refused_before_it_fills_the_memory(cell):
    raw = change_sheet(write_workbook(S=ROWS), b"</row></sheetData>", cell + b"</row></sheetData>")

    with pytest.raises(UnusableTable, match=r"sheet1.xml lie too far apart.*Delete those outside"):
        parse_table(raw, "t.xlsx")


def test_a_far_cell_that_has_a_style_alone_does_not_count():
    cell = b'<c r="XFD1048576" s="1"/></row></sheetData>'
    raw = change_sheet(write_workbook(S=ROWS), b"</row></sheetData>", cell)

    assert parse_table(raw, "t.xlsx").frame["x"].tolist() == [1, 2]


def test_a_workbook_that_would_unpack_to_too_much_is_refused():
    raw = io.BytesIO(write_workbook(S=ROWS))
    with zipfile.ZipFile(raw, "a") as archive:
        archive.writestr("xl/media/image.png", "")
        archive.infolist()[-1].file_size = 5 * 1024**3

    with pytest.raises(UnusableTable, match="more than 4 GiB unpacked"):
        parse_table(raw.getvalue(), "t.xlsx")


def test_a_column_that_another_sheet_may_hold_is_missed_with_the_sheets():
    notes = write_workbook(Notes=[["remarks"], ["of May"]], Data=ROWS)

    with pytest.raises(UnusableTable, match=r"of sheet Notes; --sheet takes .*Notes, Data\."):
        make_dataset(parse_table(notes, "t.xlsx"), "t", "y")
    with pytest.raises(UnusableTable, match=r"The columns are remarks\.$"):
        make_dataset(parse_table(write_workbook(A=[["remarks"], ["x"]]), "t.xlsx"), "t", "y")
