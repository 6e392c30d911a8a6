import pytest
from fastapi.testclient import TestClient

from main import create_app
from settings import Settings


@pytest.fixture
def small_client(tmp_path):
    settings = Settings(models_dir=tmp_path, max_body_bytes=1000)
    with TestClient(create_app(settings)) as client:
        yield client


def chunks():
    for _ in range(100):
        yield b" " * 100


@pytest.mark.parametrize("body", [b" " * 10_000, chunks()], ids=["whole", "chunked"])
def test_a_body_above_the_limit_answers_413(small_client, body):
    response = small_client.post(
        "/predict", content=body, headers={"Content-Type": "application/json"}
    )

    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"
    assert "larger than 1000 bytes" in response.json()["detail"]
