"""Tables unlike Iris go from a file to an answer, with files between the services."""

import json

import pytest
import requests
from made_tables import TABLES
from processes import running_backend


@pytest.mark.parametrize("make", TABLES, ids=lambda make: make.__name__.removeprefix("make_"))
def test_a_table_is_trained_on_and_served(make, train_on):
    trained = train_on(make)

    manifest = json.loads(next(trained.models_dir.glob("*.json")).read_text())
    assert manifest["name"] == trained.table.name.partition(".")[0]
    assert manifest["mlflow"]["experiment"] == manifest["name"]
    with running_backend(trained.models_dir) as url:
        for example in manifest["examples"]:
            answer = requests.post(f"{url}/predict", json=example["inputs"]).json()
            said = answer["probabilities"]
            assert list(said) == manifest["target"]["classes"]
            assert list(said.values()) == pytest.approx(example["probabilities"], abs=1e-9)
            assert answer["prediction_class"] == max(said, key=said.get)
        for feature in manifest["features"][:10]:
            expect_answers_to_the_strange(f"{url}/predict", example["inputs"], feature)


def expect_answers_to_the_strange(address, inputs, feature):
    """With a warning to a missing value, which only a null may be unless training had them; and
    to a category it has not seen."""
    missing = requests.post(address, json=inputs | {feature["name"]: None})
    assert missing.status_code == 200
    assert feature["name"] in [it["feature"] for it in missing.json()["warnings"]]
    rest = {name: value for name, value in inputs.items() if name != feature["name"]}
    left_out = requests.post(address, json=rest)
    assert left_out.status_code == (200 if feature["nullable"] else 422)
    if feature["type"] == "category":
        unknown = requests.post(address, json=inputs | {feature["name"]: "Atlantis"})
        assert feature["name"] in [it["feature"] for it in unknown.json()["warnings"]]
