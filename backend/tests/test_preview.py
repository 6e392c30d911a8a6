import pyarrow as pa
import pytest
from conftest import NAMES, VERSION
from formats import ARROW, CSV, JSON, PARQUET, XLSX, write, write_workbook
from mixed import INSTANCE

GERMAN = "age;mass;Größe\n30,5;4;x\n;5,1; y \n".encode("cp1252")


def preview(client, body, media_type=CSV, **params):
    headers = {"Content-Type": media_type}
    return client.post("/predict/batch/preview", content=body, headers=headers, params=params)


def test_a_text_is_shown_as_it_stands_with_how_it_is_read(mixed_client):
    answer = preview(mixed_client, GERMAN)

    assert answer.headers["content-type"] == JSON
    assert answer.headers["x-model-version"] == VERSION
    assert answer.json() == {
        "read_as": "Read as Windows-1252, separated by semicolons, decimal commas.",
        "rows": 2,
        "columns": ["age", "mass", "Größe"],
        "head": [["30,5", "4", "x"], [None, "5,1", " y "]],
        "missing": ["member", "tagged", "island", "sex"],
    }


@pytest.mark.parametrize("media_type", [JSON, PARQUET, ARROW])
def test_other_tables_say_themselves_how_they_are_read(client, media_type):
    table = pa.table({name: [5.0, 1.5] * 20 for name in NAMES})

    shown = preview(client, write(table, media_type), media_type).json()

    assert (shown["read_as"], shown["rows"], shown["missing"]) == (None, 40, [])
    assert shown["columns"] == NAMES
    assert shown["head"] == [["5"] * 4, ["1.5"] * 4] * 5


def test_a_sheet_of_a_workbook_is_shown(mixed_client):
    body = write_workbook(Sales=[["x"], [1]], More=[[*INSTANCE], [*INSTANCE.values()], ["Total"]])

    first = preview(mixed_client, body, XLSX).json()
    named = preview(mixed_client, body, XLSX, sheet="Sales").json()

    assert first["sheets"] == named["sheets"] == ["Sales", "More"]
    assert first["head"][0] == ["40", "4.5", "true", "false", "Biscoe", "female"]
    said = "Read sheet More of 2 sheets: Sales, More. Row 2 is no data and has no answer."
    assert first["read_as"] == said
    assert named["missing"] == [*INSTANCE]
    assert preview(mixed_client, body, XLSX, sheet="x" * 101).status_code == 422


def test_cells_of_any_type_are_shown_as_text_and_not_at_length(client):
    columns = [
        pa.array([b"\xff", None]),
        pa.array([1, None], pa.duration("us")),
        pa.array([0, None], pa.timestamp("s", "Nowhere/Town")),
        pa.array([0, None], pa.timestamp("s")),
        pa.array([1.0, None]).dictionary_encode(),
        pa.array(["x" * 5000, None]).cast(pa.string_view()),
        pa.array([2**62, None], pa.timestamp("s")),
        pa.nulls(2),
    ]
    table = pa.table(dict(zip("abcdefgh", columns, strict=True)))

    shown = preview(client, write(table, ARROW), ARROW).json()

    first = [r"b'\xff'", "1", "0", "1970-01-01 00:00:00", "1", "x" * 1000]
    assert shown["head"][0][:6] == first
    assert shown["head"][1] == [None] * 8


def test_what_a_batch_refuses_for_its_form_a_preview_refuses_too(client):
    ragged = preview(client, b"a,b\n1,2\n1,2,3\n")

    assert ragged.status_code == 422
    assert ragged.json()["detail"] == "Row 2: It has 3 cells, and the header has 2."
    assert preview(client, b"").status_code == 400
    assert preview(client, b"a,b,,\n1,2,,\n").json()["detail"].startswith("Column 3 has no name.")
    assert preview(client, b'{"instances": []}', JSON).status_code == 422
    assert preview(client, b"x", "text/plain").status_code == 415
    assert preview(client, b"a\n", version="1").status_code == 404


def test_nothing_is_predicted_nor_counted(live_client):
    before = live_client.get("/monitoring").json()["predictions"]

    assert preview(live_client, (",".join(NAMES) + "\n5,3,1,0.2\n").encode()).json()["rows"] == 1

    assert live_client.get("/monitoring").json()["predictions"] == before


def test_the_api_describes_previews_as_it_does_batches(client):
    paths = client.get("/openapi.json").json()["paths"]

    batch, shown = (paths[f"/predict/batch{it}"]["post"] for it in ("", "/preview"))
    assert shown["requestBody"] == batch["requestBody"]
    assert set(shown["responses"]["200"]["content"]) == {JSON}
    assert {it["name"] for it in shown["parameters"]} == {"version", "sheet"}
