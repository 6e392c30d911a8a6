"""The whole stack behind the real Caddy, with certificates of its own making."""

import json
from contextlib import ExitStack

import pytest
import requests
import urllib3
from documentation import ROOT, find_all
from page import SETOSA, expect_answer, fill, press
from processes import INSTANCE, find_free_port, running_frontend, running_mlflow, wait_until
from servers import connect_to_caddy, find, running_caddy
from shell import read

CADDYFILE = ROOT / "deploy/caddy/Caddyfile"
DOMAIN = "iris.localhost"
PASSWORD = "correct horse battery staple"
# Quicker than what Caddy makes.
HASHED = "$2a$04$Qe9VsjllubZwq2a1sPFgG.NwoXvkt/aptReHPd/ZwlDlZ5R5EeoR6"
ADMIN = urllib3.make_headers(basic_auth=f"admin:{PASSWORD}")


def ask_caddy(home, *arguments, **variables):
    return read(find("caddy"), *arguments, HOME=home, XDG_CONFIG_HOME=home, **variables)


@pytest.fixture(scope="module")
def services(published, served):
    """The addresses of the page, the API and MLflow, as Caddy is told them."""
    mlflow_settings = {
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"mlflow.{DOMAIN}:*,127.0.0.1:*",
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": f"https://mlflow.{DOMAIN}",
    }
    with (
        running_frontend(served) as frontend,
        running_mlflow(published.models_dir, published.runs_dir, **mlflow_settings) as mlflow,
    ):
        urls = {"BACKEND": served, "FRONTEND": frontend, "MLFLOW": mlflow}
        yield {f"{name}_UPSTREAM": url.removeprefix("http://") for name, url in urls.items()}


@pytest.fixture(scope="module")
def start(services, tmp_path_factory):
    """Starts a Caddy in front of the services, for the tests of this module."""
    with ExitStack() as stack:

        def start(caddyfile=CADDYFILE, **settings):
            folder = tmp_path_factory.mktemp("caddy")
            settings = {"DOMAIN": DOMAIN, **services, **settings}
            return stack.enter_context(running_caddy(caddyfile, folder, **settings))

        yield start


@pytest.fixture(scope="module")
def caddy(start):
    """One whose page is open and whose MLflow has a password."""
    return start(MAX_UPLOAD="1MB", MLFLOW_PASSWORD_HASH=HASHED)


@pytest.fixture(scope="module")
def closed(start):
    """One whose page has a password, whose MLflow has none, and whose API is not there."""
    nowhere = f"127.0.0.1:{find_free_port()}"
    return start(PAGE_PASSWORD_HASH=HASHED, BACKEND_UPSTREAM=nowhere)


def call(caddy, host, method, path, **options):
    """Over TLS, trusting Caddy's authority alone."""
    trusted = {"ca_certs": caddy.authority, "server_hostname": host, "assert_hostname": host}
    url = f"https://127.0.0.1:{caddy.https_port}{path}"
    headers = {"Host": f"{host}:{caddy.https_port}", **options.pop("headers", {})}
    with urllib3.PoolManager(**trusted, retries=False, timeout=60) as pool:
        return pool.request(method, url, headers=headers, **options)


def test_the_caddyfile_is_formatted_and_gives_names_certificates_of_caddys_own(tmp_path):
    variables = {"DOMAIN": "iris.example", "CERTIFICATES": "local_certs"}
    options = ("--config", CADDYFILE, "--adapter", "caddyfile")

    ask_caddy(tmp_path, "validate", *options)
    adapted = json.loads(ask_caddy(tmp_path, "adapt", *options, **variables))

    assert ask_caddy(tmp_path, "fmt", CADDYFILE) == CADDYFILE.read_text()
    assert find_all(adapted, "policies") == [{"issuers": [{"module": "internal"}]}]


def test_a_prediction_is_answered_over_tls_to_which_plain_http_is_sent(caddy):
    host = f"api.{DOMAIN}"
    url = f"http://127.0.0.1:{caddy.http_port}/docs"

    answer = call(caddy, host, "POST", "/predict", json=INSTANCE)
    plain = requests.get(url, headers={"Host": host}, allow_redirects=False)

    assert (answer.status, answer.json()["prediction_class"]) == (200, "setosa")
    assert (plain.status_code, plain.headers["location"]) == (308, f"https://{host}/docs")


def test_the_page_works_over_its_websocket_behind_a_password(closed, open_tab):
    login = {"username": "iris", "password": PASSWORD}
    tab = open_tab(ignore_https_errors=True, http_credentials=login)

    for path in ("/", "/_stcore/stream"):
        assert call(closed, DOMAIN, "GET", path).status == 401
    tab.goto(f"https://{DOMAIN}:{closed.https_port}")
    fill(tab, SETOSA)
    press(tab, "Predict")

    expect_answer(tab, "setosa")


@pytest.mark.parametrize("name", ["", "api.", "mlflow."])
def test_every_answer_tells_browsers_to_be_careful(caddy, name):
    answer = call(caddy, f"{name}{DOMAIN}", "GET", "/", headers=ADMIN)

    assert answer.status == 200
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert "frame-ancestors" in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "server" not in answer.headers


def test_a_body_over_the_limit_is_refused(caddy):
    header, row = b",".join(map(str.encode, INSTANCE)), b"5.1,3.5,1.4,0.2"
    csv = {"Content-Type": "text/csv"}

    # Caddy 2.6 has one number for all that goes wrong.
    for rows, statuses in ((10_000, [200]), (66_000, [413, 502])):
        body = b"\n".join([header, *[row] * rows])
        answer = call(caddy, f"api.{DOMAIN}", "POST", "/predict/batch", body=body, headers=csv)
        assert answer.status in statuses


def test_a_sender_who_dawdles_is_not_waited_for(start, tmp_path):
    text = CADDYFILE.read_text()
    for patience in ("read_header 10s", "read_body 300s"):
        assert patience in text
        text = text.replace(patience, f"{patience.split()[0]} 2s")
    (tmp_path / "Caddyfile").write_text(text)
    head = f"POST /predict HTTP/1.1\r\nHost: api.{DOMAIN}\r\nContent-Type: application/json"
    caddy = start(tmp_path / "Caddyfile")

    for rest in ("", "\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"):
        with connect_to_caddy(caddy, f"api.{DOMAIN}") as connection:
            connection.sendall((head + rest).encode())
            assert b"prediction" not in connection.recv(4096)  # in vain after 20 seconds


def test_mlflow_asks_for_a_password_and_is_not_there_without_one(caddy, closed):
    for path in ("/", "/health", "/api/2.0/mlflow/experiments/search"):
        response = call(caddy, f"mlflow.{DOMAIN}", "GET", path)

        assert response.status == 401
        assert response.headers["www-authenticate"].startswith("Basic")
        assert "strict-transport-security" in response.headers

    headers = {**ADMIN, "Origin": f"https://mlflow.{DOMAIN}"}  # as a browser says
    body = {"max_results": 10}
    response = call(caddy, f"mlflow.{DOMAIN}", "POST", path, headers=headers, json=body)
    assert response.status == 200
    assert "iris" in [it["name"] for it in response.json()["experiments"]]
    assert call(closed, f"mlflow.{DOMAIN}", "GET", "/").status == 404  # it has no password


def test_the_log_holds_no_key_and_no_input(closed):
    headers = {"X-API-Key": "very-secret", "Authorization": "Bearer very-secret"}
    path = "/predict?sepal_length=very-secret"

    response = call(closed, f"api.{DOMAIN}", "GET", path, headers=headers)

    assert response.status == 502  # nobody is there, and that is logged with its request too
    wait_until(lambda: closed.log.read_text().count('"uri":"/predict"') == 2)
    assert "http.log.error" in closed.log.read_text()
    assert "very-secret" not in closed.log.read_text()
