import asyncio

import pytest
from conftest import DESCRIBED, SETOSA, journal_in
from fastapi.testclient import TestClient

from settings import Settings
from web.security import OPEN, Gate, Guarded

KEYS = "first-key, second-key"
GET = "/feedback /models /models/live /monitoring /metrics /v2 /v2/models/iris /nothing"
POST = "/predict /predict/batch /predict/batch/preview /explain /feedback "
POST += "/v2/models/iris/infer /v1/models/iris:predict"
ASKED = [("GET", it) for it in GET.split()] + [("POST", it) for it in POST.split()]


@pytest.fixture(scope="module")
def locked(share_app):
    """A client of an app with keys, which sends none."""
    return share_app(DESCRIBED, lambda folder: journal_in(folder) | {"api_key": KEYS})


WRONG = ["", "first-ke", "first-key, second-key", "first-key\u00e9".encode("latin-1")]
WRONG_BEARERS = ["Bearer ", "Bearer wrong", "Basic first-key", "first-key"]


@pytest.mark.parametrize(
    "headers",
    [{}, *({"X-API-Key": it} for it in WRONG), *({"Authorization": it} for it in WRONG_BEARERS)],
)
def test_without_a_right_key_nothing_is_answered(locked, headers):
    for method, path in ASKED:
        response = locked.request(method, path, json=SETOSA, headers=headers)

        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        said = response.json()
        assert said.get("error", said.get("detail")).startswith("Send a key")
        assert ("error" in said) == path.startswith(("/v1", "/v2"))


def test_each_key_lets_in(locked):
    for header, value in (
        ("X-API-Key", "first-key"),
        ("X-API-Key", "second-key"),
        ("Authorization", "Bearer second-key"),
        ("Authorization", "bearer first-key"),
    ):
        for method, path in (("POST", "/predict"), ("GET", "/models")):
            response = locked.request(method, path, json=SETOSA, headers={header: value})
            assert response.status_code == 200


def test_greeting_health_and_docs_need_no_key(locked):
    for path in OPEN | {"/static-offline-docs/swagger-ui.css"}:
        assert locked.get(path).status_code == 200, path


def test_a_key_is_asked_for_and_documented_only_where_there_are_keys(locked, client):
    document = locked.get("/openapi.json").json()

    assert document["security"] == [{"key": []}, {"bearer": []}]
    assert document["components"]["securitySchemes"]["key"]["name"] == "X-API-Key"
    assert "security" not in client.get("/openapi.json").json()
    for headers in ({}, {"X-API-Key": "x"}):
        assert client.post("/predict", json=SETOSA, headers=headers).status_code == 200


def test_settings_hold_keys_and_never_tell_them_or_databases():
    shown = repr(Settings(api_key="geheim", journal_url="postgresql://iris:geheim@db/journal"))

    assert "geheim" not in shown
    with pytest.raises(ValueError, match="API_KEY holds no key"):
        Settings(api_key=" , ")


@pytest.mark.parametrize("path", ["/v1/models/iris:predict", "/v2/models/iris/infer", "/predict"])
def test_a_page_of_another_origin_may_not_ask_over_plain_http_either(client, path):
    evil = "https://evil.example"
    for headers in (
        {"Origin": "http://page.example"},  # there browsers send no Sec-Fetch-Site
        {"Origin": "http://testserver:81"},
        {"Origin": "null"},
        {"Origin": evil, "Sec-Fetch-Site": "cross-site"},
        {"Origin": evil, "Sec-Fetch-Site": "same-site"},
    ):
        response = client.post(path, content=b"{}", headers=headers)

        assert response.status_code == 403
        assert "access-control-allow-origin" not in response.headers
    own = {"Origin": "http://testserver"}
    assert client.post("/predict", json=SETOSA, headers=own).status_code == 200


def test_the_origins_that_are_set_may_ask(start_live):
    client = start_live(cors_origins="https://page.example, https://other.example", api_key="key")
    page = {"Origin": "https://page.example"}
    asking = {"Access-Control-Request-Method": "POST"}
    asking["Access-Control-Request-Headers"] = "content-type,x-api-key"
    asked = {"X-API-Key": "key", "Sec-Fetch-Site": "cross-site"}

    preflight = client.options("/predict", headers=page | asking)
    response = client.post("/predict", json=SETOSA, headers=page | asked)
    stranger = client.post("/predict", json=SETOSA, headers=asked | {"Origin": "https://x.example"})

    for it in (preflight, response):
        assert it.status_code == 200
        assert it.headers["access-control-allow-origin"] == "https://page.example"
    assert "access-control-allow-origin" not in stranger.headers


def test_no_browser_renders_guesses_or_keeps_an_answer_but_the_docs(client):
    for path in ("/", "/models", "/metrics", "/v2", "/nothing"):
        headers = client.get(path).headers

        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["cache-control"] == "no-store"
    policy = client.get("/docs").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy


def test_a_request_that_takes_too_long_answers_503():
    async def wait_for_ever(*_):
        await asyncio.Event().wait()

    slow = TestClient(Guarded(wait_for_ever, Gate(Settings()), 0.05))

    response = slow.get("/models")

    assert response.status_code == 503
    assert response.headers["retry-after"] == "10"
    assert response.json()["title"] == "Request too slow"


def test_more_requests_at_once_than_allowed_answer_429(start_live):
    client = start_live(max_concurrent_requests=2)
    client.app.gate.admitted += 2
    try:
        for path in ("/predict", "/explain"):
            response = client.post(path, json=SETOSA)
            assert response.status_code == 429
            assert response.headers["retry-after"] == "1"
        for path in ("/health/ready", "/metrics", "/monitoring"):
            assert client.get(path).status_code == 200
    finally:
        client.app.gate.admitted -= 2

    assert client.post("/predict", json=SETOSA).status_code == 200


def test_who_has_no_key_takes_nobodys_place(start_live):
    client = start_live(max_concurrent_requests=1, api_key="secret")
    client.app.instruments.in_flight += 100  # of those who read slowly what all may read

    response = client.post("/predict", json=SETOSA, headers={"X-API-Key": "secret"})

    assert response.status_code == 200


def test_requests_that_are_done_are_not_in_flight(client):
    for path, instance in (("/predict", SETOSA), ("/predict", {}), ("/nothing", {})):
        client.post(path, json=instance)

    assert (client.app.instruments.in_flight, client.app.gate.admitted) == (0, 0)
