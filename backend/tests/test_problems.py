from conftest import SETOSA


def test_an_unknown_path_says_where_the_routes_are_and_a_wrong_method_which_is_right(client):
    for path in ("/predictions", "/v22", "/v3/models"):
        response = client.get(path)

        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"
        assert "/docs" in response.json()["detail"]
    response = client.get("/predict")
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert response.json()["detail"] == "/predict does not answer GET. Use POST."


def test_a_fault_of_ours_is_told_without_its_details(live_client, monkeypatch):
    model = live_client.app.live.model()
    monkeypatch.setattr(model, "describe", None)
    monkeypatch.setattr(model, "answer_at_once", None)

    failed = live_client.post("/predict", json=SETOSA)
    open_protocol = live_client.post("/v1/models/iris:predict", json={"instances": [[1, 2, 3, 4]]})

    assert failed.headers["content-type"] == "application/problem+json"
    assert open_protocol.headers["content-type"] == "application/json"
    for response in (failed, open_protocol):
        assert response.status_code == 500
        assert "NoneType" not in response.text


def test_failures_of_the_open_protocol_are_what_it_says(client):
    unknown = ("/v2/models/rose", "/v2/models/iris/versions/2001_01_01_T00_00_00", "/v1/nothing")
    for method, path, status in (
        *(("GET", it, 404) for it in ("/v2/nothing", *unknown)),
        ("DELETE", "/v2", 405),
        ("GET", "/v2/models/iris/infer", 405),
        ("POST", "/v2/models/iris/infer", 400),
    ):
        response = client.request(method, path)

        assert response.status_code == status
        assert response.headers["content-type"] == "application/json"
        assert list(response.json()) == ["error"]
        assert ("allow" in response.headers) == (status == 405)
