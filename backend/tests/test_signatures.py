import base64
import json
import shutil

import pytest
from conftest import reason, wait_until_live
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from processes import wait_until

from serving.signatures import signed_bytes
from worker.model_worker import ModelWorker


@pytest.fixture
def key():
    return Ed25519PrivateKey.generate()


@pytest.fixture
def public_key(key, tmp_path_factory):
    return write_public(key, tmp_path_factory.mktemp("keys") / "public.pem")


def write_public(key, path):
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def sign(path, key, **changes):
    """Sign a published manifest, and then change it."""
    manifest = path.with_suffix(".json")
    content = json.loads(manifest.read_text())
    value = base64.b64encode(key.sign(signed_bytes(content))).decode()
    content["signature"] = {"algorithm": "ed25519", "value": value}
    manifest.write_text(json.dumps(content | changes))


@pytest.fixture
def start_signed(start, public_key):
    """Start an app that takes signed models only, or as told."""
    return lambda trust="signed": start(model_trust=trust, model_public_key=public_key)


def test_a_signed_model_is_served_and_said_to_be_signed(publish, start_signed, key):
    sign(publish(), key)
    client = start_signed()

    wait_until_live(client)
    assert client.get("/models/live").json()["signature"] == "signed"


@pytest.mark.parametrize("has_manifest", [True, False])
def test_an_unsigned_model_is_refused_unopened(publish, start_signed, monkeypatch, has_manifest):
    path = publish()
    if not has_manifest:
        path.with_suffix(".json").unlink()
    monkeypatch.setattr(ModelWorker, "open", lambda _: pytest.fail("it was opened"))
    client = start_signed()

    wait_until(lambda: "It is not signed" in reason(client))


@pytest.mark.parametrize("trust", ["signed", "auto"])
def test_a_changed_manifest_or_one_signed_by_another_is_refused(publish, start_signed, key, trust):
    sign(publish(), key, name="another")
    sign(publish("2026_11_20_T00_00_00"), Ed25519PrivateKey.generate())
    client = start_signed(trust)

    def reasons():
        return [it.get("reason") or "" for it in client.get("/models").json()["models"]]

    wait_until(lambda: all(reasons()))
    changed, other = reasons()
    assert "Its signature is not that of its manifest" in changed
    assert "made with another key" in other


@pytest.mark.parametrize(
    "signature", [{"value": "!"}, {"algorithm": "none", "value": ""}, "x", [1]]
)
def test_a_signature_that_is_none_is_refused(publish, start_signed, signature):
    publish(signature=signature)
    client = start_signed()

    wait_until(lambda: "Its signature is not that" in reason(client))


def test_without_a_key_every_model_is_served_and_marked(publish, live_client, key):
    assert live_client.get("/models/live").json()["signature"] == "unsigned"

    sign(publish("2026_11_22_T00_00_00"), key)
    wait_until_live(live_client, "2026_11_22_T00_00_00")

    assert live_client.get("/models/live").json()["signature"] == "unchecked"


def test_a_key_that_comes_later_or_is_another_one_counts_at_once(
    publish, start_live, key, public_key
):
    later = public_key.with_name("later.pem")
    sign(publish(), key)
    sign(publish("2026_11_20_T00_00_00"), key)
    client = start_live(model_public_key=later)

    def states():
        return [it["signature"] for it in client.get("/models").json()["models"]]

    assert states() == ["unchecked", "unchecked"]
    shutil.copy(public_key, later)
    wait_until(lambda: states() == ["signed", "signed"])
    write_public(Ed25519PrivateKey.generate(), later)
    wait_until(lambda: states() == [None, None])


def test_a_signature_is_checked_before_what_it_signs_is_looked_at(publish, start_signed, key):
    sign(publish(), key, format=2, features=None)

    client = start_signed()

    wait_until(lambda: "Its signature is not that" in reason(client))


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PUBLIC KEY-----\n"])
def test_a_key_that_is_none_refuses_models_and_says_so(publish, start, tmp_path, content):
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    publish()
    client = start(model_public_key=path)

    [entry] = client.get("/models").json()["models"]
    assert entry["state"] == "refused"
    assert f"The public key {path} cannot be used" in entry["reason"]


def test_before_the_first_start_has_made_the_key_a_signed_model_is_refused(
    publish, start, key, tmp_path
):
    sign(publish(), key)

    client = start(model_trust="signed", model_public_key=tmp_path / "key.pem")

    wait_until(lambda: "There is no public key to check it with" in reason(client))


@pytest.mark.parametrize("trust", [None, "auto"])
def test_an_unsigned_model_is_served_unless_signatures_are_required(publish, start_signed, trust):
    publish()

    client = start_signed(trust)

    wait_until_live(client)
    assert client.get("/models").json()["models"][0]["signature"] == "unsigned"
