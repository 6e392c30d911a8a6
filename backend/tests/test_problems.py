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


def test_a_fault_of_ours_is_a_problem_document_without_its_details(client):
    client.app.state.live._model._estimator = None

    response = client.post("/predict", json=SETOSA)

    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert "NoneType" not in response.text
