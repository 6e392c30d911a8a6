import pyarrow as pa
import pytest
from drawn import find_chart, said
from processes import wait_until

import texts
import uploads
from downloads import write_table

ROWS = b"""colour,petal_width,petal_length,sepal_width,sepal_length
blue,0.2,1.4,3.5,5.1
red,2.0,5.5,3.0,6.5
"""


@pytest.fixture
def page(iris_url, open_page):
    return open_page(iris_url, "batch")


def upload(page, content, name="irises.csv"):
    page.file_uploader[0].set_value((name, content, uploads.MEDIA_TYPES[name.rpartition(".")[2]]))
    return page.run()


def score(page):
    [button] = [button for button in page.button if button.label == texts.PREDICT_ROWS()]
    button.click().run()
    wait_until(lambda: page.session_state["batch"].is_over)
    return page.run()


def result(page):
    return page.session_state["batch"].result


def test_the_page_says_which_columns_it_takes(page):
    columns = "Columns, in any order: sepal_length, sepal_width, petal_length, petal_width."
    assert columns in " ".join(said(page))
    assert page.get("download_button")
    assert "up to 16 MB" in page.file_uploader[0].label


@pytest.mark.parametrize("name", ["irises.csv", "irises.parquet"])
def test_a_table_is_previewed_and_every_row_is_predicted_and_keeps_its_columns(page, name):
    rows = pa.csv.read_csv(pa.BufferReader(ROWS))
    upload(page, ROWS if name.endswith("csv") else write_table(rows, "parquet"), name)
    assert f"The first rows of {name}" in said(page)
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
    assert len(page.get("download_button")) == 3


def test_two_hundred_thousand_rows_work(page):
    rows = pa.csv.read_csv(pa.BufferReader(ROWS))
    table = pa.concat_tables([rows] * 100_000)
    upload(page, write_table(table, "parquet"), "many.parquet")
    score(page)

    assert not page.exception
    assert result(page).table.num_rows == 200_000
    assert [line for line in said(page) if line.startswith("Rows predicted: 200,000 in")]


def test_bad_rows_are_listed_and_the_file_is_kept(page):
    upload(page, ROWS + b"green,x,1.4,,5.1\n")
    score(page)

    assert page.error[0].value == texts.BAD_ROWS()
    faults = page.dataframe[1].value
    assert list(faults["Row"]) == [3, 3]
    assert set(faults["Column"]) == {"petal_width", "sepal_width"}
    assert set(faults["Reason"]) == {"petal_width must be a number.", "sepal_width is missing."}
    assert page.file_uploader[0].value.name == "irises.csv"
    assert list(page.dataframe[0].value["colour"]) == ["blue", "red", "green"]

    upload(page, ROWS)  # a better file takes its place
    assert not page.error
    score(page)
    assert not page.error
    assert result(page).table.num_rows == 2


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", b"sepal_length,sepal_width\n1,2\n", "The file lacks petal_length, petal_width."),
        ("a.csv", ROWS.replace(b",", b";"), texts.OTHER_SEPARATOR(mark="semicolons")),
        ("a.parquet", b"PAR1", texts.PREVIEW_FAILED(file="a.parquet", kind="PARQUET")),
    ],
)
def test_what_cannot_be_predicted_says_so_before_it_is_sent(page, name, content, reason):
    upload(page, content, name)

    assert not page.exception
    assert reason in page.error[0].value.replace("\\", "")
    assert texts.PREDICT_ROWS() not in [button.label for button in page.button]


def test_rows_without_an_answer_are_counted(page):
    upload(page, ROWS + b"huge,1e308,1e308,-1e308,1e308\n")
    score(page)

    assert [line for line in said(page) if line.startswith("Rows without an answer: 1.")]


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
