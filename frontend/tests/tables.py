"""What a person does with a table on the page."""

import pyarrow as pa
import pyarrow.csv as pa_csv
from processes import wait_until
from streamlit.testing.v1 import AppTest

import texts
from batches import PredictedTable
from uploads import MEDIA_TYPES

ROWS = b"""colour,petal_width,petal_length,sepal_width,sepal_length
blue,0.2,1.4,3.5,5.1
red,2.0,5.5,3.0,6.5
"""
TABLE = pa_csv.read_csv(pa.BufferReader(ROWS))


def upload(page: AppTest, content: bytes, name: str = "irises.csv") -> AppTest:
    page.file_uploader[0].set_value((name, content, MEDIA_TYPES[name.rpartition(".")[2]]))
    return page.run()


def score(page: AppTest) -> AppTest:
    [button] = [button for button in page.button if button.label == texts.PREDICT_ROWS()]
    button.click().run()
    wait_until(lambda: page.session_state["batch"].is_over)
    return page.run()


def result(page: AppTest) -> PredictedTable:
    return page.session_state["batch"].result
