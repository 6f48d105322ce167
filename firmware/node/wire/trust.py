"""Whose signatures a node believes: what provisioning, and later a release signed by the root
keys, puts into NVS `trust`. Strict CBOR; total and bounded.
"""

from collections import namedtuple

from . import cbor
from .uplink import ReportError, whole

MODULUS = 384  # bytes: RSA-3072, most significant first; the exponent is 65537
MAX_ROOTS = 3
MAX_RELEASE_KEYS = 2

Trust = namedtuple("Trust", ("sequence", "threshold", "roots", "keys"))
"""`sequence` counts up with each change; `threshold` of the `roots`, SHA-256 of their moduli, must
sign a change, and a jump of the sequence; `keys`: moduli of the release keys, any of which signs
releases."""


def encode(trust: Trust) -> bytes:
    """The bytes that lie in NVS, and that a component KEYS is."""
    return cbor.encode([trust.sequence, trust.threshold, list(trust.roots), list(trust.keys)])


def decode(data: bytes) -> Trust:
    """The keys in `data`, or ReportError."""
    try:
        flat = cbor.decode(data)
    except cbor.CborError as e:
        raise ReportError("not strict CBOR: %s" % e)
    if not isinstance(flat, list) or len(flat) != 4:
        raise ReportError("trust is [sequence, threshold, roots, keys]")
    roots = _each(flat[2], 1, MAX_ROOTS, 32, "roots")
    keys = _each(flat[3], 1, MAX_RELEASE_KEYS, MODULUS, "keys")
    sequence = whole(flat[0], 1, 0x7FFFFFFF, "sequence")
    return Trust(sequence, whole(flat[1], 1, len(roots), "threshold"), roots, keys)


def _each(value: object, least: int, most: int, length: int, what: str) -> "list[bytes]":
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise ReportError("%s: %d to %d" % (what, least, most))
    for i, each in enumerate(value):
        if not isinstance(each, bytes) or len(each) != length or each in value[:i]:
            raise ReportError("%s: different ones of %d bytes" % (what, length))
    return value
