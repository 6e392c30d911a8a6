"""The whole stack behind the real Caddy, with certificates of its own making."""

import json
import subprocess
import tempfile

import pytest
import requests
import urllib3
from documentation import ROOT
from page import SETOSA, expect_answer, fill, press
from processes import (
    find_free_port,
    running_backend,
    running_frontend,
    running_mlflow,
    wait_until,
)
from servers import connect_to_caddy, find_caddy, running_caddy

CADDYFILE = ROOT / "deploy/caddy/Caddyfile"
DOMAIN = "iris.localhost"
CHUNKED = "Transfer-Encoding: chunked"
PASSWORD = "correct horse battery staple"
HASHED = (
    "$2a$04$Qe9VsjllubZwq2a1sPFgG.NwoXvkt/aptReHPd/ZwlDlZ5R5EeoR6"  # quicker than what Caddy makes
)
INSTANCE = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}


def ask_caddy(command, *arguments, **variables):
    with tempfile.TemporaryDirectory() as home:  # or it writes to the folder it is started in
        done = subprocess.run(
            [find_caddy(), command, *arguments],
            env={"HOME": home, **variables},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def services(published):
    """The addresses of the page, the API and MLflow, as Caddy is told them."""
    mlflow_settings = {
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"mlflow.{DOMAIN}:*,127.0.0.1:*",
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": f"https://mlflow.{DOMAIN}",
    }
    with (
        running_backend(published.models_dir, find_free_port()) as backend,
        running_frontend(backend) as frontend,
        running_mlflow(published.models_dir, published.runs_dir, **mlflow_settings) as mlflow,
    ):
        wait_until(lambda: requests.get(f"{backend}/health/ready", timeout=5).ok)
        urls = {"BACKEND": backend, "FRONTEND": frontend, "MLFLOW": mlflow}
        yield {f"{name}_UPSTREAM": url.removeprefix("http://") for name, url in urls.items()}


@pytest.fixture(scope="module")
def caddy(services, tmp_path_factory):
    settings = {"DOMAIN": DOMAIN, "MAX_UPLOAD": "1MB", "MLFLOW_PASSWORD_HASH": HASHED}
    with running_caddy(CADDYFILE, tmp_path_factory.mktemp("caddy"), **settings, **services) as it:
        yield it


def call(caddy, host, method, path, **options):
    """Over TLS, trusting Caddy's authority alone."""
    pool = urllib3.HTTPSConnectionPool(
        "127.0.0.1",
        caddy.https_port,
        ca_certs=caddy.authority,
        server_hostname=host,
        assert_hostname=host,
        retries=False,
        timeout=20,
    )
    headers = {"Host": f"{host}:{caddy.https_port}", **options.pop("headers", {})}
    return pool.request(method, path, headers=headers, **options)


def test_the_caddyfile_is_valid_and_formatted():
    ask_caddy("validate", "--config", CADDYFILE, "--adapter", "caddyfile")

    assert ask_caddy("fmt", CADDYFILE) == CADDYFILE.read_text()


def test_a_prediction_is_answered_over_tls(caddy):
    response = call(caddy, f"api.{DOMAIN}", "POST", "/predict", json=INSTANCE)

    assert response.status == 200
    assert response.json()["prediction_class"] == "setosa"


def test_plain_http_is_sent_to_https(caddy):
    url = f"http://127.0.0.1:{caddy.http_port}/docs"

    response = requests.get(url, headers={"Host": f"api.{DOMAIN}"}, allow_redirects=False)

    assert response.status_code == 308
    assert response.headers["location"] == f"https://api.{DOMAIN}/docs"


def test_the_page_works_over_its_websocket(caddy, open_tab):
    tab = open_tab(ignore_https_errors=True)

    tab.goto(f"https://{DOMAIN}:{caddy.https_port}")
    fill(tab, SETOSA)
    press(tab, "Predict")

    expect_answer(tab, "setosa")


def test_the_page_works_behind_a_password(services, tmp_path, open_tab):
    settings = {"DOMAIN": DOMAIN, "PAGE_PASSWORD_HASH": HASHED, **services}
    login = {"username": "iris", "password": PASSWORD}
    tab = open_tab(ignore_https_errors=True, http_credentials=login)

    with running_caddy(CADDYFILE, tmp_path, **settings) as caddy:
        assert call(caddy, DOMAIN, "GET", "/").status == 401
        assert call(caddy, DOMAIN, "GET", "/_stcore/stream").status == 401
        tab.goto(f"https://{DOMAIN}:{caddy.https_port}")
        fill(tab, SETOSA)
        press(tab, "Predict")
        expect_answer(tab, "setosa")


@pytest.mark.parametrize("name", ["", "api.", "mlflow."])
def test_every_answer_tells_browsers_to_be_careful(caddy, name):
    credentials = urllib3.make_headers(basic_auth=f"admin:{PASSWORD}")

    headers = call(caddy, f"{name}{DOMAIN}", "GET", "/", headers=credentials).headers

    assert headers["strict-transport-security"] == "max-age=31536000"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert "frame-ancestors" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "same-origin"
    assert "server" not in headers


def test_a_body_over_the_limit_is_refused(caddy):
    header, row = b",".join(map(str.encode, INSTANCE)), b"5.1,3.5,1.4,0.2"
    options = {"headers": {"Content-Type": "text/csv"}}

    few = b"\n".join([header, *[row] * 10_000])
    response = call(caddy, f"api.{DOMAIN}", "POST", "/predict/batch", body=few, **options)
    assert response.status == 200

    many = b"\n".join([header, *[row] * 66_000])
    response = call(caddy, f"api.{DOMAIN}", "POST", "/predict/batch", body=many, **options)
    assert response.status in (413, 502)  # Caddy 2.6 has one number for all that goes wrong


@pytest.mark.parametrize(
    ("patience", "rest"),
    [("read_header 10s", ""), ("read_body 300s", f"\r\n{CHUNKED}\r\n\r\n1\r\n{{\r\n")],
)
def test_a_sender_who_dawdles_is_not_waited_for(services, tmp_path, patience, rest):
    impatient = CADDYFILE.read_text().replace(patience, f"{patience.split()[0]} 1s")
    (tmp_path / "Caddyfile").write_text(impatient)
    head = f"POST /predict HTTP/1.1\r\nHost: api.{DOMAIN}\r\nContent-Type: application/json"

    with (
        running_caddy(tmp_path / "Caddyfile", tmp_path, DOMAIN=DOMAIN, **services) as caddy,
        connect_to_caddy(caddy, f"api.{DOMAIN}") as connection,
    ):
        connection.sendall((head + rest).encode())
        answer = connection.recv(4096)  # in vain after 20 seconds

    assert b"prediction" not in answer


def test_mlflow_asks_for_a_password(caddy):
    for path in ("/", "/health", "/api/2.0/mlflow/experiments/search"):
        response = call(caddy, f"mlflow.{DOMAIN}", "GET", path)

        assert response.status == 401
        assert response.headers["www-authenticate"].startswith("Basic")
        assert "strict-transport-security" in response.headers


def test_mlflow_works_for_who_has_the_password(caddy):
    headers = urllib3.make_headers(basic_auth=f"admin:{PASSWORD}")
    headers["Origin"] = f"https://mlflow.{DOMAIN}"  # as a browser says
    search, body = "/api/2.0/mlflow/experiments/search", {"max_results": 10}

    response = call(caddy, f"mlflow.{DOMAIN}", "POST", search, headers=headers, json=body)

    assert response.status == 200
    assert "iris" in [it["name"] for it in response.json()["experiments"]]


def test_without_a_password_mlflow_is_not_there(services, tmp_path):
    with running_caddy(CADDYFILE, tmp_path, DOMAIN=DOMAIN, **services) as caddy:
        response = call(caddy, f"mlflow.{DOMAIN}", "GET", "/")

    assert response.status == 404


def test_the_log_holds_no_key_and_no_input(services, tmp_path):
    headers = {"X-API-Key": "very-secret", "Authorization": "Bearer very-secret"}
    services = services | {"BACKEND_UPSTREAM": f"127.0.0.1:{find_free_port()}"}

    with running_caddy(CADDYFILE, tmp_path, DOMAIN=DOMAIN, **services) as caddy:
        path = "/predict?sepal_length=very-secret"
        response = call(caddy, f"api.{DOMAIN}", "GET", path, headers=headers)

    log = caddy.log.read_text()
    assert response.status == 502  # nobody is there, and that is logged with its request too
    assert "http.log.error" in log
    assert '"uri":"/predict"' in log
    assert "very-secret" not in log


def test_names_that_are_not_public_get_certificates_of_caddys_own():
    variables = {"DOMAIN": "iris.example", "CERTIFICATES": "local_certs"}

    adapted = ask_caddy("adapt", "--config", CADDYFILE, "--adapter", "caddyfile", **variables)

    [policy] = json.loads(adapted)["apps"]["tls"]["automation"]["policies"]
    assert policy == {"issuers": [{"module": "internal"}]}
