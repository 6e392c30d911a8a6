import json

import numpy as np
import pytest
from conftest import SETOSA
from mixed import INSTANCE, ask, fit_mixed
from open_protocol import ROWS

URL = "/v1/models/iris:predict"


def test_rows_and_objects_are_answered_with_their_labels(client):
    response = client.post(URL, json={"instances": [*ROWS, SETOSA]})

    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"predictions": ["setosa", "virginica", "setosa"]}


def test_values_of_every_type_are_taken_as_predict_takes_them(mixed_client):
    partial = {name: INSTANCE[name] for name in ("mass", "tagged", "sex")}

    response = mixed_client.post(URL, json={"instances": [list(INSTANCE.values()), partial]})

    asked = (INSTANCE, INSTANCE | dict.fromkeys(["age", "member", "island"]))
    expected = [np.argmax(ask(fit_mixed(), it)) for it in asked]
    assert response.json() == {"predictions": [["no", "yes"][it] for it in expected]}


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("{", 400, "Invalid JSON"),
        ("[]", 422, "The body: Input should be an object."),
        ("{}", 422, "instances: Field required."),
        ('{"instances": []}', 422, "instances: List should have at least 1 item"),
        ('{"instances": [[1, 2, 3, 4], [1]]}', 422, "Instance 1, counted from 0, has 1 values"),
        ('{"instances": [[1, 2, 3, "4"]]}', 422, "from 0: petal_width must be a number."),
        ('{"instances": [[1, 2, 3, null]]}', 422, "from 0: petal_width must be a number."),
        ('{"instances": [[1, 2, 3, NaN]]}', 422, "from 0: petal_width must be a finite number."),
        ('{"instances": [[1, 2, 3, 1e400]]}', 422, "petal_width must be a finite number."),
        ('{"instances": [{"x": 1}]}', 422, "sepal_length is missing."),
        (json.dumps({"instances": [0] * 1000}), 422, "instances.0"),
        ('{"instances": [[1e308, 1e308, 1e308, 1e308]]}', 422, "see row 0, counted from 0."),
    ],
)
def test_instances_that_do_not_fit_are_told_why(client, body, status, message):
    response = client.post(URL, content=body)

    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert message in response.json()["error"]
    assert "instances.1" not in response.json()["error"]  # the first is told alone


def test_a_model_is_ready_by_its_name_and_another_is_unknown(client):
    assert client.get("/v1/models/iris").json() == {"name": "iris", "ready": True}
    for path in ("/v1/models/rose", "/v1/models/iris:explain"):
        response = client.get(path)
        assert response.status_code == 404
        assert "is of the model iris." in response.json()["error"]
    assert client.put(URL).headers["allow"] == "POST"


def test_what_v1_answers_is_counted(live_client):
    live_client.post(URL, json={"instances": ROWS})
    live_client.post(URL, content="{")

    [counted] = live_client.get("/v2/models/stats").json()["model_stats"]
    assert counted["inference_count"] == 2
    assert counted["inference_stats"]["fail"]["count"] == 1
