"""Checks who signed a manifest."""

import base64
import json
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from errors import ModelRefused


def read_public_key(path: Path) -> Ed25519PublicKey | None:
    """None where there is no such file; raises ValueError where it holds no Ed25519 key."""
    if not path.is_file():
        return None
    key = load_pem_public_key(path.read_bytes())
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(f"{path} holds no Ed25519 public key")
    return key


def check_signature(manifest: dict[str, Any], key: Ed25519PublicKey) -> None:
    """Raises ModelRefused where the manifest is not signed with this key's other half."""
    signature = manifest.get("signature")
    if not signature:
        raise ModelRefused("signature", "It is not signed.")
    try:
        key.verify(base64.b64decode(signature["value"], validate=True), signed_bytes(manifest))
    except (InvalidSignature, ValueError, TypeError, KeyError):
        message = "Its signature is not that of its manifest, or was made with another key."
        raise ModelRefused("signature", message) from None


def signed_bytes(manifest: dict[str, Any]) -> bytes:
    """What is signed: the manifest without its signature, keys in order, no white space."""
    unsigned = {key: value for key, value in manifest.items() if key != "signature"}
    return json.dumps(unsigned, sort_keys=True, separators=(",", ":")).encode()
