import json

import pytest
from conftest import SETOSA, VERSION, wait_until_live
from fastapi.testclient import TestClient

from ledger import Ledger
from logs import RequestLog
from settings import Settings
from shortcut import Shortcut


async def refuse(*_):
    raise AssertionError("the app was asked")


@pytest.fixture
def shortcut(client):
    """The shortcut to the client's model, before an app that must not be asked."""
    ledger = Ledger(RequestLog(None, is_json=False), None)
    settings = Settings(max_body_bytes=1000)
    return TestClient(Shortcut(refuse, client.app.live, ledger, settings))


def without_id(response):
    return {**response.json(), "prediction_id": "", "request_id": ""}


def test_a_plain_prediction_does_not_pass_through_the_app(shortcut):
    response = shortcut.post("/predict", json=SETOSA)

    assert response.status_code == 200
    assert response.json()["prediction_class"] == "setosa"


def ask_both(client, body):
    """The answer of the shortcut and that of the app, which takes longer."""
    types = ("application/json", "application/json; charset=utf-8")
    return [client.post("/predict", content=body, headers={"Content-Type": it}) for it in types]


def test_the_shortcut_answers_as_the_app_does(client):
    short, long = ask_both(client, json.dumps(SETOSA | {"petal_width": 99}))

    assert without_id(short) == without_id(long)
    assert short.json()["warnings"][0]["feature"] == "petal_width"
    own = {"x-request-id": ""}
    assert {**short.headers} | own == {**long.headers} | own


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"sepal_length": 1}',
        b'{"sepal_length": "1"}',
        json.dumps(SETOSA | {"more": 1}).encode(),
        json.dumps(dict.fromkeys(SETOSA, 1e308)).encode(),
        b" " * 100_000,
    ],
)
def test_a_failure_is_said_by_the_app(client, body):
    short, long = ask_both(client, body)

    assert short.status_code == long.status_code >= 400
    assert short.headers["content-type"] == "application/problem+json"
    assert without_id(short) == without_id(long)


def test_the_shortcut_keeps_to_the_limit_that_is_set(start_live):
    client = start_live(max_body_bytes=50)

    assert client.post("/predict", json=SETOSA).status_code == 413


def test_a_body_in_pieces_is_answered_too(client):
    body = json.dumps(SETOSA).encode()
    headers = {"Content-Type": "application/json"}

    response = client.post("/predict", content=iter([body[:10], body[10:]]), headers=headers)

    assert response.status_code == 200


def test_prediction_ids_are_told_apart(client):
    ids = {client.post("/predict", json=SETOSA).json()["prediction_id"] for _ in range(100)}

    assert len(ids) == 100
    assert all(len(it) == 32 for it in ids)


def count(client, line):
    lines = client.get("/metrics").text.splitlines()
    return sum(float(it.rpartition(" ")[2]) for it in lines if it.startswith(line))


def test_requests_are_counted_by_route_and_status_whichever_way_they_go(live_client):
    client = live_client
    predicted = 'http_requests_total{method="POST",route="/predict",status="%d"}'
    client.post("/predict", json=SETOSA)
    client.post("/predict", json=SETOSA, params={"version": VERSION})
    client.post("/predict", json={})

    assert count(client, predicted % 200) == 2
    assert count(client, predicted % 422) == 1
    assert count(client, 'http_request_duration_seconds_count{route="/predict"}') == 3


def test_what_strangers_ask_for_makes_no_time_series_of_its_own(client):
    for number in range(3):
        client.get(f"/nothing/{number}")
        client.request(f"ODD{number}", "/predict")
        client.get(f"/models/{number}")

    series = client.get("/metrics").text
    assert "nothing" not in series
    assert "ODD" not in series
    assert count(client, 'http_requests_total{method="GET",route="/models/{version}"') == 3
    assert count(client, 'http_requests_total{method="GET",route="none",status="404"}') == 3


def test_the_first_model_goes_live_behind_the_shortcut(empty_client, publish):
    assert empty_client.post("/predict", json=SETOSA).status_code == 503

    publish()
    wait_until_live(empty_client, VERSION)

    assert empty_client.post("/predict", json=SETOSA).status_code == 200
