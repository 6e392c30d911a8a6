"""Answers one instance with what each of its features does to the prediction."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request

from routes.predict import Asked, read_values
from schemas import Explanation
from serving.explanation import explain
from web.problems import problem_responses

router = APIRouter(tags=["predict"])

Varied = Annotated[
    str | None, Query(description="A feature, along whose values the probabilities are given too.")
]


@router.post(
    "/explain",
    summary="Explain a prediction",
    responses=problem_responses(400, 404, 409, 413, 415, 422, 503),
)
async def explain_prediction(request: Request, model: Asked, vary: Varied = None) -> Explanation:
    """By how much each feature of an instance raises the probability of the class predicted for it.

    A contribution is that probability, less what it is with this one feature at its median in the
    training table, or at its most frequent value where it is no number. Contributions do not add
    up to anything. One is null where the model has no answer to the changed instance.

    With `vary`, the probabilities of all classes with that feature at each of its values: of a
    number, through its training range.
    """
    values = await read_values(request, model)
    return await model.run(partial(explain, model, values, vary))
