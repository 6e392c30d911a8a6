import io
import json
import random
import zipfile
from datetime import date, datetime

import pytest
from formats import CSV, PARQUET, XLSX, write_workbook
from formats import read as read_table
from mixed import FEATURES, INSTANCE
from test_csv_tables import describe_model
from xlsxwriter import Workbook

from errors import InvalidTable, MalformedTable, TableTooLarge
from schemas import Written
from worker.tables.columns import Columns
from worker.tables.table import Limits
from worker.tables.workbooks import open_workbook

AGE, MASS, MEMBER, _, ISLAND, _ = FEATURES
KNOWN = describe_model([AGE, ISLAND])
LIMITS = Limits(10_000, 2**26)
DAY, MOMENT = map(datetime.fromisoformat, ["2021-01-05", "2021-01-05T03:04"])
TABLE = [["age", "island"], [30.5, "Dream"], [40, "Biscoe"]]


def open_body(body, known=KNOWN, limits=LIMITS, sheet=None):
    return open_workbook(memoryview(body), limits, known, sheet)


def read(body, **options):
    [chunk] = open_body(body, **options).chunks()
    return chunk


def read_features(body, known):
    table = open_body(body, known)
    [chunk] = table.chunks()
    columns = Columns(known, table)
    assert columns.find_bad(chunk) == []
    return [cells.to_pylist() for cells in columns.read_cells(chunk)]


def test_cells_keep_their_kinds():
    row = [5, 1.5, " x ", True, MOMENT, "2021", None]
    body = write_workbook(Sales=[["n", "f", "t", "b", "d", "y", "empty"], row, [6, 2]])

    chunk = read(body)

    assert chunk.to_pylist()[0] == dict(zip("nftbdy", row, strict=False)) | {"empty": None}
    kinds = ["int64", "double", "string", "bool", "timestamp[s]", "string", "int64"]
    assert [*map(str, chunk.schema.types)] == kinds


def test_columns_of_several_kinds_are_text_as_a_person_writes_it():
    cells = ["x", 5, 1.5, True, DAY, MOMENT, 1e20]

    chunk = read(write_workbook(Sales=[["a", 2021.0], *([cell, 1] for cell in cells)]))

    texts = ["x", "5", "1.5", "True", "2021-01-05", "2021-01-05 03:04:00", "1e+20"]
    assert chunk.to_pydict() == {"a": texts, "2021": [1] * 7}


def test_days_and_moments_are_moments():
    moments = [DAY, MOMENT]

    days = read(write_workbook(Sales=[["a", "b"], *([moments[0], it] for it in moments)]))

    assert days.to_pydict() == {"a": [date(2021, 1, 5)] * 2, "b": moments}


def test_a_table_may_lie_anywhere_on_a_sheet():
    rows = [[" age ", None, "island"], [30.5], [], [None, None, " Dream"], ["", " ", ""]]
    known = describe_model([AGE, ISLAND])

    table = open_body(write_workbook(Sales=rows, start=(3, 2)), known)

    assert table.schema.names == ["age", "island"]
    assert read_features(write_workbook(Sales=rows, start=(3, 2)), known) == [
        [30.5, None],
        [None, "Dream"],
    ]


def test_number_cells_are_never_read_as_the_text_beside_them():
    written = {"decimal": ",", "thousands": ".", "affix": "€"}
    known = describe_model([AGE | {"written": written}, ISLAND])
    cells = [1.234, "1.234", 12.5, "1.234,5 €", 5, None, "k. A.", -0.125]
    known = known.model_copy(update={"written": Written(missing=["k. A."])})
    body = write_workbook(Sales=[["age", "island"], *([cell, "Dream"] for cell in cells)])

    [found, _] = read_features(body, known)

    assert found == [1.234, 1234.0, 12.5, 1234.5, 5.0, None, None, -0.125]
    numbers = write_workbook(Sales=[["age", "island"], [1.234, "Dream"], [2, "Dream"]])
    assert read_features(numbers, known)[0] == [1.234, 2.0]


def test_whole_numbers_are_codes_and_booleans_are_booleans():
    codes = ISLAND | {"values": ["1", "2", "x"], "mode": "1"}
    known = describe_model([codes, MEMBER])
    head = ["island", "member"]

    assert read_features(write_workbook(Sales=[head, [1, True], [2, None]]), known) == [
        ["1", "2"],
        [True, None],
    ]
    assert read_features(write_workbook(Sales=[head, [1, True], ["x", "FALSE "]]), known) == [
        ["1", "x"],
        [True, False],
    ]


def test_units_and_totals_are_no_data():
    rows = [["age", "mass", "island"], ["years", "kg", None], [30, 4.5, "Dream"], ["Total", 4.5]]

    table = open_body(write_workbook(Sales=rows), describe_model([AGE, MASS, ISLAND]))

    assert [it.num_rows for it in table.chunks()] == [3]
    assert [*table.no_data] == [0, 2]
    said = "Row 1 holds units and has no answer. Row 3 is no data and has no answer."
    assert table.read_as == f"Read sheet Sales. {said}"


def test_the_sheet_with_all_features_is_read_unless_another_is_named():
    other = [["x"], [1]]
    body = write_workbook(Sales=[], Notes=other, Data=TABLE, More=TABLE)

    assert open_body(body).read_as == "Read sheet Data of 4 sheets: Sales, Notes, Data, More."
    assert open_body(body, sheet="More").read_as.startswith("Read sheet More of 4")
    assert open_body(write_workbook(Sales=[], Notes=other)).read_as.startswith(
        "Read sheet Notes of 2"
    )
    with pytest.raises(InvalidTable, match=r"There is no sheet X. The sheets are Sales, Notes"):
        open_body(body, sheet="X")
    with pytest.raises(InvalidTable, match="The sheet has no cells"):
        open_body(body, sheet="Sales")


def test_what_is_no_workbook_is_told():
    body = write_workbook(Sales=TABLE)
    old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000)

    with pytest.raises(MalformedTable, match="protected by a password, or older"):
        open_body(old)
    for broken in (b"x", body[:-50], body[50:], write_archive(a=b"x")):
        with pytest.raises(MalformedTable, match=r"no \.xlsx that can be read"):
            open_body(broken)


def test_a_span_of_time_that_python_does_not_know_is_no_crash():
    body = io.BytesIO()
    with Workbook(body) as book:
        book.add_worksheet("S").write(0, 0, 1e9, book.add_format({"num_format": "[h]:mm:ss"}))

    with pytest.raises(MalformedTable, match="must have magnitude"):
        open_body(body.getvalue())


@pytest.mark.parametrize("seed", range(5))
def test_a_damaged_workbook_is_read_or_said_to_be_damaged(seed):
    dice, members = random.Random(seed), read_archive(write_workbook(Sales=TABLE))
    for name in members:
        content = bytearray(members[name])
        for _ in range(3):
            content[dice.randrange(len(content))] = dice.randrange(256)
        try:
            open_body(write_archive(**members | {name: bytes(content)}))
        except (MalformedTable, InvalidTable):
            continue


def write_archive(**members):
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return body.getvalue()


def read_archive(body):
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("says", [None, 1000])
def test_a_workbook_is_unpacked_no_further_than_allowed_whatever_it_says(says):
    sheet = "xl/worksheets/sheet1.xml"
    members = read_archive(write_workbook(Sales=TABLE))
    body = write_archive(**members | {sheet: members[sheet] + b" " * 2**23})
    if says:  # the size is in the directory at the end, before the name
        place = body.rindex(sheet.encode()) - 22
        body = body[:place] + says.to_bytes(4, "little") + body[place + 4 :]

    with pytest.raises(TableTooLarge, match="unpacks to more than 4194304 bytes"):
        open_body(body, limits=Limits(10_000, 2**22))


def test_more_rows_than_are_taken_are_refused():
    body = write_workbook(Sales=[TABLE[0], *[TABLE[1]] * 11])

    with pytest.raises(TableTooLarge, match="More than 10 rows"):
        open_body(body, limits=Limits(10, 2**26))


def test_a_workbook_is_answered_with_its_numbers_as_a_person_writes_them(mixed_client):
    rows = [[*INSTANCE, "day"], [*INSTANCE.values(), DAY], [1.5, 2, True, False, "Mars ", "male"]]
    body = write_workbook(Sales=[*rows, ["Total", 6.5]])

    answer = post(mixed_client, body)

    assert answer.headers["content-type"].partition(";")[0] == CSV
    assert answer.headers["x-read-as"] == "Read sheet Sales. Row 3 is no data and has no answer."
    assert json.loads(answer.headers["x-warnings"])["island"] == {"unknown": 1}
    lines = answer.text.splitlines()
    assert lines[1].startswith("40,4.5,true,false,Biscoe,female,2021-01-05,no,")
    assert lines[2].startswith("1.5,2,true,false,Mars ,male,,")
    assert lines[3] == "Total,6.5,,,,,,,,"


def test_a_workbook_is_typed_in_parquet(mixed_client):
    body = write_workbook(
        Sales=[[*INSTANCE], [*INSTANCE.values()], ["NA", 2, None, False, " Dream", "male"]]
    )

    table = read_table(post(mixed_client, body, accept=PARQUET).content, PARQUET)

    assert table["age"].to_pylist() == [40.0, None]
    assert table["island"].to_pylist() == ["Biscoe", "Dream"]


def test_a_sheet_can_be_asked(mixed_client):
    rows = [[*INSTANCE], [*INSTANCE.values()]]
    body = write_workbook(Sales=rows, More=[rows[0], *[rows[1]] * 3])

    assert len(post(mixed_client, body).text.splitlines()) == 2
    assert len(post(mixed_client, body, sheet="More").text.splitlines()) == 4
    assert "There is no sheet Less." in post(mixed_client, body, sheet="Less").json()["detail"]


def post(client, body, accept="*/*", **params):
    headers = {"Content-Type": XLSX, "Accept": accept}
    return client.post("/predict/batch", content=body, headers=headers, params=params)
