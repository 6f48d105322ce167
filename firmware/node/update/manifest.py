"""Whether a release may be installed here: who signed it, what for, and that it is not older.

Both halves of that must agree: the release keys say what exists, an assignment under the node's
own key which of it this node gets. Refused says by its result which of them does not.
"""

import hashlib
import sys
from collections import namedtuple

from node.update import pss
from node.update.ends import Refused
from node.wire import release, trust
from node.wire.uplink import ReportError

Here = namedtuple("Here", ("floor", "runs", "role", "board", "abi", "runtime", "keys"))
"""What a release is held against: `floor`: the highest sequence that was ever confirmed here;
`runs`: that of the release that runs (0: of none); names of role and board; `abi` as abi() gives;
`runtime` as Component.version; `keys`: the sequence of the keys that are trusted."""


def abi() -> int:
    """The newest .mpy files that this runtime takes: 256 * version + sub-version."""
    mpy = getattr(sys.implementation, "_mpy", 0x0306)
    return (mpy & 0xFF) << 8 | mpy >> 8 & 3


def runtime() -> int:
    """The runtime's version, as Component.version."""
    version = sys.implementation.version
    return version[0] << 16 | version[1] << 8 | version[2]


def verify(envelope: bytes, digest: bytes, trusted: bytes) -> "tuple[release.Manifest, bool]":
    """The manifest in an envelope that the keys in `trusted` (NVS `trust`) have signed, and
    whether enough root keys have. `digest` is the assignment's.

    One release key is enough, or as many root keys as `trusted` says: those alone for other keys.
    """
    try:
        keys = trust.decode(trusted)
        raw, signatures = release.unseal(envelope)
    except ReportError:
        raise Refused(release.MALFORMED)
    if hashlib.sha256(raw).digest()[: len(digest)] != digest or len(digest) != 16:
        raise Refused(release.BAD_DIGEST)
    message = release.signed(raw)
    known = {hashlib.sha256(key).digest()[: release.KID]: key for key in keys.keys}
    good = False
    roots: "list[bytes]" = []
    for kid, signature, modulus in signatures:
        key = modulus or known.get(kid)
        if not key:
            continue  # a key that other nodes may trust
        mark = hashlib.sha256(key).digest()
        if mark[: release.KID] != kid:
            continue
        root = mark in keys.roots
        if not root and key not in keys.keys:
            continue
        if not pss.verify(key, message, signature):
            raise Refused(release.BAD_SIGNATURE)
        if root and mark not in roots:
            roots.append(mark)
        good = good or key in keys.keys
    rooted = len(roots) >= keys.threshold
    if not good and not rooted:
        raise Refused(release.BAD_SIGNATURE)
    try:
        manifest = release.decode(raw)
    except ReportError:
        raise Refused(release.MALFORMED)
    return manifest, rooted


def judge(m, rooted: bool, assignment, here: Here) -> None:
    """Refused unless the release is for this node, newer than what it has, and whole."""
    if m.sequence != assignment.sequence:
        raise Refused(release.MALFORMED)
    newer(m.sequence, here)
    kinds = [component.kind for component in m.components]
    if not rooted:
        if release.KEYS in kinds:
            raise Refused(release.BAD_SIGNATURE)
        if m.sequence > here.floor + release.MAX_JUMP:
            raise Refused(release.JUMP)
    if m.role and m.role != here.role:
        raise Refused(release.WRONG_ROLE)
    if m.board and m.board != here.board:
        raise Refused(release.WRONG_BOARD)
    version = here.runtime
    for component in m.components:
        if component.kind == release.RUNTIME:
            version = component.version  # which brings its own .mpy version
    if version == here.runtime and not m.abi[0] <= here.abi <= m.abi[1]:
        raise Refused(release.WRONG_ABI)
    if not m.runtime[0] <= version <= m.runtime[1]:
        raise Refused(release.WRONG_RUNTIME)
    have = {
        release.APPLICATION: here.floor,
        release.KEYS: here.keys,
        release.RUNTIME: here.runtime,
    }
    for kind, least in m.needs:
        if have.get(kind, 0) < least:
            raise Refused(release.MISSING)
    _whole(m, assignment)


def newer(sequence: int, here: Here) -> None:
    """Refused when `sequence` runs already, or is below the floor. At the floor it was confirmed
    here once and is damaged: it may be installed again."""
    if sequence == here.runs:
        raise Refused(release.ALREADY)
    if sequence < here.floor:
        raise Refused(release.OLDER)


def _whole(m, assignment) -> None:
    # What the assignment sends is what the manifest has: no part less, none more, none larger.
    parts = {kind: (form, size) for kind, form, size, _ in assignment.parts}
    if len(parts) != len(assignment.parts) or len(parts) != len(m.components):
        raise Refused(release.MALFORMED)
    for component in m.components:
        form, size = parts.get(component.kind, (-1, 0))
        fetched = component.kind == release.MODEM
        if (form == release.FETCHED) != fetched or (fetched and size):
            raise Refused(release.MALFORMED)
        if form < 0 or (form == release.PLAIN and size != component.size):
            raise Refused(release.MALFORMED)
