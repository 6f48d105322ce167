"""What the NVS of a board holds of an identity, and whether its parts belong together."""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key

from fleet.flashing import nvs
from fleet.wire import cbor

NAMESPACE = "kapok"  # as in firmware/node/config.py
Values = dict[str, dict[str, int | bytes]]


class Held(NamedTuple):
    """`values` of the whole partition; digests as the fleet compares them, {} when not whole."""

    values: Values
    digests: dict[str, str]


def read(raw: bytes, node_id: str) -> Held:
    """What an NVS partition holds; total: a damaged one holds nothing."""
    try:
        values = nvs.decode(raw)
    except nvs.NvsImageError:
        return Held({}, {})
    ours = values.get(NAMESPACE, {})
    whole = _pair(ours, "key", "cert", node_id) and _pair(ours, "key2", "csr2", node_id)
    if not whole or not _configured(ours, node_id) or not _blob(ours, "ca"):
        return Held(values, {})
    names = {"certificate": "cert", "oscore": "oscore", "hmac": "hmac"}
    blobs = {name: _blob(ours, key) for name, key in names.items()}
    if not all(blobs.values()):
        return Held(values, {})
    return Held(values, {name: hashlib.sha256(blob).hexdigest() for name, blob in blobs.items()})


def has_identity(values: Values, node_id: str) -> bool:
    """Whether the board has a key and the certificate for it, whatever else it lacks."""
    return _pair(values.get(NAMESPACE, {}), "key", "cert", node_id)


def _blob(ours: Mapping[str, int | bytes], key: str) -> bytes:
    value = ours.get(key)
    return value if isinstance(value, bytes) else b""


def _pair(ours: Mapping[str, int | bytes], key: str, public: str, node_id: str) -> bool:
    """Whether the private key is that of the certificate, or request, and the CN is the node."""
    try:
        private = load_der_private_key(_blob(ours, key), password=None)
        raw = _blob(ours, public)
        shown: x509.Certificate | x509.CertificateSigningRequest
        if public == "cert":
            shown = x509.load_der_x509_certificate(raw)
        else:
            shown = x509.load_der_x509_csr(raw)
        names = [str(name.value) for name in shown.subject]
        mine = isinstance(private, ec.EllipticCurvePrivateKey)
        return mine and names == [node_id] and private.public_key() == shown.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        return False


def _configured(ours: Mapping[str, int | bytes], node_id: str) -> bool:
    configuration = configuration_of(ours)
    return configuration.get("node") == node_id


def configuration_of(ours: Mapping[str, int | bytes]) -> dict[str, object]:
    """The configuration that a board has; empty when it has none, or it is damaged."""
    try:
        found = cbor.decode(_blob(ours, "cfg"))
    except cbor.CborError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if isinstance(key, str)}
