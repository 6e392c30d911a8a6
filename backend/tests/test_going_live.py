"""Models change while a real server answers on many connections."""

import http.client
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import requests
from conftest import SETOSA, VERSION, fit
from processes import find_free_port, running_backend, wait_until

CONNECTIONS = 32


@pytest.fixture
def server(publish, tmp_path):
    publish()
    port = find_free_port()
    with running_backend(tmp_path, port) as url:
        wait_until(lambda: requests.get(f"{url}/health/ready").ok)
        yield port


def ask_until(stop, port):
    """Every answer on one connection, as status, version and first probability."""
    headers = {"Content-Type": "application/json"}
    answers = []
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        while not stop.is_set():
            connection.request("POST", "/predict", json.dumps(SETOSA), headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
            first = answer.get("probabilities", {}).get("setosa")
            answers.append((response.status, answer.get("model_version"), first))
    return answers


def live_version(port):
    return requests.get(f"http://127.0.0.1:{port}/health/ready").json()["model_version"]


@pytest.mark.parametrize("publishes", [20, pytest.param(50, marks=pytest.mark.soak)])
def test_publishes_under_load_lose_no_request_and_mix_no_models(server, publish, publishes):
    models = {f"2026_11_22_T00_00_{n:02}": fit(C=1.5**-n) for n in range(publishes)}
    row = [list(SETOSA.values())]
    expected = {name: model.predict_proba(row)[0][0] for name, model in models.items()}
    expected[VERSION] = fit().predict_proba(row)[0][0]
    stop = threading.Event()

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        asking = [pool.submit(ask_until, stop, server) for _ in range(CONNECTIONS)]
        for name, model in models.items():
            publish(name, model)
            if name.endswith(("0", "5")):  # the others follow each other as fast as files can
                wait_until(lambda name=name: live_version(server) >= name)
        wait_until(lambda: live_version(server) == max(models))
        stop.set()
        answers = [answer for connection in asking for answer in connection.result()]

    assert {status for status, _, _ in answers} == {200}
    assert len({version for _, version, _ in answers}) > 4
    for _, version, probability in answers:
        assert probability == pytest.approx(expected[version], abs=1e-9)


def test_a_client_that_leaves_in_the_middle_leaves_no_traceback(server, capfd):
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server)) as it:
            it.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
            it.sendall(b"Content-Length: 100\r\n\r\n{")
    assert requests.post(f"http://127.0.0.1:{server}/predict", json=SETOSA).ok

    assert "Traceback" not in capfd.readouterr().err
