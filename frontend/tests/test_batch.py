import pyarrow as pa
import pytest
from conftest import running_ready
from drawn import find_chart, said
from formats import write_workbook
from mixed import category, number, publish
from tables import ROWS, TABLE, result, score, upload

import texts
from client import BackendClient
from downloads import write_parquet, write_template

SHEET = [TABLE.column_names, *map(list, zip(*TABLE.to_pydict().values(), strict=True))]
FILES = {
    "irises.csv": ROWS,
    "irises.parquet": write_parquet(TABLE),
    "irises.xlsx": write_workbook(irises=SHEET),
}
PREVIEW = "/predict/batch/preview"
ASKED = f"POST {PREVIEW}"


@pytest.fixture
def page(iris_url, open_page):
    return open_page(iris_url, "batch")


@pytest.fixture(scope="session")
def german(tmp_path_factory):
    """Address and features of a model whose training table was written in German."""
    written = [{"decimal": ","}, {"decimal": ",", "thousands": "."}, {"affix": "€"}]
    numbers = [
        number(f"x{index}", nullable=True) | {"written": it} for index, it in enumerate(written)
    ]
    features = [*numbers, category("island", ["Föhr", "Sylt", "=1+1"], nullable=True)]
    publish(models_dir := tmp_path_factory.mktemp("german"), features)
    with running_ready(models_dir) as url:
        yield url, features


def test_the_page_says_which_columns_it_takes(page):
    columns = "Columns, in any order: sepal_length, sepal_width, petal_length, petal_width."
    assert columns in " ".join(said(page))
    assert page.get("download_button")
    assert "up to 16 MB" in page.file_uploader[0].label


@pytest.mark.parametrize("name", FILES)
def test_a_table_is_previewed_and_every_row_is_predicted_and_keeps_its_columns(page, name):
    upload(page, FILES[name], name)
    assert f"The first rows of {name} (2 in all)" in said(page)
    assert list(page.dataframe[0].value["colour"]) == ["blue", "red"]
    assert "batch" not in page.session_state
    score(page)

    assert not page.exception
    assert [line for line in said(page) if line.startswith("Rows predicted: 2 in")]
    table = result(page).table
    assert table["prediction_class"].to_pylist() == ["setosa", "virginica"]
    assert table["colour"].to_pylist() == ["blue", "red"]
    assert find_chart(page, "Rows by predicted class").rows == [
        {"class": "setosa", "rows": 1},
        {"class": "virginica", "rows": 1},
    ]
    assert len(page.get("download_button")) == 4


def test_a_german_table_is_read_and_keeps_its_cells(german, open_page):
    page = open_page(german[0], "batch")
    cells = "x0;x1;x2;island;note\n30,5;1.234,5;€ 1234;Föhr;06000\n31,0;50;60;Sylt;8.0\n"
    plain = "x0,x1,x2,island,note\n30.5,1234.5,1234,Föhr,06000\n31,50,60,Sylt,8.0\n"
    upload(page, cells.encode("cp1252"))
    assert "Read as Windows-1252, separated by semicolons, decimal commas" in " ".join(said(page))
    head = page.dataframe[0].value
    assert [list(head[name]) for name in ("x0", "note")] == [["30,5", "31,0"], ["06000", "8.0"]]

    table = result(score(page)).table
    upload(page, plain.encode())
    same = result(score(page)).table

    assert table["x1"].to_pylist() == ["1.234,5", "50"]
    assert table["note"].to_pylist() == ["06000", "8.0"]
    assert table["probability_yes"] == same["probability_yes"]


def test_a_template_is_read_back_to_the_same_values(german, open_page):
    url, features = german
    page = open_page(url, "batch")
    values = [
        (18.0, 19.25, 1.234, "Föhr"),
        (1234.5, 80.0, 1234.0, "Sylt"),
        (None, 1e-7, -5.5, None),
    ]
    examples = [dict(zip(("x0", "x1", "x2", "island"), row, strict=True)) for row in values]

    upload(page, write_template(features, examples))
    answers = result(score(page)).table["probability_yes"].to_pylist()

    client = BackendClient(url)
    asked = [client.predict(example)["probabilities"]["yes"] for example in examples]
    assert answers == pytest.approx(asked, rel=1e-9)


def test_a_sheet_of_a_workbook_can_be_chosen(page):
    names, first, second = SHEET
    sheets = {"Notes": [["nothing"]], "First": [names, first], "Second": [names, second]}
    upload(page, write_workbook(**sheets), "irises.xlsx")
    assert page.selectbox[0].options == ["Notes", "First", "Second"]
    assert "Read sheet First of 3 sheets: Notes, First, Second" in " ".join(said(page))
    assert result(score(page)).table["colour"].to_pylist() == ["blue"]

    page.selectbox[0].set_value("Second").run()
    assert "Rows predicted" not in " ".join(said(page))  # that was the other sheet
    score(page)

    assert list(page.dataframe[0].value["colour"]) == ["red"]
    assert result(page).table["colour"].to_pylist() == ["red"]


def test_a_sheet_that_lacks_columns_leaves_the_choice(page):
    upload(page, write_workbook(Irises=SHEET, Notes=[["nothing"]]), "irises.xlsx")

    page.selectbox[0].set_value("Notes").run()

    assert "The table lacks sepal_length" in " ".join(said(page))
    assert page.selectbox[0].value == "Notes"
    assert texts.PREDICT_ROWS() not in [button.label for button in page.button]


def test_a_table_is_read_once_for_the_page(relay, open_page):
    page = open_page(relay.url, "batch")
    upload(page, ROWS)
    score(page).run()
    assert relay.asked.count(ASKED) == 1

    upload(page, ROWS)

    assert relay.asked.count(ASKED) == 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((503, b'{"detail": "Too many batches."}'), "Too many batches."),
        ((404, b'{"detail": "Nothing is here."}'), "Nothing is here."),
    ],
)
def test_a_preview_that_fails_is_said_and_asked_for_again_by_a_button(
    relay, open_page, answer, words
):
    page = open_page(relay.url, "batch")
    relay.answers[PREVIEW] = answer
    upload(page, ROWS).run()
    assert not page.exception
    assert words in " ".join(said(page))
    assert relay.asked.count(ASKED) == 1  # a table that ends its process is not sent all the time
    relay.answers.clear()

    [again] = [button for button in page.button if button.label == "Read the table again"]
    again.click().run()

    assert "The first rows of irises.csv (2 in all)" in said(page)


@pytest.mark.parametrize(
    ("answer", "words"),
    [((401, b'{"detail": "No."}'), "wants a key"), ((502, b"<html>"), "Something else answers")],
)
def test_a_preview_by_nobody_is_asked_for_again_by_itself(relay, open_page, answer, words):
    page = open_page(relay.url, "batch")
    relay.answers[PREVIEW] = answer
    upload(page, ROWS)
    assert words in " ".join(said(page))
    relay.answers.clear()

    page.run()

    assert "The first rows of irises.csv (2 in all)" in said(page)


def test_two_hundred_thousand_rows_work(page):
    table = pa.concat_tables([TABLE] * 100_000)
    upload(page, write_parquet(table), "many.parquet")
    score(page)

    assert not page.exception
    assert result(page).table.num_rows == 200_000
    assert [line for line in said(page) if line.startswith("Rows predicted: 200,000 in")]


def test_bad_rows_are_listed_and_the_file_is_kept(page):
    upload(page, ROWS + b"green,x,1.4,,5.1\nblue,0.2,1.4,3.5,5.1\n")
    score(page)

    assert page.error[0].value == texts.BAD_ROWS()
    faults = page.dataframe[1].value
    assert list(faults["Row"]) == [3, 3]
    assert set(faults["Column"]) == {"petal_width", "sepal_width"}
    assert set(faults["Reason"]) == {"petal_width must be a number.", "sepal_width is missing."}
    assert page.file_uploader[0].value.name == "irises.csv"
    assert list(page.dataframe[0].value["colour"]) == ["blue", "red", "green", "blue"]

    upload(page, ROWS)  # a better file takes its place
    assert not page.error
    score(page)
    assert not page.error
    assert result(page).table.num_rows == 2


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", b"sepal_length,sepal_width\n1,2\n", "The table lacks petal_length, petal_width."),
        ("a.csv", b"age,job,education\n30,Gov,M\n31,Gov,HS,extra\n", "Row 2: It has 4 cells, and"),
        ("a.csv", b"", ""),
        ("a.parquet", b"PAR1", ""),
        ("a.xlsx", b"PK\3\4", ""),
    ],
)
def test_what_cannot_be_predicted_says_so_before_it_is_sent(page, name, content, reason):
    upload(page, content, name)

    assert not page.exception
    assert reason in page.error[0].value.replace("\\", "")
    assert page.error[0].value
    assert texts.PREDICT_ROWS() not in [button.label for button in page.button]


def test_the_result_stays_on_the_way_to_another_page(page):
    upload(page, ROWS, "**bold**.csv")
    score(page)
    page.switch_page("views/models.py").run()
    page.switch_page("views/batch.py").run()

    assert [line for line in said(page) if line.startswith("Rows predicted: 2 in")]
    # A file's name is never Markdown.
    assert [caption for caption in page.caption if r"\*\*bold\*\*.csv" in caption.value]
    assert not [caption for caption in page.caption if "**bold**" in caption.value]


def test_a_backend_that_goes_away_meanwhile_is_said_and_the_file_is_kept(relay, open_page):
    page = open_page(relay.url, "batch")
    upload(page, ROWS)
    relay.answers["/predict/batch"] = (503, b'{"detail": "8 batches are waiting."}')
    score(page)

    assert not page.exception
    assert [line for line in said(page) if "8 batches are waiting." in line]
    assert page.file_uploader[0].value.name == "irises.csv"
    relay.answers.clear()
    score(page)
    assert result(page).table.num_rows == 2


def test_uploads_are_limited_as_in_the_backend(iris_url, open_page, monkeypatch):
    monkeypatch.setenv("MAX_BODY_BYTES", str(3 * 1024**2))

    page = open_page(iris_url, "batch")

    assert "up to 3 MB" in page.file_uploader[0].label
    assert page.file_uploader[0].proto.max_upload_size_mb == 3
