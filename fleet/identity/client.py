"""What the technician's machine does for a node: make its key and ask for a certificate."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fleet.identity.errors import IdentityError
from fleet.identity.secret import SecretBytes
from fleet.wire import claim, nodeid


def make_key_and_csr(node_id: str) -> tuple[SecretBytes, bytes]:
    """A new P-256 key (DER, RFC 5915, what the node's TLS loads) and the PEM request for it.

    The key goes to the node and is forgotten here; only the request goes to the fleet.
    """
    try:
        nodeid.to_mac(node_id)
    except nodeid.NodeIdError as e:
        raise IdentityError(f"{node_id[:20]!r} is no node id: {e}") from None
    return _key_and_csr(node_id)


def make_claim_key_and_csr(claim_id: str) -> tuple[SecretBytes, bytes]:
    """The same for a voucher, whose key stays on the technician's machine until it is used."""
    if not claim.is_id(claim_id):
        raise IdentityError(f"{claim_id[:20]!r} is no claim id")
    return _key_and_csr(claim_id)


def _key_and_csr(subject_cn: str) -> tuple[SecretBytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject_cn)])
    request = (
        x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    )
    der = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return SecretBytes(der), request.public_bytes(serialization.Encoding.PEM)


def key_pem(key_der: bytes) -> SecretBytes:
    """The PEM form of a DER key, for clients that read files in PEM."""
    try:
        key = serialization.load_der_private_key(key_der, password=None)
    except (ValueError, TypeError):
        raise IdentityError("the bytes hold no private key in DER") from None
    return SecretBytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
