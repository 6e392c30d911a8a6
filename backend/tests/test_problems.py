import gzip

import pytest
from conftest import SETOSA


def test_an_unknown_path_says_where_the_routes_are(client):
    response = client.get("/predictions")

    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert "/docs" in response.json()["detail"]


def test_a_wrong_method_says_which_is_right(client):
    response = client.get("/predict")

    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert response.json()["detail"] == "/predict does not answer GET. Use POST."


def test_a_fault_of_ours_is_told_without_its_details(live_client, monkeypatch):
    model = live_client.app.live.model()
    monkeypatch.setattr(model, "describe", None)
    monkeypatch.setattr(model, "answer", None)

    failed = live_client.post("/predict", json=SETOSA)
    open_protocol = live_client.post("/v1/models/iris:predict", json={"instances": [[1, 2, 3, 4]]})

    assert failed.headers["content-type"] == "application/problem+json"
    assert open_protocol.headers["content-type"] == "application/json"
    for response in (failed, open_protocol):
        assert response.status_code == 500
        assert "NoneType" not in response.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/nothing", 404),
        ("GET", "/v2/models/rose", 404),
        ("GET", "/v2/models/iris/versions/2001_01_01_T00_00_00", 404),
        ("GET", "/v1/nothing", 404),
        ("DELETE", "/v2", 405),
        ("GET", "/v2/models/iris/infer", 405),
        ("POST", "/v2/models/iris/infer", 400),
    ],
)
def test_failures_of_the_open_protocol_are_what_it_says(client, method, path, status):
    response = client.request(method, path)

    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert list(response.json()) == ["error"]
    assert ("allow" in response.headers) == (status == 405)


def test_a_version_that_is_refused_is_a_failure_of_the_open_protocol(publish, live_client):
    publish("2001_01_01_T00_00_00", sha256="0" * 64)

    response = live_client.get("/v2/models/iris/versions/2001_01_01_T00_00_00")

    assert response.status_code == 409
    assert "is refused" in response.json()["error"]


def test_a_body_too_large_or_compressed_otherwise_is_a_failure_of_the_open_protocol(client):
    bomb = gzip.compress(bytes(17 * 1024**2))
    answers = [
        client.post("/v2/models/iris/infer", content=bomb, headers={"Content-Encoding": encoding})
        for encoding in ("gzip", "br")
    ]

    assert [it.status_code for it in answers] == [413, 415]
    assert all(it.headers["content-type"] == "application/json" for it in answers)
    assert answers[1].headers["accept-encoding"] == "gzip, deflate"
    assert "larger than the 16777216 bytes" in answers[0].json()["error"]


@pytest.mark.parametrize("path", ["/v22", "/v3/models"])
def test_other_paths_keep_problem_documents(client, path):
    assert client.get(path).headers["content-type"] == "application/problem+json"
