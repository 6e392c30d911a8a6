"""What training never lacked may be missing in a request, where the manifest says `imputable`."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from conftest import make_model
from formats import ARROW, CSV, JSON, PARQUET, read, write
from mixed import FEATURES, IMPUTABLE, INSTANCE, ask, fit_mixed, fit_unscaled
from open_protocol import describe_tensor, pack, pack_array
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from engines.decoding import read_engine
from engines.engine import Engine
from worker.compiling import compilation, leaf_bits, parity

WHOLE = ["mass", "tagged", "sex"]  # of which training had every value
HOLES = {name: INSTANCE | {name: None} for name in WHOLE}
HOLES["all"] = dict.fromkeys(INSTANCE)
V2 = "/v2/models/iris/infer"


@pytest.fixture(scope="module")
def client(share_app):
    return share_app({"estimator": fit_mixed(), "instance": INSTANCE, "features": IMPUTABLE})


def expect(instance):
    return pytest.approx(ask(fit_mixed(), instance), abs=1e-12)


@pytest.mark.parametrize("name", HOLES)
def test_a_null_is_answered_as_the_pipeline_imputes_it(client, name):
    answer = client.post("/predict", json=HOLES[name]).json()

    assert list(answer["probabilities"].values()) == expect(HOLES[name])
    missing = [name for name, value in HOLES[name].items() if value is None]
    assert [it["feature"] for it in answer["warnings"]] == missing


def test_the_warning_says_what_the_model_makes_of_it(client):
    answer = client.post("/predict", json=HOLES["all"]).json()

    said = {it["feature"]: it["detail"] for it in answer["warnings"]}
    assert said["mass"] == "mass is missing; the model fills it in as it learned to."
    assert said["island"] == "island is missing; the model fills it in as it learned to."
    assert said["sex"] == "sex is missing; it is treated as a rare one."


def test_a_key_left_out_is_refused_unless_training_had_missing_values(client):
    whole = {name: value for name, value in INSTANCE.items() if name in WHOLE}
    refused = client.post("/predict", json={})

    assert client.post("/predict", json=whole).status_code == 200
    assert refused.status_code == 422
    details = [it["detail"] for it in refused.json()["errors"]]
    assert details == [f"{name} is missing." for name in WHOLE]


def test_the_schema_requires_a_key_that_may_be_null(client):
    paths = client.get("/openapi.json").json()["paths"]
    body = paths["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]

    assert body["required"] == WHOLE
    kinds = [body["properties"][name]["anyOf"] for name in WHOLE]
    assert kinds == [[{"type": it}, {"type": "null"}] for it in ("number", "boolean", "string")]


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
def test_not_a_number_is_told_to_be_null(client, path, value):
    instance = INSTANCE | {"mass": value}
    body = json.dumps(instance if path == "/predict" else {"instances": [instance]})

    answer = client.post(path, content=body, headers={"Content-Type": JSON})

    [error] = answer.json()["errors"]
    assert error["detail"] == "mass must be a finite number. Send null if it is missing."


@pytest.mark.parametrize("media_type", [JSON, CSV, PARQUET, ARROW])
def test_no_batch_is_refused_for_a_missing_value(client, media_type):
    instances = [*HOLES.values(), INSTANCE]
    table = pa.Table.from_pylist(instances)
    sent = {"Content-Type": media_type}

    answer = client.post("/predict/batch", content=write(table, media_type), headers=sent)

    assert answer.status_code == 200, answer.text
    rows = read(answer.content, media_type).select(["probability_no", "probability_yes"])
    for instance, said in zip(instances, rows.to_pylist(), strict=True):
        assert [float(share) for share in said.values()] == expect(instance)


def test_columns_of_json_may_hold_nulls_but_must_be_there(client):
    columns = {name: [value, None] for name, value in INSTANCE.items()}

    answered = client.post("/predict/batch", json={"columns": columns})
    refused = client.post("/predict/batch", json={"columns": columns | {"mass": ["4"]}})
    columns.pop("mass")
    lacking = client.post("/predict/batch", json={"columns": columns})

    assert answered.status_code == 200
    assert refused.json()["errors"][0]["detail"] == "mass must be a number."
    assert lacking.json()["errors"][0]["detail"] == "mass is missing."


def test_tensors_may_hold_null_or_nan_but_must_be_there(client):
    kinds = {"mass": "f8", "tagged": "?", "sex": str}
    nulls = [describe_tensor(name, [None], kind) for name, kind in kinds.items()]
    nans = [pack_array(np.array([np.nan]), name) for name in ("mass", "tagged")]
    body, headers = pack([*nans, nulls[2]])

    answers = [
        client.post(V2, json={"inputs": nulls}),
        client.post(V2, content=body, headers=headers),
    ]
    refused = client.post(V2, json={"inputs": nulls[1:]})

    for answer in answers:
        named = {it["name"]: it["data"] for it in answer.json()["outputs"]}
        assert named["predict_proba"] == expect(HOLES["all"])
    assert refused.status_code == 422
    assert "Inputs missing: mass." in refused.json()["error"]


def test_an_explanation_compares_a_missing_value_with_the_usual_one(client):
    answer = client.post("/explain?vary=sex", json=HOLES["all"]).json()

    mass = next(it for it in answer["contributions"] if it["feature"] == "mass")
    place = ["no", "yes"].index(answer["prediction_class"])
    usual = ask(fit_mixed(), HOLES["all"] | {"mass": 41.0})
    difference = ask(fit_mixed(), HOLES["all"])[place] - usual[place]
    assert mass["value"] is None
    assert mass["contribution"] == pytest.approx(difference)
    assert answer["curve"]["values"] == ["female", "male", None]


def answer_twice(estimator):
    """The answers of the compiled form, and those of the estimator."""
    model = make_model(estimator, features=IMPUTABLE)
    engine = read_engine(*compilation.compile_model(model.worker), model.description)
    rows = [[*row.values()] for row in HOLES.values()]
    return engine.predict_many(rows), model.answer(model.to_array(rows))[1]


@pytest.mark.parametrize("room", [0, leaf_bits.MAX_MASK_BYTES])
def test_compiled_trees_answer_missing_values_to_the_last_bit(room, monkeypatch):
    monkeypatch.setattr(leaf_bits, "MAX_MASK_BYTES", room)
    estimator = fit_unscaled(RandomForestClassifier(20, random_state=0))

    answered, expected = answer_twice(estimator)

    assert answered == expected.tolist()


@pytest.mark.parametrize("classifier", [LogisticRegression(max_iter=1000), GaussianNB()])
def test_compiled_layers_answer_missing_values_too(classifier):
    answered, expected = answer_twice(fit_unscaled(classifier))

    np.testing.assert_allclose(answered, expected, rtol=0, atol=1e-12)


def test_each_feature_that_may_be_missing_is_so_in_a_probe():
    model = make_model(fit_mixed(), features=IMPUTABLE)

    probes = parity.draw_probes(model.description, Engine())

    assert np.equal(probes, None).any(axis=0).all()


def test_a_manifest_without_the_word_refuses_as_before(mixed_client):
    assert "imputable" not in json.dumps(FEATURES)
    for name in WHOLE:
        assert mixed_client.post("/predict", json=HOLES[name]).status_code == 422
