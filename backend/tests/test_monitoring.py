from datetime import UTC, datetime

import journals
import pyarrow as pa
import pytest
from conftest import NAMES, SETOSA, VERSION, fit, fit_iris, wait_until_live
from formats import ARROW, CSV, JSON, PARQUET, write
from open_protocol import ROWS, describe_tensor, pack, pack_array
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

from instrumentation.instruments import BUCKETS, Instruments
from monitoring.reports import Report
from monitoring.snapshot import take_snapshot

OLDER = "2026_11_20_T00_00_00"
NEWER = "2026_11_21_T20_44_21"
TOO_LARGE = 1.7e308
PREDICTIONS = "model_predictions_total"
INFER = "/v2/models/iris/infer"
# One of the first class, two of the last.
TABLE = pa.table(dict(zip(NAMES, zip(*ROWS, ROWS[1], strict=True), strict=True)))


def by_class(client):
    return client.get("/monitoring").json()["predictions"]["by_class"]


def exposed(client):
    found = journals.exposed(client).items()
    return {name.split('"')[1]: value for name, value in found if name.startswith(PREDICTIONS)}


@pytest.fixture
def counted(client):
    """Says how many predictions of each class were counted since; Prometheus is told the same."""
    before = by_class(client)

    def count():
        found = client.get("/monitoring").json()["predictions"]
        assert found["by_class"] == exposed(client)
        assert found["count"] == sum(found["by_class"].values())
        return [value - before[name] for name, value in found["by_class"].items()]

    return count


def requests(client):
    return {asked["route"]: asked for asked in client.get("/monitoring").json()["requests"]}


def send_table(client, table, media_type, **params):
    headers = {"Content-Type": media_type}
    body = write(table, media_type)
    return client.post("/predict/batch", content=body, headers=headers, params=params)


def test_without_a_model_what_there_is_is_told(empty_client):
    before = datetime.now(UTC)

    snapshot = empty_client.get("/monitoring").json()

    names = ("model_version", "predictions", "drift", "accuracy")
    assert [snapshot[name] for name in names] == [None] * 4
    assert snapshot["since"].endswith("Z")
    assert (before - datetime.fromisoformat(snapshot["since"])).total_seconds() < 60
    assert exposed(empty_client) == {}
    found = requests(empty_client)["/predict"]
    assert (found["count"], found["by_status"]) == (0, {})
    assert found["latency_seconds"] == {"p50": None, "p90": None, "p99": None}


@pytest.mark.parametrize("params", [{}, {"version": VERSION}])
def test_single_predictions_are_counted_by_class(client, counted, params):
    for row in (*ROWS, ROWS[1]):
        client.post("/predict", json=dict(zip(NAMES, row, strict=True)), params=params)

    assert counted() == [1, 0, 2]


@pytest.mark.parametrize(
    "estimator", [KNeighborsClassifier(), RandomForestClassifier(), LinearSVC()], ids=str
)
def test_whatever_answers_a_model_is_counted(publish, start_live, estimator):
    publish(estimator=fit_iris(estimator))
    client = start_live()
    assert by_class(client) == {"setosa": 0, "versicolor": 0, "virginica": 0}

    client.post("/predict", json=SETOSA)

    assert by_class(client) == {"setosa": 1, "versicolor": 0, "virginica": 0}


@pytest.mark.parametrize("media_type", [ARROW, CSV, JSON, PARQUET])
def test_the_rows_of_a_table_are_counted_by_class(client, counted, media_type):
    times = 10_000 if media_type == ARROW else 1  # many chunks

    response = send_table(client, pa.concat_tables([TABLE] * times), media_type)

    assert response.status_code == 200
    assert counted() == [times, 0, 2 * times]


@pytest.mark.parametrize("path", [INFER, f"/v2/models/iris/versions/{VERSION}/infer"])
def test_the_rows_of_the_open_protocol_are_counted_by_class(client, counted, path):
    client.post(path, json={"inputs": [describe_tensor("rows", ROWS)]})
    body, headers = pack([pack_array(TABLE.to_pandas().to_numpy())])
    client.post(path, content=body, headers=headers)
    client.post("/v1/models/iris:predict", json={"instances": [*ROWS, SETOSA]})

    assert counted() == [4, 0, 4]


def test_what_is_answered_for_no_caller_or_not_at_all_is_not_counted(client, counted):
    unanswered = pa.table({name: [TOO_LARGE] for name in NAMES})
    rows = [*ROWS, [TOO_LARGE] * 4]
    request = {"inputs": [describe_tensor("rows", ROWS)], "outputs": [{"name": "unheard of"}]}

    client.post("/predict", json=dict.fromkeys(NAMES, TOO_LARGE))
    client.post(INFER, json={"inputs": [describe_tensor("rows", rows)]})
    client.post("/v1/models/iris:predict", json={"instances": rows})
    assert client.post(INFER, json=request).status_code == 422
    client.get("/openapi.json")
    client.post("/explain", json=SETOSA)
    assert counted() == [0, 0, 0]

    send_table(client, pa.concat_tables([TABLE, unanswered]), ARROW)
    assert counted() == [1, 0, 2]


def test_rows_of_a_table_that_are_no_data_are_not_counted(client, counted):
    body = write(TABLE, CSV) + b"\nTotal: 3,,,\n"

    response = client.post("/predict/batch", content=body, headers={"Content-Type": CSV})

    assert response.text.count("\n") == 1 + TABLE.num_rows + 1
    assert counted() == [1, 0, 2]


def test_models_that_are_new_or_asked_by_name_begin_at_nothing(live_client, publish, tmp_path):
    publish(OLDER, fit(C=0.1))
    inputs = [describe_tensor("rows", ROWS)]
    responses = [
        live_client.post("/predict", json=SETOSA, params={"version": OLDER}),
        send_table(live_client, TABLE, ARROW, version=OLDER),
        live_client.post(f"/v2/models/iris/versions/{OLDER}/infer", json={"inputs": inputs}),
    ]
    assert [response.status_code for response in responses] == [200, 200, 200]
    assert set(by_class(live_client).values()) == {0}

    live_client.post("/predict", json=SETOSA)
    (tmp_path / f"model_{VERSION}.pkl").unlink()
    wait_until_live(live_client, OLDER)
    assert set(by_class(live_client).values()) == {0}

    live_client.post("/predict", json=SETOSA)
    iris = load_iris()
    labels = iris.target_names[iris.target]
    publish(NEWER, RandomForestClassifier(3).fit(iris.data[50:], labels[50:]))
    wait_until_live(live_client, NEWER)
    assert live_client.get("/monitoring").json()["model_version"] == NEWER
    assert by_class(live_client) == exposed(live_client) == {"versicolor": 0, "virginica": 0}


def test_requests_are_counted_by_route_and_status_whichever_way_they_go(live_client):
    client = live_client
    client.post("/predict", json=SETOSA)
    client.post("/predict", json=SETOSA, params={"version": VERSION})
    client.post("/predict", json={})
    client.get("/predict")
    client.get("/nothing")

    found = requests(client)

    assert found["/predict"]["count"] == 4
    assert found["/predict"]["by_status"] == {"200": 2, "405": 1, "422": 1}
    assert found["none"]["by_status"] == {"404": 1}
    assert found["/predict"]["latency_seconds"]["p99"] > 0
    told = journals.exposed(client)
    predicted = 'http_requests_total{method="POST",route="/predict",status="%d"}'
    assert (told[predicted % 200], told[predicted % 422]) == (2, 1)
    assert told['http_request_duration_seconds_count{route="/predict"}'] == 4


def snapshot_of(*answered):
    """Requests of each route and duration, as a snapshot tells of them."""
    instruments = Instruments()
    for route, seconds, count in answered:
        for _ in range(count):
            instruments.count(("GET", route, 200, seconds, "", 0))
    return take_snapshot(instruments, None, Report()).requests


def test_the_route_that_is_asked_most_comes_first():
    shown = snapshot_of(("/b", 0.001, 1), ("/a", 0.001, 1), ("/c", 0.001, 3))

    counts = [(asked.route, asked.count) for asked in shown]
    assert counts == [("/c", 3), ("/a", 1), ("/b", 1), ("/predict", 0)]


def test_latencies_are_estimated_within_the_buckets_they_fall_into():
    durations = ((0.00005, 40), (0.0002, 40), (0.04, 15), (60, 5))

    [found, _] = snapshot_of(*(("/a", *one) for one in durations))

    # The 50th is the 10th of 40 between 0.1 and 0.25 ms, the 90th the 10th of 15 up to 50 ms.
    assert found.latency_seconds.p50 == pytest.approx(0.0001 + 0.00015 * 10 / 40)
    assert found.latency_seconds.p90 == pytest.approx(0.025 + 0.025 * 10 / 15)
    assert found.latency_seconds.p99 == max(BUCKETS)
