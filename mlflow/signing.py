"""Signs manifests, and makes the keys for it."""

import base64
import json
import os
import sys
from contextlib import ExitStack
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
)


def read_signing_key(path: Path) -> Ed25519PrivateKey | None:
    """None where there is no such file; raises ValueError where it holds no Ed25519 key."""
    if not path.exists():
        return None
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path} holds no Ed25519 private key")
    return key


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


def write_keys(private: Path, public: Path) -> None:
    """A new pair, each half for its folder's owner; raises FileExistsError, never overwrites."""
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    open_half = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with ExitStack() as begun:  # half a pair would sign what nobody takes
        for path, content, mode in ((private, secret, 0o600), (public, open_half, 0o644)):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            begun.callback(path.unlink)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            if os.geteuid() == 0:  # the services run as the folders' owner, not as who made keys
                owner = path.parent.stat()
                os.chown(path, owner.st_uid, owner.st_gid)
        begun.pop_all()


def _signed_bytes(manifest: dict[str, Any]) -> bytes:
    """What is signed: the manifest without its signature, keys in order, no white space."""
    unsigned = {key: value for key, value in manifest.items() if key != "signature"}
    return json.dumps(unsigned, sort_keys=True, separators=(",", ":")).encode()


if __name__ == "__main__":
    try:
        write_keys(Path(sys.argv[1]), Path(sys.argv[2]))
    except FileExistsError as error:
        sys.exit(f"{error.filename} is there already. Remove both halves to make a new pair.")
    print("Models are signed from the next training on. To serve no others: MODEL_TRUST=signed")
