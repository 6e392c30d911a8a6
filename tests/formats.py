"""Tables as bytes, in each of the formats that are sent and answered."""

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
from pyarrow import csv
from xlsxwriter import Workbook

CSV = "text/csv"
JSON = "application/json"
PARQUET = "application/vnd.apache.parquet"
ARROW = "application/vnd.apache.arrow.stream"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FORMATS = [JSON, CSV, PARQUET, ARROW]  # of answers


def write(table: pa.Table, media_type: str, **options: Any) -> bytes:
    """JSON as columns."""
    if media_type == JSON:
        return json.dumps({"columns": table.to_pydict()}).encode()
    sink = io.BytesIO()
    if media_type == CSV:
        csv.write_csv(table, sink)
    elif media_type == PARQUET:
        pq.write_table(table, sink, **options)
    else:
        with pa.ipc.new_stream(sink, table.schema, **options) as file:
            file.write_table(table)
    return sink.getvalue()


def write_batches(batches: list[pa.RecordBatch], **options: Any) -> bytes:
    """A stream of Arrow with each of these batches as it is."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batches[0].schema, **options) as stream:
        for batch in batches:
            stream.write_batch(batch)
    return sink.getvalue()


def write_workbook(*, start: tuple[int, int] = (0, 0), **sheets: list[list[Any]]) -> bytes:
    """An .xlsx file of these sheets, each of these rows of cells from `start` on."""
    with Workbook(sink := io.BytesIO(), {"default_date_format": "yyyy-mm-dd hh:mm:ss"}) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows, start[0]):
                sheet.write_row(number, start[1], row)
    return sink.getvalue()


def read(content: bytes, media_type: str) -> pa.Table:
    """CSV as text throughout."""
    if media_type == PARQUET:
        return pq.read_table(io.BytesIO(content))
    if media_type == ARROW:
        return pa.ipc.open_stream(content).read_all()
    if media_type == CSV:
        options = csv.ConvertOptions(default_column_type=pa.string(), strings_can_be_null=True)
        options.null_values = [""]
        return csv.read_csv(io.BytesIO(content), convert_options=options)
    answer = json.loads(content)
    if "columns" in answer:
        return pa.table(answer["columns"])
    rows = [
        {"prediction_class": it["prediction_class"]}
        | {f"probability_{name}": value for name, value in (it["probabilities"] or {}).items()}
        for it in answer["predictions"]
    ]
    return pa.Table.from_pylist(rows)
