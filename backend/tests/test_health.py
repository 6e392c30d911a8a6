from conftest import VERSION


def test_without_a_model_it_lives_and_readiness_says_what_to_do(empty_client):
    ready = empty_client.get("/health/ready")

    assert empty_client.get("/").json() == {"status": "ok"}
    assert empty_client.get("/health/live").status_code == 200
    assert ready.status_code == 503
    assert "make train" in ready.json()["detail"]


def test_readiness_names_the_live_version(client):
    assert client.get("/health/ready").json() == {"status": "ready", "model_version": VERSION}
