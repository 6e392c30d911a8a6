"""Signs manifests, with a pair of keys that it makes if there is none."""

import base64
import json
import sys
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from files import become_owner, locked, write_whole


def read_signing_key(path: Path) -> Ed25519PrivateKey | None:
    """None if there is no such file; raises ValueError if it is not an Ed25519 key."""
    if not path.exists():
        return None
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path} holds no Ed25519 private key")
    return key


def complete_pair(private: Path, public: Path) -> None:
    """Make both halves, or derive the public one; never overwrite either.

    Raises OSError if a half cannot be written, or if there is a public one alone, and ValueError
    if a half holds no key or the two do not fit.
    """
    with locked(private.parent):
        key = read_signing_key(private)
        if key is None and public.exists():
            advice = "Put that back, or remove the public half to get a new pair"
            raise FileNotFoundError(f"{public} is there without {private}. {advice}")
        if key is None:
            key = Ed25519PrivateKey.generate()
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            write_whole(private, pem, 0o600)
        if not public.exists():
            write_whole(public, _encode(key.public_key()), 0o644)
        elif load_pem_public_key(public.read_bytes()) != key.public_key():
            raise ValueError(f"{public} is not its other half. Remove that to have it derived")


def sign(manifest: dict[str, Any], key: Ed25519PrivateKey) -> dict[str, str]:
    """The manifest's `signature`; through `sha256` it covers the pickle too."""
    value = base64.b64encode(key.sign(_signed_bytes(manifest))).decode()
    return {"algorithm": "ed25519", "value": value}


def is_signed_by(key: Ed25519PublicKey, manifest: dict[str, Any]) -> bool:
    """Whether the manifest bears the signature of this key's other half."""
    try:
        value = base64.b64decode(manifest["signature"]["value"], validate=True)
        key.verify(value, _signed_bytes(manifest))
    except (InvalidSignature, ValueError, TypeError, KeyError):
        return False
    return True


def _encode(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _signed_bytes(manifest: dict[str, Any]) -> bytes:
    """What is signed: the manifest without its signature, keys in order, no white space."""
    unsigned = {key: value for key, value in manifest.items() if key != "signature"}
    return json.dumps(unsigned, sort_keys=True, separators=(",", ":")).encode()


def _main(private: Path, public: Path) -> None:
    try:
        become_owner(private.parent)
        if private.exists() and public.exists():
            sys.exit(f"{private} and {public} are there already. Remove both to make a new pair.")
        complete_pair(private, public)
    except (OSError, ValueError) as error:
        sys.exit(f"No pair of keys was made: {error}.")
    print(f"Models are signed with {private} from now on. {public} proves that they are.")


if __name__ == "__main__":
    _main(*map(Path, sys.argv[1:]))
