"""Checks who signed a manifest."""

import base64
import json
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from errors import ModelRefused
from schemas import SignatureState
from settings import Settings


def check_trust(manifest: dict[str, Any], settings: Settings) -> SignatureState:
    """Raises ModelRefused if the signature is wrong, or missing though it is required."""
    signature = manifest.get("signature")
    key = _read_public_key(settings.model_public_key)
    if settings.model_trust != "signed" and not (signature and key):
        return "unchecked" if signature else "unsigned"
    if key is None:
        advice = "The first start of the trainer writes it"
        raise ModelRefused("signature", f"There is no public key to check it with. {advice}.")
    if not signature:
        raise ModelRefused("signature", "It is not signed.")
    try:
        key.verify(base64.b64decode(signature["value"], validate=True), signed_bytes(manifest))
    except (InvalidSignature, ValueError, TypeError, KeyError):
        message = "Its signature is not that of its manifest, or was made with another key."
        raise ModelRefused("signature", message) from None
    return "signed"


def _read_public_key(path: Path) -> Ed25519PublicKey | None:
    """None if there is no such file; raises ModelRefused if it holds no Ed25519 key."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, OSError, UnsupportedAlgorithm) as error:
        why = str(error)
    else:
        if isinstance(key, Ed25519PublicKey):
            return key
        why = "it is not an Ed25519 public key"
    said = f"The public key {path} cannot be used: {why}"
    raise ModelRefused("signature", f"{said}. Put the right one there.")


def signed_bytes(manifest: dict[str, Any]) -> bytes:
    """What is signed: the manifest without its signature, keys in order, no white space."""
    unsigned = {key: value for key, value in manifest.items() if key != "signature"}
    return json.dumps(unsigned, sort_keys=True, separators=(",", ":")).encode()
