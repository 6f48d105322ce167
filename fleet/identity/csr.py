"""What the door lets in of a certificate signing request (PKCS #10): a node id and a P-256 key."""

import base64
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from fleet.identity.errors import IdentityError
from fleet.wire import claim, nodeid

MAX_BYTES = 4096  # a P-256 request takes about 400
_BEGIN = b"-----BEGIN CERTIFICATE REQUEST-----"
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


class Request(NamedTuple):
    """A checked request. Whatever else it asked for (extensions, names) is not carried on."""

    node_id: str
    key: ec.EllipticCurvePublicKey


class ClaimRequest(NamedTuple):
    """A checked request of a voucher."""

    subject: str
    key: ec.EllipticCurvePublicKey


def check(csr_pem: bytes | str) -> Request:
    """The node id and key of a PEM request whose own signature holds; IdentityError otherwise.

    Total: any input gives a Request or an IdentityError of one line.
    """
    common_name, key = _checked(csr_pem)
    try:
        nodeid.to_mac(common_name)
    except nodeid.NodeIdError as e:
        raise IdentityError(f"the CSR's CN {common_name[:20]!r} is no node id: {e}") from None
    return Request(common_name, key)


def check_claim(csr_pem: bytes | str) -> ClaimRequest:
    """The claim id and key of a PEM request, as `check`; IdentityError."""
    common_name, key = _checked(csr_pem)
    if not claim.is_id(common_name):
        raise IdentityError(
            f"the CSR's CN {common_name[:20]!r} is no claim id: v and 10 of {nodeid.ALPHABET}"
        )
    return ClaimRequest(common_name, key)


def der(csr_pem: bytes | str) -> bytes:
    """A checked request in DER."""
    raw = csr_pem.encode() if isinstance(csr_pem, str) else csr_pem
    return x509.load_pem_x509_csr(raw).public_bytes(Encoding.DER)


def pem(raw: bytes) -> bytes:
    """A request that a node keeps in DER, for `check`, which looks at what is in it."""
    body = base64.b64encode(raw)
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    return b"\n".join((_BEGIN, *lines, _BEGIN.replace(b"BEGIN", b"END"), b""))


def _checked(csr_pem: bytes | str) -> tuple[str, ec.EllipticCurvePublicKey]:
    raw = csr_pem.encode("ascii", "replace") if isinstance(csr_pem, str) else bytes(csr_pem)
    if len(raw) > MAX_BYTES:
        raise IdentityError(f"CSR of {len(raw)} bytes; at most {MAX_BYTES} are read")
    if raw.count(b"-----BEGIN") != 1 or _BEGIN not in raw:
        raise IdentityError("no CSR: expected one PEM block of type CERTIFICATE REQUEST")
    try:
        request = x509.load_pem_x509_csr(raw)
        key = request.public_key()
        algorithm = request.signature_hash_algorithm
        names = list(request.subject)
        signed = request.is_signature_valid
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise IdentityError(
            "the CSR does not parse: make it anew on the technician's machine"
        ) from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise IdentityError("the CSR holds no P-256 key: make it anew with curve P-256")
    if not isinstance(algorithm, _HASHES):
        raise IdentityError("the CSR is signed over a hash weaker than SHA-256")
    if not signed:
        raise IdentityError("the CSR's signature is wrong: its maker does not hold the key")
    if len(names) != 1 or names[0].oid != NameOID.COMMON_NAME:
        raise IdentityError("the CSR's subject must be one CN, the node id, and nothing else")
    return str(names[0].value), key
