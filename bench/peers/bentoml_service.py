"""BentoML's service, with the fields as its parameters and, for its batching, with an array."""

import bentoml
import joblib
import numpy as np


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Iris:
    def __init__(self) -> None:
        self.model = joblib.load("model.joblib")

    @bentoml.api
    def predict(
        self, sepal_length: float, sepal_width: float, petal_length: float, petal_width: float
    ) -> dict[str, float]:
        return self._score(np.array([[sepal_length, sepal_width, petal_length, petal_width]]))[0]

    @bentoml.api(batchable=True)
    def predict_batch(self, X: np.ndarray) -> list[dict[str, float]]:
        """BentoML joins the rows of requests that wait, and parts the answers."""
        return self._score(X)

    def _score(self, X: np.ndarray) -> list[dict[str, float]]:
        rows = self.model.predict_proba(X).tolist()
        return [dict(zip(self.model.classes_.tolist(), row, strict=True)) for row in rows]
