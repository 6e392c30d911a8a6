"""The server that tutorials end with: FastAPI, pandas, and scikit-learn as it is."""

import joblib
import pandas as pd
from fastapi import FastAPI
from iris import Iris
from pydantic import BaseModel


class Prediction(BaseModel):
    prediction: str
    probabilities: dict[str, float]


app = FastAPI()
model = joblib.load("model.joblib")


@app.post("/predict")
def predict(iris: Iris) -> Prediction:
    data = pd.DataFrame([iris.model_dump()])
    probabilities = model.predict_proba(data)[0]
    return Prediction(
        prediction=model.predict(data)[0],
        probabilities=dict(zip(model.classes_, probabilities.tolist(), strict=True)),
    )
