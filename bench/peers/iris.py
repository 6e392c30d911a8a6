"""The body of a request, for the servers that check it by a model of pydantic."""

from pydantic import BaseModel


class Iris(BaseModel):
    sepal_length: float
    sepal_width: float
    petal_length: float
    petal_width: float
