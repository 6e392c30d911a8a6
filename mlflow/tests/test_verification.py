"""No model scores that is not, byte by byte, what its manifest says and its key has signed."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import joblib
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from features import describe_features
from manifests import describe
from publishing import Publisher
from signing import complete_pair, sign
from verification import ModelRefused, NoModel, Trust, find_version, load, read_trust

NO_TRUST = Trust(None, False)
NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
VERSION = "2026_11_24_T12_00_00"


@pytest.fixture
def publish(training, tmp_path):
    model = training.record().models[0]
    features = describe_features(training.dataset)
    manifest = describe(training.dataset, features, training.winner, model) | {"mlflow": None}

    def publish_model(estimator=model.pipeline, key=None, moment=NOW):
        path = Publisher(tmp_path, key).publish(estimator, manifest, moment)
        return SimpleNamespace(path=path, manifest=path.with_suffix(".json"))

    return publish_model


def change(files, **keys):
    files.manifest.write_text(json.dumps(json.loads(files.manifest.read_text()) | keys))


def refusal(directory, trust=NO_TRUST):
    with pytest.raises(ModelRefused) as refused:
        load(directory, VERSION, trust)
    return str(refused.value)


def test_a_published_model_is_loaded(publish, tmp_path):
    publish()

    model = load(tmp_path, find_version(tmp_path, None), NO_TRUST)

    assert model.version == VERSION
    assert model.classes == ["setosa", "versicolor", "virginica"]
    assert model.features[0].name == "sepal_length"
    assert model.remark is None


def test_the_newest_is_found_unless_another_is_wanted(publish, tmp_path):
    publish()
    publish(moment=datetime(2026, 11, 24, 13, 0, 0, tzinfo=UTC))

    assert find_version(tmp_path, None) == "2026_11_24_T13_00_00"
    assert find_version(tmp_path, VERSION) == VERSION
    with pytest.raises(NoModel, match="The newest are 2026_11_24_T13_00_00, 2026_11_24_T12"):
        find_version(tmp_path, "2025_01_01_T00_00_00")


def test_without_a_model_the_way_to_one_is_said(tmp_path):
    with pytest.raises(NoModel, match=r"No model is published .* Train one"):
        find_version(tmp_path, None)
    with pytest.raises(NoModel, match="Set MODELS_DIR"):
        find_version(tmp_path / "nowhere", None)


def flip_a_bit(files):
    content = bytearray(files.path.read_bytes())
    content[-5] ^= 1
    files.path.write_bytes(content)


def compress(files):
    joblib.dump(joblib.load(files.path), files.path, compress=3)
    content = files.path.read_bytes()
    change(files, size=len(content), sha256=hashlib.sha256(content).hexdigest())


def turn_round(files, key):
    """The order of what a manifest lists, or of the first example's probabilities."""
    found = json.loads(files.manifest.read_text())[key]
    (found[0]["probabilities"] if key == "examples" else found).reverse()
    change(files, **{key: found})


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda it: it.manifest.unlink(), f"no model_{VERSION}.json, and only verified models"),
        (lambda it: it.manifest.write_text("{"), "It cannot be read"),
        (lambda it: change(it, format=2), "Its manifest has format 2, and this reads 1"),
        (lambda it: change(it, version="2025_01_01_T00_00_00"), "Its manifest is that of version"),
        (lambda it: change(it, size=1), "its manifest says 1"),
        (lambda it: change(it, sha256="0" * 64), "Its SHA-256 is not the one"),
        (flip_a_bit, "Its SHA-256 is not the one"),
        (compress, "it is no pickle, or a compressed one"),
        (lambda it: change(it, features=None), "Its manifest is wrong"),
        (lambda it: change(it, features=[{"name": "x", "type": "date"}]), "Its manifest is wrong"),
        (lambda it: turn_round(it, "features"), "Its features are not those"),
        (lambda it: change(it, target={"classes": ["a", "b", "c"]}), "Its classes are not those"),
        (lambda it: change(it, examples=[]), "has no examples"),
        (lambda it: turn_round(it, "examples"), "answers an example of its manifest with other"),
    ],
)
def test_what_is_not_as_its_manifest_says_is_refused(publish, tmp_path, spoil, said):
    spoil(publish())

    assert said in refusal(tmp_path)


def test_another_scikit_learn_is_remarked_on_and_blamed(publish, tmp_path):
    files = publish()
    change(files, libraries={"scikit-learn": "1.2.0"})
    assert load(tmp_path, VERSION, NO_TRUST).remark.startswith("It was made with scikit-learn 1.2")

    turn_round(files, "examples")
    assert "It was made with scikit-learn 1.2.0; this is" in refusal(tmp_path)


class Hostile:
    def __reduce__(self):
        return Path.touch, (Path("/tmp/hostile"),)


def test_a_pickle_that_asks_for_more_than_classifiers_need_is_refused(publish, tmp_path):
    publish(estimator=Hostile())

    said = refusal(tmp_path)

    assert "Its pickle is refused: it needs pathlib" in said
    assert "not on the allow-list" in said


def test_a_signature_counts_where_there_is_a_key(publish, tmp_path):
    key = Ed25519PrivateKey.generate()
    files = publish(key=key)

    assert load(tmp_path, VERSION, Trust(key.public_key(), is_required=True))
    other = Trust(Ed25519PrivateKey.generate().public_key(), is_required=False)
    assert "Its signature is not that of its manifest" in refusal(tmp_path, other)
    change(files, name="other")
    assert "Its signature is not" in refusal(tmp_path, Trust(key.public_key(), False))


def test_what_is_not_signed_is_refused_where_it_has_to_be(publish, tmp_path):
    publish()
    key = Ed25519PrivateKey.generate().public_key()

    assert "It is not signed" in refusal(tmp_path, Trust(key, is_required=True))
    assert load(tmp_path, VERSION, Trust(key, is_required=False))


def test_either_half_of_a_pair_checks_signatures(tmp_path):
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    complete_pair(private, public)
    nowhere = tmp_path / "nowhere"
    by_public = read_trust("signed", public, nowhere).key
    by_private = read_trust("signed", nowhere, private).key

    assert by_public == by_private
    assert read_trust("auto", nowhere, nowhere) == NO_TRUST


def test_a_key_that_is_wanted_and_none_is_said(tmp_path):
    nowhere = tmp_path / "nowhere"
    with pytest.raises(ModelRefused, match="MODEL_TRUST=signed needs a key"):
        read_trust("signed", nowhere, nowhere)
    with pytest.raises(ModelRefused, match="MODEL_TRUST is auto or signed, not always"):
        read_trust("always", nowhere, nowhere)
    (tmp_path / "key.pem").write_text("no key")
    with pytest.raises(ModelRefused, match="cannot be used"):
        read_trust("auto", tmp_path / "key.pem", nowhere)


def test_a_signature_made_by_hand_is_as_good(publish, tmp_path):
    key = Ed25519PrivateKey.generate()
    files = publish()
    change(files, signature=sign(json.loads(files.manifest.read_text()), key))

    assert load(tmp_path, VERSION, Trust(key.public_key(), is_required=True))


def test_what_is_no_classifier_is_refused(publish, training, tmp_path):
    publish(estimator=training.record().models[0].pipeline[:-1])

    assert "It is not a classifier with probabilities" in refusal(tmp_path)
