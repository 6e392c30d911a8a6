import pytest
from conftest import SETOSA, VERSION

INSTANCES = {"instances": [SETOSA]}


def test_without_a_model_it_lives_and_readiness_says_what_to_do(empty_client):
    assert empty_client.get("/").json() == {"status": "ok"}
    assert empty_client.get("/health/live").status_code == 200
    assert empty_client.get("/v2/health/live").json() == {"live": True}
    ready = empty_client.get("/health/ready")
    assert ready.status_code == 503
    assert "make train" in ready.json()["detail"]


def test_readiness_names_the_live_version(client):
    assert client.get("/health/ready").json() == {"status": "ready", "model_version": VERSION}


ASKED = [(path, SETOSA) for path in ("/predict", "/explain")]
ASKED += [(path, INSTANCES) for path in ("/predict/batch", "/v1/models/iris:predict")]
ASKED += [("/v1/models/iris", None), ("/v2/health/ready", None)]
ASKED += [("/v2/models/iris/ready", None), ("/v2/models/iris", None)]


@pytest.mark.parametrize(("path", "body"), ASKED)
def test_without_a_model_it_is_said_that_none_is_published(empty_client, path, body):
    response = empty_client.request("POST" if body else "GET", path, json=body)

    assert response.status_code == 503
    assert response.headers["retry-after"] == "2"
    kind = "application/json" if path.startswith("/v") else "application/problem+json"
    assert response.headers["content-type"] == kind
    said = response.json()
    assert said.get("error", said.get("detail")).startswith("No model is published yet.")
    assert said.get("title", "No model published") == "No model published"
