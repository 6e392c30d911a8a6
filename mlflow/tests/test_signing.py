import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from processes import ROOT

from signing import read_signing_key


def make_keys(folder):
    command = [sys.executable, ROOT / "mlflow/signing.py", folder / "private", folder / "public"]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_private_half_is_for_its_owner_alone(tmp_path):
    assert make_keys(tmp_path).returncode == 0

    assert (tmp_path / "private").stat().st_mode & 0o077 == 0
    assert "PUBLIC KEY" in (tmp_path / "public").read_text()
    assert read_signing_key(tmp_path / "private")


def test_keys_are_never_overwritten(tmp_path):
    make_keys(tmp_path)
    before = (tmp_path / "private").read_text()

    again = make_keys(tmp_path)

    assert again.returncode == 1
    assert "is there already" in again.stderr
    assert (tmp_path / "private").read_text() == before


@pytest.mark.parametrize(("left", "missing"), [("private", "public"), ("public", "private")])
def test_half_a_pair_gets_no_other_half(tmp_path, left, missing):
    make_keys(tmp_path)
    (tmp_path / missing).unlink()

    again = make_keys(tmp_path)

    assert again.returncode == 1
    assert f"{left} is there already" in again.stderr
    assert not (tmp_path / missing).exists()


def test_without_a_key_there_is_none(tmp_path):
    assert read_signing_key(tmp_path / "private") is None


def test_a_key_of_another_kind_is_refused(tmp_path):
    rsa = generate_private_key(65537, 2048)
    pem = rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "private").write_bytes(pem)

    with pytest.raises(ValueError, match="no Ed25519 private key"):
        read_signing_key(tmp_path / "private")
