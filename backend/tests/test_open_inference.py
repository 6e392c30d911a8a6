import gzip
import json
import struct
import threading
import zlib

import numpy as np
import pytest
from conftest import MIXED, NAMES, SETOSA, VERSION, drop, fit, fit_iris
from mixed import INSTANCE, ask, fit_mixed
from open_protocol import DATATYPES, ROWS, describe_tensor, pack, pack_array, pack_texts, unpack
from sklearn.svm import LinearSVC

from batch import queue
from open_inference import responder
from routes import open_inference

URL = "/v2/models/iris/infer"
V1 = "/v1/models/iris:predict"
LABELS = ["setosa", "virginica"]
OLDER = "2025_11_21_T20_44_20"


def infer(client, *inputs, url=URL, **request):
    return client.post(url, json={"inputs": list(inputs)} | request)


def expect(rows, **params):
    """The estimator's own probabilities."""
    return pytest.approx(fit(**params).predict_proba(rows).ravel().tolist(), abs=1e-9)


def columns_of(instance):
    """A tensor for each feature, of one row."""
    kinds = {str: str, bool: "?", float: "f8"}
    return [describe_tensor(name, [value], kinds[type(value)]) for name, value in instance.items()]


def test_one_tensor_is_answered_with_every_output(client):
    response = infer(client, describe_tensor("any name", ROWS), id="7")

    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("iris", VERSION, "7")
    assert answer["outputs"] == [
        {"name": "predict", "datatype": "INT64", "shape": [2], "data": [0, 2]},
        {"name": "label", "datatype": "BYTES", "shape": [2], "data": LABELS},
        {"name": "predict_proba", "datatype": "FP64", "shape": [2, 3], "data": expect(ROWS)},
    ]


@pytest.mark.parametrize("shape", [[2], [2, 1]])
def test_tensors_come_whole_nested_or_by_feature_in_any_order(client, shape):
    columns = zip(NAMES, np.array(ROWS).T, strict=True)
    by_feature = [describe_tensor(name, column.reshape(shape)) for name, column in columns]
    flat = describe_tensor("x", ROWS)

    whole = infer(client, flat).json()

    assert infer(client, *reversed(by_feature)).json() == whole
    assert infer(client, flat | {"data": ROWS}).json() == whole


@pytest.mark.parametrize("dtype", DATATYPES)
@pytest.mark.parametrize("is_binary", [True, False])
def test_numbers_of_every_type_and_size_become_doubles_as_they_are(client, dtype, is_binary):
    array = np.array(ROWS).astype(dtype)
    body, headers = pack([pack_array(array)])
    if not is_binary:
        body, headers = json.dumps({"inputs": [describe_tensor("x", array.tolist(), dtype)]}), {}

    answer = client.post(URL, content=body, headers=headers)

    assert unpack(answer)["predict_proba"] == expect(array.astype(np.float64))


def test_binary_outputs_say_their_size_after_the_json_and_are_chosen_in_form_and_order(client):
    outputs = [
        {"name": "predict_proba", "parameters": {"binary_data": True}},
        {"name": "predict", "parameters": {"binary_data": False}},
    ]
    asked = {"parameters": {"binary_data_output": True}}

    response = infer(client, describe_tensor("x", ROWS), **asked)
    chosen = unpack(infer(client, describe_tensor("x", ROWS), outputs=outputs, **asked))

    assert response.headers["content-type"] == "application/octet-stream"
    found = unpack(response)
    assert found["predict"] == np.array([0, 2], dtype="<i8").tobytes()
    assert found["label"] == struct.pack("<I6sI9s", 6, b"setosa", 9, b"virginica")
    assert np.frombuffer(found["predict_proba"], dtype="<f8").tolist() == expect(ROWS)
    assert chosen == {"predict_proba": found["predict_proba"], "predict": [0, 2]}
    assert list(chosen) == ["predict_proba", "predict"]


def test_parameters_nobody_knows_and_empty_fields_are_left_alone(client):
    tensor = describe_tensor("x", ROWS) | {"parameters": {"content_type": "np"}}

    response = infer(client, tensor, id=None, outputs=None, parameters={"priority": 1}, extra=1)

    assert (response.status_code, response.json().get("id", "none")) == (200, "none")


def test_features_of_every_type_have_tensors_of_their_own_in_json_or_binary(mixed_client):
    texts = [pack_texts([INSTANCE[name]], name) for name in ("island", "sex")]
    rest = {name: value for name, value in INSTANCE.items() if name not in ("island", "sex")}
    numbers = [pack_array(np.array([value]), name) for name, value in rest.items()]
    body, headers = pack(numbers + texts)

    answer = infer(mixed_client, *columns_of(INSTANCE))
    binary = mixed_client.post(URL, content=body, headers=headers)

    assert unpack(answer)["predict_proba"] == pytest.approx(ask(fit_mixed(), INSTANCE), abs=1e-9)
    assert binary.json() == answer.json()


def test_what_is_missing_is_null_nan_or_not_sent(mixed_client):
    missing = [describe_tensor("age", [None]), describe_tensor("member", [None], "u1")]
    missing.append(describe_tensor("island", [None], str))
    rest = columns_of({name: INSTANCE[name] for name in ("mass", "tagged", "sex")})
    nans = [pack_array(np.array([np.nan]), name) for name in ("age", "member")]
    body, headers = pack([*rest, *nans])

    answers = [
        infer(mixed_client, *rest),
        infer(mixed_client, *rest, *missing),
        mixed_client.post(URL, content=body, headers=headers),
    ]

    expected = ask(fit_mixed(), INSTANCE | dict.fromkeys(["age", "member", "island"]))
    for answer in answers:
        assert unpack(answer)["predict_proba"] == pytest.approx(expected, abs=1e-9)


def test_text_is_read_as_that_of_tables_is(publish, start_live):
    publish(**MIXED, written={"missing": ["k.A.", "Dream"]})
    client = start_live()
    rest = columns_of({name: INSTANCE[name] for name in ("mass", "tagged", "sex")})

    def answer(*islands):
        islands = describe_tensor("island", [*islands], str)
        rows = [tensor | {"shape": [5], "data": tensor["data"] * 5} for tensor in rest]
        return np.reshape(unpack(infer(client, *rows, islands))["predict_proba"], (-1, 2))

    found = answer(" Dream\u00a0", "Biscoe ", "k.A.", " ", None)
    expected = answer("Dream", "Biscoe", None, None, None)

    assert found == pytest.approx(expected)
    assert not np.allclose(found[1], found[2])


@pytest.mark.parametrize(("encoding", "module"), [("gzip", gzip), ("deflate", zlib)])
def test_a_compressed_request_is_a_request(client, encoding, module):
    body, headers = pack([pack_array(np.array(ROWS))])

    headers["Content-Encoding"] = encoding
    answer = client.post(URL, content=module.compress(body), headers=headers)

    assert unpack(answer)["label"] == LABELS


@pytest.mark.parametrize(
    ("rows", "accepted", "encoding"),
    [
        (500, "gzip", "gzip"),
        (500, "deflate", "deflate"),
        (500, "br, gzip;q=0, deflate;q=0.5", "deflate"),
        (1, "gzip", None),
        (500, "identity", None),
        (500, "gzip;q=0", None),
    ],
)
def test_a_long_answer_is_compressed_as_the_client_asks(client, rows, accepted, encoding):
    body, headers = pack([pack_array(np.array(ROWS * rows))], outputs=[{"name": "label"}])

    answer = client.post(URL, content=body, headers=headers | {"Accept-Encoding": accepted})

    assert answer.headers.get("content-encoding") == encoding
    assert (int(answer.headers["content-length"]) < 1000) == (encoding is not None or rows == 1)
    assert unpack(answer)["label"] == LABELS * rows


def test_an_estimator_without_probabilities_has_two_outputs(tmp_path, start_live):
    drop(tmp_path, fit_iris(LinearSVC()), "model")
    client = start_live()

    answer = infer(client, describe_tensor("x", ROWS), url="/v2/models/model/infer")

    assert list(unpack(answer)) == ["predict", "label"]
    outputs = client.get("/v2/models/model").json()["outputs"]
    assert [output["name"] for output in outputs] == ["predict", "label"]


def test_the_server_describes_itself_and_is_ready_with_a_model(client):
    for path in ("/v2", "/v2/"):
        described = client.get(path, follow_redirects=False).json()
        assert described["extensions"] == ["binary_tensor_data", "statistics"]
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    for path in ("", f"/versions/{VERSION}"):
        assert client.get(f"/v2/models/iris{path}/ready").json() == {"name": "iris", "ready": True}


def test_a_model_describes_the_tensors_that_can_be_asked(start_live, publish):
    publish(**MIXED)
    publish(OLDER, **MIXED)
    client = start_live()

    answers = [client.get(f"/v2/models/iris{path}").json() for path in ("", f"/versions/{OLDER}")]

    assert answers[0] == answers[1]
    assert answers[0]["versions"] == [VERSION, OLDER]
    datatypes = zip(INSTANCE, ["FP64"] * 2 + ["BOOL"] * 2 + ["BYTES"] * 2, strict=True)
    assert [(tensor["name"], tensor["datatype"]) for tensor in answers[0]["inputs"]] == [*datatypes]
    probabilities = {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 2]}
    assert answers[0]["outputs"][2] == probabilities


def test_the_index_tells_which_versions_answer_and_why_others_do_not(publish, start_live):
    client = start_live()
    publish(OLDER, format=2)
    other = "2024_11_21_T20_44_20"
    manifest = publish(other).with_suffix(".json")
    manifest.write_text(manifest.read_text().replace('"name": "iris"', '"name": "penguins"', 1))

    everything = client.post("/v2/repository/index").json()
    ready = client.post("/v2/repository/index", json={"ready": True}).json()

    assert [(entry["name"], entry["version"], entry["state"]) for entry in everything] == [
        ("iris", VERSION, "READY"),
        (f"model_{OLDER}", OLDER, "UNAVAILABLE"),
        ("penguins", other, "READY"),
    ]
    assert "format" in everything[1]["reason"]
    assert [entry["version"] for entry in ready] == [VERSION, other]
    for body in ('{"ready": 0}', '{"ready": "yes"}', "[]"):
        wrong = client.post("/v2/repository/index", content=body)
        assert (wrong.status_code, [*wrong.json()]) == (422, ["error"])


def test_statistics_count_rows_requests_and_failures_but_not_every_size_of_batch(live_client):
    def read(path="/v2/models/iris/stats"):
        return live_client.get(path).json()["model_stats"][0]

    assert read("/v2/models/stats")["inference_count"] == 0
    for rows in (1, 1, 3):
        infer(live_client, describe_tensor("x", ROWS[:1] * rows))
    infer(live_client, describe_tensor("x", ROWS, "f8") | {"datatype": "FP128"})

    counted = read()
    assert (counted["name"], counted["version"]) == ("iris", VERSION)
    assert (counted["inference_count"], counted["execution_count"]) == (5, 3)
    assert counted["last_inference"] > 1_700_000_000_000
    durations = counted["inference_stats"]
    assert (durations["success"]["count"], durations["fail"]["count"]) == (3, 1)
    assert durations["compute_infer"]["ns"] > 0
    batches = counted["batch_stats"]
    sizes = {batch["batch_size"]: batch["compute_infer"]["count"] for batch in batches}
    assert sizes == {1: 2, 3: 1}
    for rows in range(1, 105):
        infer(live_client, describe_tensor("x", ROWS[:1] * rows))
    assert (len(read()["batch_stats"]), read()["execution_count"]) == (100, 107)


def test_a_version_answers_by_its_path_and_has_statistics_of_its_own(live_client, publish):
    publish(OLDER, estimator=fit(C=0.01))
    url = f"/v2/models/iris/versions/{OLDER}"

    answer = infer(live_client, describe_tensor("x", ROWS), url=f"{url}/infer")

    assert answer.json()["model_version"] == OLDER
    assert unpack(answer)["predict_proba"] == expect(ROWS, C=0.01)
    urls = ("/v2/models/stats", "/v2/models/iris/stats", f"{url}/stats")
    counted = [live_client.get(url).json()["model_stats"] for url in urls]
    counts = [{one["version"]: one["inference_count"] for one in each} for each in counted]
    assert counts == [{OLDER: 2, VERSION: 0}, {OLDER: 2, VERSION: 0}, {OLDER: 2}]


def test_large_requests_leave_the_event_loop_and_large_bodies_wait(client, monkeypatch):
    threads = []

    def note_thread(place, name):
        answer = getattr(place, name)

        def noted(*args):
            threads.append(threading.current_thread())
            return answer(*args)

        monkeypatch.setattr(place, name, noted)

    note_thread(client.app.live.model(), "answer_at_once")
    note_thread(client.app.live.model(), "answer")
    for rows in (1, 1000):
        infer(client, describe_tensor("x", ROWS * rows))
    loop = client.portal.call(threading.current_thread)
    assert [thread is loop for thread in threads] == [True, False]

    taken = []

    def note_places(*args, original=responder.name_outputs):
        taken.append(client.app_state["queue"].taken)
        return original(*args)

    monkeypatch.setattr(responder, "name_outputs", note_places)
    monkeypatch.setattr(open_inference, "TABLE_BODY", 1000)
    for rows in (1, 1000):
        infer(client, describe_tensor("x", ROWS * rows))
    assert taken == [0, 1]

    monkeypatch.setattr(queue, "MAX_WAITING", -1)  # all places are taken
    for rows, status in ((1, 200), (1000, 503)):
        body = json.dumps({"inputs": [describe_tensor("x", ROWS * rows)]}).encode()
        assert client.post(URL, content=iter([body])).status_code == status  # in chunks


def test_more_rows_than_a_batch_may_have_are_refused(start_live):
    client = start_live(max_batch_rows=1000)

    answers = [infer(client, describe_tensor("x", ROWS[:1] * rows)) for rows in (1000, 1001)]
    instances = {"instances": ROWS[:1] * 1001}
    answers.append(client.post(V1, json=instances))

    assert [answer.status_code for answer in answers] == [200, 413, 413]
    assert "1,001 rows; at most 1,000" in answers[1].json()["error"]


def test_only_the_first_wrong_input_is_told_and_outputs_are_few_and_given_once(client):
    x = describe_tensor("x", ROWS)
    wrong = client.post(URL, json={"inputs": [{}] * 1000})
    many = infer(client, x, outputs=[{}] * 10_000)
    twice = infer(client, x, outputs=[{"name": "predict"}] * 2)

    assert {answer.status_code for answer in (wrong, many, twice)} == {422}
    assert "inputs.0" in wrong.json()["error"]
    assert "inputs.1" not in wrong.json()["error"]
    assert "outputs" in many.json()["error"]
    assert "asked for twice" in twice.json()["error"]


def test_rows_and_objects_are_answered_with_their_labels(client):
    response = client.post(V1, json={"instances": [*ROWS, SETOSA]})

    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"predictions": ["setosa", "virginica", "setosa"]}


def test_values_of_every_type_are_taken_as_predict_takes_them(mixed_client):
    partial = {name: INSTANCE[name] for name in ("mass", "tagged", "sex")}

    response = mixed_client.post(V1, json={"instances": [list(INSTANCE.values()), partial]})

    asked = (INSTANCE, INSTANCE | dict.fromkeys(["age", "member", "island"]))
    expected = [np.argmax(ask(fit_mixed(), instance)) for instance in asked]
    assert response.json() == {"predictions": [["no", "yes"][index] for index in expected]}


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("{", 400, "Invalid JSON"),
        ("[]", 422, "The body: Input should be an object."),
        ("{}", 422, "instances: Field required."),
        ('{"instances": []}', 422, "instances: List should have at least 1 item"),
        ('{"instances": [[1, 2, 3, 4], [1]]}', 422, "Instance 1, counted from 0, has 1 values"),
        ('{"instances": [[1, 2, 3, "4"]]}', 422, "from 0: petal_width must be a number."),
        ('{"instances": [[1, 2, 3, null]]}', 422, "from 0: petal_width must be a number."),
        ('{"instances": [[1, 2, 3, NaN]]}', 422, "from 0: petal_width must be a finite number."),
        ('{"instances": [[1, 2, 3, 1e400]]}', 422, "petal_width must be a finite number."),
        ('{"instances": [{"x": 1}]}', 422, "sepal_length is missing."),
        (json.dumps({"instances": [0] * 1000}), 422, "instances.0"),
        ('{"instances": [[1e308, 1e308, 1e308, 1e308]]}', 422, "see row 0, counted from 0."),
    ],
)
def test_instances_that_do_not_fit_are_told_why(client, body, status, message):
    response = client.post(V1, content=body)

    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert message in response.json()["error"]
    assert "instances.1" not in response.json()["error"]  # the first is told alone


def test_a_model_is_ready_by_its_name_and_another_is_unknown(client):
    assert client.get("/v1/models/iris").json() == {"name": "iris", "ready": True}
    for path in ("/v1/models/rose", "/v1/models/iris:explain"):
        response = client.get(path)
        assert response.status_code == 404
        assert "is of the model iris." in response.json()["error"]
    assert client.put(V1).headers["allow"] == "POST"


def test_what_v1_answers_is_counted(live_client):
    live_client.post(V1, json={"instances": ROWS})
    live_client.post(V1, content="{")

    [counted] = live_client.get("/v2/models/stats").json()["model_stats"]
    assert counted["inference_count"] == 2
    assert counted["inference_stats"]["fail"]["count"] == 1
