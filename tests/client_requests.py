"""What both clients of the Open Inference Protocol ask, whichever way they make tensors."""

import itertools

import numpy as np

OUTPUTS = ("predict", "label", "predict_proba")
BOOLEANS = (False, True)
KINDS = {str: object, bool: bool, float: float, int: float}


def make_inputs(make_input, case, names, whole, binary):
    """One tensor of all rows, or one for each feature."""
    array = np.array(case["rows"], dtype=case["dtype"])
    if whole:
        return [make_input("anything", array, binary)]
    columns = zip(names, array.T, strict=True)
    return [make_input(name, column.reshape(-1, 1), binary) for name, column in columns]


def list_examples(make_input, mixed):
    """Examples with their tensors of numbers, booleans and text; what is missing is not sent."""
    for example, binary in itertools.product(mixed["examples"], BOOLEANS):
        sent = {name: it for name, it in example["inputs"].items() if it is not None}
        arrays = {name: np.array([it], dtype=KINDS[type(it)]) for name, it in sent.items()}
        yield example, [make_input(name, array, binary) for name, array in arrays.items()]


def expect(outputs, labels, probabilities):
    """`outputs` are arrays by name."""
    label = [it.decode() if isinstance(it, bytes) else it for it in outputs["label"]]
    assert label == labels
    assert outputs["predict"].dtype == np.int64
    np.testing.assert_allclose(outputs["predict_proba"], probabilities, atol=1e-9)
