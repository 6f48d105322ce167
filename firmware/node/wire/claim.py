"""The claim of a node that has only a voucher, and the grant that makes it an ordinary node.

A claim is a map {0: version, 1: node id, 2: role, 3: CSR, 4: spare CSR}, a grant {0: version,
1: certificate, 2: HMAC key, 3: [kid, secret], 4: changes to the configuration}; 4 is optional in
both. A refusal is {0: version, 9: reason}.
"""

from collections import namedtuple

from . import cbor, nodeid

VERSION = 1
ID_LENGTH = 11  # "v" and ten characters of Crockford's base32
MOST_CSR = 512  # bytes of DER; a P-256 request with a node id takes about 215
MOST_CERTIFICATE = 1024
_SIZES = (3, 16)  # of kid and secret

# Why a claim is refused.
MALFORMED, UNKNOWN, EXPIRED, USED, FOREIGN, TAKEN, LATER = 1, 2, 3, 4, 5, 6, 7

Claim = namedtuple("Claim", ("node_id", "role", "csr", "spare"))
"""Of whom, texts; the PKCS #10 requests of its key and of its spare key, DER, b"" for no spare."""

Grant = namedtuple("Grant", ("certificate", "hmac", "oscore", "patch", "reason"))
"""DER, 32 bytes, [kid, secret], a map or None; a refusal has nothing but a reason, else 0."""


class ClaimError(ValueError):
    """The bytes are no claim, or no grant."""


def is_id(text: str) -> bool:
    """Whether `text` is a claim id: the name under which a voucher speaks to the fleet."""
    if len(text) != ID_LENGTH or text[0] != "v":
        return False
    return all(c in nodeid.ALPHABET for c in text[1:])


def encode(node_id: str, role: str, csr: bytes, spare: bytes = b"") -> bytes:
    """The bytes of a claim."""
    top: "dict[int, object]" = {0: VERSION, 1: node_id, 2: role, 3: csr}
    if spare:
        top[4] = spare
    return cbor.encode(top)


def decode(data: bytes) -> Claim:
    """The claim in `data`, or ClaimError. Total: any bytes give one or the other."""
    top = _map(data, (1, 2, 3, 4))
    node_id, role = top.get(1), top.get(2)
    if not isinstance(node_id, str) or not isinstance(role, str) or not 0 < len(role) <= 16:
        raise ClaimError("keys 1 and 2 are the node id and the role")
    try:
        nodeid.to_mac(node_id)
    except nodeid.NodeIdError as e:
        raise ClaimError("key 1: %s" % e)
    spare = _bytes(top[4], 1, MOST_CSR, "key 4") if 4 in top else b""
    return Claim(node_id, role, _bytes(top.get(3), 1, MOST_CSR, "key 3"), spare)


def encode_grant(
    certificate: bytes,
    hmac: bytes,
    oscore: "list[bytes]",
    patch: "dict[str, object] | None" = None,
) -> bytes:
    """The bytes of a grant."""
    top: "dict[int, object]" = {0: VERSION, 1: certificate, 2: hmac, 3: oscore}
    if patch:
        top[4] = patch
    return cbor.encode(top)


def encode_refusal(reason: int) -> bytes:
    """The bytes of a refusal."""
    return cbor.encode({0: VERSION, 9: reason})


def decode_grant(data: bytes) -> Grant:
    """The grant or the refusal in `data`, or ClaimError. Total."""
    top = _map(data, (1, 2, 3, 4, 9))
    if 9 in top:
        reason = top[9]
        if len(top) != 2 or isinstance(reason, bool) or not isinstance(reason, int):
            raise ClaimError("a refusal is a reason and nothing else")
        if not 1 <= reason <= 255:
            raise ClaimError("reason %d" % reason)
        return Grant(b"", b"", [], None, reason)
    key = top.get(3)
    if not isinstance(key, list) or len(key) != 2:
        raise ClaimError("key 3 is [kid, secret]")
    for part, size in zip(key, _SIZES):
        _bytes(part, size, size, "key 3")
    patch = top.get(4)
    if 4 in top and (not isinstance(patch, dict) or not patch):
        raise ClaimError("key 4 is a map of what changes")
    certificate = _bytes(top.get(1), 1, MOST_CERTIFICATE, "key 1")
    return Grant(certificate, _bytes(top.get(2), 32, 32, "key 2"), key, patch, 0)


def _map(data: bytes, keys: "tuple[int, ...]") -> "dict[int | str, object]":
    try:
        top = cbor.decode(data)
    except cbor.CborError as e:
        raise ClaimError("not strict CBOR: %s" % e)
    if not isinstance(top, dict) or top.get(0) != VERSION or top[0] is True:
        raise ClaimError("no map of version 1")
    for key in top:
        if key and key not in keys:
            raise ClaimError("unknown key %r" % (key,))
    return top


def _bytes(value: object, least: int, most: int, what: str) -> bytes:
    if not isinstance(value, bytes) or not least <= len(value) <= most:
        raise ClaimError("%s takes %d to %d bytes" % (what, least, most))
    return value
