"""Answers with ONNX Runtime, in double precision."""

import os
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from engines.engine import Probabilities
from engines.preparation import Recipe
from schemas import EngineName

# Looked at when it is imported. Without it, Microsoft is told of the machine and the process.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
from onnxruntime import InferenceSession, SessionOptions

NEAR = 2e-6  # classes this close are left to the estimator itself


class OnnxGraph:
    """The classifier's graph, and the recipe for the rows it takes."""

    name: ClassVar[EngineName] = "onnx"

    def __init__(self, graph: bytes, recipe: Recipe) -> None:
        options = SessionOptions()
        # One row is too little for a second thread, and a batch has the estimator.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = InferenceSession(graph, options)
        self._graph = graph
        self._recipe = recipe
        self.detail = "ONNX Runtime in double precision"

    def __reduce__(self) -> tuple[Any, ...]:
        return OnnxGraph, (self._graph, self._recipe)

    def predict_many(self, instances: Sequence[list[Any]]) -> list[Probabilities]:
        """Probabilities of each, or None where the estimator itself should be asked."""
        rows = [self._recipe.follow(values) for values in instances]
        known = [row for row in rows if row is not None]
        if not known:
            return [None] * len(rows)
        [probabilities] = self._session.run(["probabilities"], {"X": np.array(known)})
        ordered = np.sort(probabilities, axis=1)
        is_clear = ordered[:, -1] - ordered[:, -2] > NEAR  # nor is nan above anything
        answers = iter(zip(probabilities.tolist(), is_clear.tolist(), strict=True))
        found = (None if row is None else next(answers) for row in rows)
        return [it[0] if it and it[1] else None for it in found]


def compile_onnx(classifier: Any, recipe: Recipe) -> OnnxGraph:
    """Raises whatever the converter does."""
    from skl2onnx import to_onnx  # noqa: PLC0415  a second of imports that only this needs
    from skl2onnx.common.data_types import DoubleTensorType  # noqa: PLC0415

    model = to_onnx(
        classifier,
        initial_types=[("X", DoubleTensorType([None, len(recipe.start)]))],
        options={"zipmap": False},
    )
    return OnnxGraph(model.SerializeToString(), recipe)
