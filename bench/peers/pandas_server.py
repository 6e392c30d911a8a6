"""The usual JSON server of a model: json → pandas → the estimator → json, as `mlflow models serve`.

    MODEL=model.pkl uvicorn pandas_server:app

It takes {"dataframe_split": …} and {"dataframe_records": …} and answers with labels, as MLflow
does; with ?probabilities=true with probabilities as well. There is nothing else: no schema, no
checks, no framework but Starlette, and no thread, so that it costs as little as it can.
"""

import json
import os

import joblib
import pandas as pd
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

estimator = joblib.load(os.environ["MODEL"])


async def answer(request: Request) -> Response:
    sent = json.loads(await request.body())
    if "dataframe_split" in sent:
        split = sent["dataframe_split"]
        table = pd.DataFrame(split["data"], columns=split["columns"])
    else:
        table = pd.DataFrame(sent["dataframe_records"])
    answered = {"predictions": estimator.predict(table).tolist()}
    if request.query_params.get("probabilities"):
        answered["probabilities"] = estimator.predict_proba(table).tolist()
    return Response(json.dumps(answered), media_type="application/json")


app = Starlette(routes=[Route("/invocations", answer, methods=["POST"])])
