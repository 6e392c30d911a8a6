from conftest import VERSION


def test_the_root_says_ok(empty_client):
    assert empty_client.get("/").json() == {"status": "ok"}


def test_liveness_needs_no_model(empty_client):
    assert empty_client.get("/health/live").status_code == 200


def test_readiness_without_a_model_says_what_to_do(empty_client):
    response = empty_client.get("/health/ready")

    assert response.status_code == 503
    assert "make train" in response.json()["detail"]


def test_readiness_names_the_live_version(client):
    assert client.get("/health/ready").json() == {"status": "ready", "model_version": VERSION}
