import io
import json

import pytest
from conftest import SETOSA, VERSION, wait_until_live
from fastapi.testclient import TestClient
from journals import exposed

from instrumentation.instruments import Instruments
from instrumentation.logs import RequestLog
from journal.ledger import Ledger
from settings import Settings
from web.entrance import Entrance
from web.security import Gate


async def refuse(*_):
    raise AssertionError("the app was asked")


@pytest.fixture
def entrance(client):
    """The entrance to the client's model, before an app that must not be asked."""
    ledger = Ledger(RequestLog(None, is_json=False), None)
    return TestClient(Entrance(refuse, Gate(Settings()), client.app.live, Instruments(), ledger))


def without_id(response):
    return {**response.json(), "prediction_id": "", "request_id": ""}


def test_a_plain_prediction_does_not_pass_through_the_app(entrance):
    assert entrance.post("/predict", json=SETOSA).json()["prediction_class"] == "setosa"


def ask_both(client, body):
    """The answer of the entrance and that of the app, which takes longer."""
    types = ("application/json", "application/json; charset=utf-8")
    return [client.post("/predict", content=body, headers={"Content-Type": it}) for it in types]


def test_the_entrance_answers_as_the_app_does(client):
    short, long = ask_both(client, json.dumps(SETOSA | {"petal_width": 99}))

    assert without_id(short) == without_id(long)
    assert short.json()["warnings"][0]["feature"] == "petal_width"
    own = {"x-request-id": ""}
    assert {**short.headers} | own == {**long.headers} | own


OTHERS = [SETOSA | {"more": 1}, dict.fromkeys(SETOSA, 1e308), {"sepal_length": "1"}]


def test_what_is_answered_at_the_very_end_is_logged_too():
    lines = io.StringIO()
    ledger = Ledger(RequestLog(lines, is_json=False), None)

    ledger.close()
    ledger.log(("POST", "/predict/batch", 500, 1.0, "late", 0.0))

    assert "request_id=late" in lines.getvalue()


def test_a_place_is_taken_when_the_body_has_come(entrance):
    gate = entrance.app.gate

    def body():
        gate.admitted += 1000  # others came in while this one was sent
        yield json.dumps(SETOSA).encode()

    with pytest.raises(AssertionError, match="the app was asked"):
        entrance.post("/predict", content=body(), headers={"Content-Type": "application/json"})


def test_connections_count_for_the_app_that_they_reach(client):
    assert client.app_state["instruments"] is client.app.instruments


FAILING = [b"", b"{", b"[]", b'{"sepal_length": 1}', b" " * 100_000]


@pytest.mark.parametrize("body", FAILING + [json.dumps(it).encode() for it in OTHERS])
def test_a_failure_is_said_by_the_app(client, body):
    short, long = ask_both(client, body)

    assert short.status_code == long.status_code >= 400
    assert short.headers["content-type"] == "application/problem+json"
    assert without_id(short) == without_id(long)


def test_a_body_in_pieces_is_answered_too_and_every_answer_has_an_id_of_its_own(client):
    body = json.dumps(SETOSA).encode()
    headers = {"Content-Type": "application/json"}
    sent = (iter([body[:10], body[10:]]) for _ in range(100))

    answers = [client.post("/predict", content=it, headers=headers).json() for it in sent]

    ids = {it["prediction_id"] for it in answers}
    assert len(ids) == 100
    assert all(len(it) == 32 for it in ids)


def test_what_strangers_ask_for_makes_no_time_series_of_its_own(client):
    for number in range(3):
        client.get(f"/nothing/{number}")
        client.request(f"ODD{number}", "/predict")
        client.get(f"/models/{number}")
        client.get(f"/v2/models/{number}/ready")

    series = exposed(client)
    assert not [name for name in series if "nothing" in name or "ODD" in name]
    for route in ("/models/{version}", "/v2/models/{name}/ready", "none"):
        assert series[f'http_requests_total{{method="GET",route="{route}",status="404"}}'] == 3


def test_the_first_model_goes_live_behind_the_entrance(empty_client, publish):
    assert empty_client.post("/predict", json=SETOSA).status_code == 503

    publish()
    wait_until_live(empty_client, VERSION)

    assert empty_client.post("/predict", json=SETOSA).status_code == 200
