"""What stands for a release on the air: its manifest, the envelope that signs it, and the
assignment by which the fleet gives it to one node.

The information model is RFC 9124's, the encoding the strict subset of cbor.py. All decoders are
total and bounded: any bytes give a value or ReportError.
"""

from collections import namedtuple

from . import cbor
from .uplink import ReportError, whole

VERSION = 1
MAX_ENVELOPE = 2048  # bytes
_UNIT = 16  # bytes that an encrypted flash takes at once
MAX_PARTS = 4
MAX_SEQUENCE = 0x7FFFFFFF
MAX_JUMP = 10_000  # of the sequence in one step, unless the root keys sign it
KID = 8  # bytes of a key id: the first of the SHA-256 of its modulus
SIGNATURE = 384  # bytes: RSA-3072
DIGEST = 32  # SHA-256
MAC = 16  # bytes
BASE = 8  # bytes of the digest of the image that a delta starts from

# Components: the slot's image, MicroPython, a patch of the configuration, the modem's firmware,
# and the keys that count from then on (trust.py), which the root keys must have signed.
APPLICATION, RUNTIME, PACK, MODEM, KEYS = 0, 1, 2, 3, 4
# Forms in which a component is sent: as it is; by DEFLATE (RFC 1951, in zlib's frame, window
# WBITS); a detools patch (sequential, not compressed), by the same DEFLATE; or not at all: the
# modem fetches its own firmware.
PLAIN, DEFLATED, DELTA, FETCHED = 0, 1, 2, 3
WBITS = 10  # a window of 1 KB: more has no place in a node's heap

Component = namedtuple("Component", ("kind", "size", "digest", "version"))
"""`size` and SHA-256 of what is installed in the end; `version`: of a runtime 65536 * major +
256 * minor + micro, of a modem's firmware its text, else 0. Of MODEM size and digest are those of
the file that the modem fetches."""

Manifest = namedtuple(
    "Manifest",
    ("sequence", "vendor", "product", "role", "board", "abi", "runtime", "components", "needs",
     "expiry"),
)  # fmt: skip
"""RFC 9124: `sequence` 3.2, `vendor` 3.3 and `product` (class) 3.4: UUIDs of 16 bytes; `role` and
`board`: names, "" for any; `abi` (least, most) .mpy versions, 256 * version + sub-version;
`runtime` (least, most) as Component.version; `components`; `needs` [(kind, least sequence)]: what
must be installed before; `expiry` in s since 1970: installed no more after it."""

Assignment = namedtuple("Assignment", ("sequence", "digest", "expiry", "size", "parts", "mac"))
"""That this node is to install a release: `sequence`, `digest` the first 16 bytes of its
manifest's SHA-256, `expiry` in s since 1970 of this assignment, `size` of the stream, which is the
envelope and the parts one after another; `parts` [(kind, form, bytes of it, base)], base: BASE
bytes of the digest of the image that a DELTA starts from, else b"". Of FETCHED a part has no bytes
in the stream. A sequence of 0 takes the last assignment back: digest b"", no parts."""

# Of the update under way: status key STAGE.
IDLE, ACCEPTED, DOWNLOADING, DOWNLOADED, VERIFIED, INSTALLING, CONFIRMING = 0, 1, 2, 3, 4, 5, 6

# Results of an UPDATE item (quantity 901) beside those of command.py, whose DONE means that the
# release runs and is confirmed. `detail` is 100 * the stage in which it ended, and the error's
# code (node/errors.py) where there is one.
ALREADY, WITHDRAWN, BAD_SIGNATURE, BAD_DIGEST, OLDER, JUMP = 40, 41, 42, 43, 44, 45
WRONG_ROLE, WRONG_BOARD, WRONG_ABI, WRONG_RUNTIME, STALE, BASE_DIFFERS = 46, 47, 48, 49, 50, 51
NO_SPACE, BAD_DELTA, MISSING, ROLLED_BACK, MALFORMED, MODEM_FAILED = 52, 53, 54, 55, 56, 57
# `detail` of MODEM_FAILED, beside the modem's own numbers: its family takes none over HTTP; the
# configuration says not from where (`fota`); after all tries it still has the version before.
MODEM_HAS_NONE, MODEM_NO_ADDRESS, MODEM_UNCHANGED = 1, 2, 3
# Why an application or runtime went back to the one before: `detail` of ROLLED_BACK.
CRASHED, NOT_IMPORTED, NOT_CONFIRMED, SLEPT, BOOTLOADER, SELFTEST = 1, 2, 3, 4, 5, 6

# Answers to a request for blocks, in place of the block.
GONE, UNKNOWN, LATER = 1, 2, 3


def signed(manifest: bytes) -> bytes:
    """The bytes that a release's signatures are over."""
    return b"kapok release\0" + manifest


def encode(manifest: Manifest) -> bytes:
    """The bytes of a manifest."""
    m = manifest
    return cbor.encode(
        [VERSION, m.sequence, m.vendor, m.product, m.role, m.board, list(m.abi), list(m.runtime),
         [list(component) for component in m.components], [list(need) for need in m.needs],
         m.expiry]
    )  # fmt: skip


def decode(data: bytes) -> Manifest:
    """The manifest in `data`, or ReportError."""
    flat = _array(data, 11, "a manifest")
    if flat[0] != VERSION or flat[0] is True:
        raise ReportError("manifest version %r; this is version 1" % (flat[0],))
    sequence = whole(flat[1], 1, MAX_SEQUENCE, "sequence")
    _bytes(flat[2], 16, "vendor")
    _bytes(flat[3], 16, "class")
    for text in flat[4:6]:
        if not isinstance(text, str) or len(text) > 32:
            raise ReportError("role and board are texts of up to 32 characters")
    components = []
    kinds = set()
    for component in _list(flat[8], 1, MAX_PARTS, 4, "components"):
        kind = whole(component[0], 0, KEYS, "component")
        if kind in kinds:
            raise ReportError("component %d is there twice" % kind)
        kinds.add(kind)
        whole(component[1], 1, 0xFFFFFF, "size")
        _bytes(component[2], DIGEST, "digest")
        version = component[3]
        if kind != MODEM:
            whole(version, 0, 0xFFFFFF, "version")
        elif not isinstance(version, str) or len(version) > 64:
            raise ReportError("a modem's version is a text of up to 64 characters")
        components.append(Component(kind, component[1], component[2], version))
    needs = []
    for need in _list(flat[9], 0, MAX_PARTS, 2, "needs"):
        whole(need[0], 0, KEYS, "component")
        whole(need[1], 1, MAX_SEQUENCE, "sequence")
        needs.append((need[0], need[1]))
    return Manifest(
        sequence, flat[2], flat[3], flat[4], flat[5], _range(flat[6], 0xFFFF, "abi"),
        _range(flat[7], 0xFFFFFF, "runtime"), components, needs,
        whole(flat[10], 0, 0xFFFFFFFF, "expiry"),
    )  # fmt: skip


def seal(manifest: bytes, signatures: "list[tuple[bytes, bytes, bytes]]") -> bytes:
    """The envelope of a manifest: with [(key id, signature, modulus)]. Of a release key nodes have
    the modulus: there it is b""; of a root key they have the digest alone.

    Its length is a multiple of 16: what follows in the stream begins on one.
    """
    several = [list(one) for one in signatures]
    left = -len(cbor.encode([manifest, several, b""])) % _UNIT
    return cbor.encode([manifest, several, bytes(left)])


def unseal(data: bytes) -> "tuple[bytes, list[tuple[bytes, bytes, bytes]]]":
    """The manifest's bytes and its signatures, or ReportError: nothing is verified yet."""
    if len(data) > MAX_ENVELOPE:
        raise ReportError("an envelope of over %d bytes" % MAX_ENVELOPE)
    manifest, several, left = _array(data, 3, "an envelope")
    if not isinstance(manifest, bytes):
        raise ReportError("a manifest is a byte string")
    if len(data) % _UNIT or not isinstance(left, bytes) or left != bytes(len(left) % _UNIT):
        raise ReportError("an envelope is filled up with zeros to a multiple of %d" % _UNIT)
    signatures = []
    kids = set()
    for kid, signature, modulus in _list(several, 1, 3, 3, "signatures"):
        _bytes(kid, KID, "key id")
        _bytes(signature, SIGNATURE, "signature")
        if modulus != b"":
            _bytes(modulus, SIGNATURE, "modulus")
        if kid in kids:
            raise ReportError("a key signs twice")
        kids.add(kid)
        signatures.append((kid, signature, modulus))
    return manifest, signatures


def bound(node_id: str, number: int, assignment: Assignment) -> bytes:
    """The bytes that an assignment's mac is over; `number` is the item's."""
    return b"kapok update\0down\0" + cbor.encode([node_id, number] + _flat(assignment))


def assign(assignment: Assignment) -> bytes:
    """The payload of an item of kind UPDATE."""
    return cbor.encode(_flat(assignment) + [assignment.mac])


def assigned(payload: bytes) -> Assignment:
    """The assignment in an item's payload, or ReportError."""
    flat = _array(payload, 6, "an assignment")
    sequence = whole(flat[0], 0, MAX_SEQUENCE, "sequence")
    if sequence:
        _bytes(flat[1], 16, "digest")
    whole(flat[2], 0, 0xFFFFFFFF, "expiry")
    whole(flat[3], 0, 0xFFFFFF, "size")
    parts = []
    total = 0
    for part in _list(flat[4], 1 if sequence else 0, MAX_PARTS, 4, "parts"):
        kind = whole(part[0], 0, KEYS, "component")
        form = whole(part[1], 0, FETCHED, "form")
        total += whole(part[2], 0, 0xFFFFFF, "size")
        _bytes(part[3], BASE if form == DELTA else 0, "base")
        parts.append((kind, form, part[2], part[3]))
    if total > flat[3]:
        raise ReportError("parts of %d bytes in a stream of %d" % (total, flat[3]))
    _bytes(flat[5], MAC, "mac")
    return Assignment(sequence, flat[1], flat[2], flat[3], parts, flat[5])


def _flat(a: Assignment) -> list:  # type: ignore[type-arg]
    return [a.sequence, a.digest, a.expiry, a.size, [list(part) for part in a.parts]]


def _array(data: bytes, length: int, what: str) -> list:  # type: ignore[type-arg]
    try:
        flat = cbor.decode(data)
    except cbor.CborError as e:
        raise ReportError("not strict CBOR: %s" % e)
    if not isinstance(flat, list) or len(flat) != length:
        raise ReportError("%s is an array of %d" % (what, length))
    return flat


def _list(value: object, least: int, most: int, width: int, what: str) -> list:  # type: ignore[type-arg]
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise ReportError("%s: %d to %d" % (what, least, most))
    for each in value:
        if not isinstance(each, list) or len(each) != width:
            raise ReportError("%s: arrays of %d" % (what, width))
    return value


def _bytes(value: object, length: int, what: str) -> None:
    if not isinstance(value, bytes) or len(value) != length:
        raise ReportError("%s: %d bytes" % (what, length))


def _range(value: object, most: int, what: str) -> "tuple[int, int]":
    if not isinstance(value, list) or len(value) != 2:
        raise ReportError("%s: [least, most]" % what)
    least = whole(value[0], 0, most, what)
    return least, whole(value[1], least, most, what)
