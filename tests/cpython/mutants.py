"""Damaged and forged releases, as an attacker sends them who has everything but the keys that
sign: the assignment is always for what is sent, with a good mac.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from node.update import manifest
from node.update.ends import Refused
from node.wire import release
from node.wire.uplink import ReportError
from release_rig import EXPIRY, METER, Key, keys, of, signed, small_image

FLOOR = 100


class Sent(NamedTuple):
    """What reaches a node: the envelope, and the application."""

    envelope: bytes
    data: bytes


class Released(NamedTuple):
    """What was really signed."""

    manifests: frozenset[bytes]
    data: frozenset[bytes]


Taken = Callable[[Sent], bool]


def taken(sent: Sent) -> bool:
    """Whether a node installs it: by the firmware's own code."""
    try:
        raw, _ = release.unseal(sent.envelope)
    except ReportError:
        raw = b""  # whatever the assignment says of it then
    digest = hashlib.sha256(raw).digest()
    try:
        says, rooted = manifest.verify(sent.envelope, digest[:16], keys().trust)
        part = (release.APPLICATION, release.PLAIN, len(sent.data), b"")
        assigned = release.Assignment(
            says.sequence, digest[:16], EXPIRY, len(sent.envelope) + len(sent.data), [part], b""
        )
        here = manifest.Here(FLOOR, FLOOR, *METER, 0x603, 0x11D00, 1)
        manifest.judge(says, rooted, assigned, here)
    except Refused:
        return False
    (application,) = says.components
    return bool(
        len(sent.data) == application.size
        and hashlib.sha256(sent.data).digest() == application.digest
    )


class Campaign:
    """Mutants without end, from `seed`; `counts` says how many of each kind there were."""

    def __init__(self, seed: int, judge: Taken = taken) -> None:
        self._random = random.Random(seed)
        self._judge = judge
        self.counts: Counter[str] = Counter()
        good, other = (self._release(n) for n in (FLOOR + 1, FLOOR + 2))
        self._good, self._other = good, other
        self._released = Released(
            frozenset(release.unseal(one.envelope)[0] for one in (good, other)),
            frozenset(one.data for one in (good, other)),
        )
        assert self._judge(good)
        assert self._judge(other)

    def _release(self, sequence: int) -> Sent:
        image = small_image(sequence, app=bytes(200))
        made = signed(of({release.APPLICATION: image}, sequence), keys().release)
        return Sent(made.envelope, image)

    def run(self, count: int) -> list[Sent]:
        """That many mutants; those that a node would install though nobody signed them so."""
        found = []
        for _ in range(count):
            name, make = self._random.choice(KINDS)
            sent = make(self)
            self.counts[name] += 1
            if self._judge(sent) and not self._is_released(sent):
                found.append(sent)
        return found

    def _is_released(self, sent: Sent) -> bool:
        return (
            release.unseal(sent.envelope)[0] in self._released.manifests
            and sent.data in self._released.data
        )

    # -- the kinds ----------------------------------------------------------------------------

    def flipped(self) -> Sent:
        """Some bits of the envelope."""
        raw = bytearray(self._good.envelope)
        for _ in range(self._random.choice((1, 1, 1, 2, 8))):
            raw[self._random.randrange(len(raw))] ^= 1 << self._random.randrange(8)
        return self._good._replace(envelope=bytes(raw))

    def truncated(self) -> Sent:
        raw = self._good.envelope
        return self._good._replace(envelope=raw[: self._random.randrange(len(raw))])

    def spliced(self) -> Sent:
        """The beginning of one envelope and the end of another."""
        at = self._random.randrange(len(self._good.envelope))
        return self._good._replace(envelope=self._good.envelope[:at] + self._other.envelope[at:])

    def replaced(self) -> Sent:
        """Some bytes by any."""
        raw = bytearray(self._good.envelope)
        at = self._random.randrange(len(raw))
        count = self._random.randrange(1, 40)
        raw[at : at + count] = self._random.randbytes(self._random.choice((count, count, 3)))
        return self._good._replace(envelope=bytes(raw))

    def another_manifest(self) -> Sent:
        """Fields as the attacker wants them, under the signature of the real one."""
        raw, signatures = release.unseal(self._good.envelope)
        says = release.decode(raw)
        changed = self._random.choice([
            says._replace(sequence=says.sequence + self._random.randrange(1, 9999)),
            says._replace(role="", board=""),
            says._replace(expiry=0xFFFFFFFF),
            says._replace(abi=(0, 0xFFFF), runtime=(0, 0xFFFFFF)),
            says._replace(vendor=self._random.randbytes(16)),
            says._replace(needs=[(release.APPLICATION, 1)]),
        ])  # fmt: skip
        return self._good._replace(envelope=release.seal(release.encode(changed), signatures))

    def own_code(self) -> Sent:
        """The attacker's image in a manifest of his, under the real signature."""
        image = small_image(FLOOR + 3, app=self._random.randbytes(50))
        made = of({release.APPLICATION: image}, FLOOR + 3)
        _, signatures = release.unseal(self._good.envelope)
        return Sent(release.seal(made.manifest, signatures), image)

    def own_key(self) -> Sent:
        """Signed by a key of his: under its own id, or that of the real one; as a release key or
        with its modulus, as a root key has it.
        """
        image = small_image(FLOOR + 3, app=self._random.randbytes(50))
        made = of({release.APPLICATION: image}, FLOOR + 3)
        stranger = keys().stranger
        kid = self._random.choice([stranger, keys().release, *keys().roots]).kid
        modulus = self._random.choice([b"", stranger.modulus, keys().release.modulus])
        signature = _signature(stranger, made.manifest)
        return Sent(release.seal(made.manifest, [(kid, signature, modulus)]), image)

    def too_few_roots(self) -> Sent:
        """One root key that was lost, though two must agree, also twice."""
        image = small_image(FLOOR + 3)
        made = of({release.APPLICATION: image}, FLOOR + 3)
        root, stranger = keys().roots[0], keys().stranger
        one = (root.kid, _signature(root, made.manifest), root.modulus)
        two = (stranger.kid, _signature(stranger, made.manifest), stranger.modulus)
        again = (self._random.randbytes(8), one[1], one[2])
        several = self._random.choice([[one], [one, two], [two, one], [one, again]])
        return Sent(release.seal(made.manifest, several), image)

    def no_algorithm(self) -> Sent:
        """Signatures that are none: the numbers that stay what they are under any exponent."""
        image = small_image(FLOOR + 3, app=self._random.randbytes(50))
        made = of({release.APPLICATION: image}, FLOOR + 3)
        n = int.from_bytes(keys().release.modulus, "big")
        number = self._random.choice([0, 1, n - 1, n, (1 << 3072) - 1])
        signature = number.to_bytes(release.SIGNATURE, "big")
        return Sent(release.seal(made.manifest, [(keys().release.kid, signature, b"")]), image)

    def another_scheme(self) -> Sent:
        """By the real key, but for something else, or by another scheme."""
        image = small_image(FLOOR + 3)
        made = of({release.APPLICATION: image}, FLOOR + 3)
        signature = self._random.choice(_other_signatures(made.manifest))
        return Sent(release.seal(made.manifest, [(keys().release.kid, signature, b"")]), image)

    def other_data(self) -> Sent:
        """The real envelope, another image behind it."""
        data = bytearray(self._good.data)
        how = self._random.randrange(4)
        if how == 0:
            data[self._random.randrange(len(data))] ^= 1 << self._random.randrange(8)
        elif how == 1:
            del data[self._random.randrange(len(data)) :]
        elif how == 2:
            data += self._random.randbytes(self._random.randrange(1, 9))
        else:
            data = bytearray(self._other.data)
        return self._good._replace(data=bytes(data))


def _signature(key: Key, raw: bytes) -> bytes:
    made = _made.get((key.kid, raw))
    if made is None:
        made = _made[key.kid, raw] = key.sign(release.signed(raw))
        if len(_made) > 200:
            _made.pop(next(iter(_made)))
    return made


_made: dict[tuple[bytes, bytes], bytes] = {}


def _other_signatures(raw: bytes) -> list[bytes]:
    found = _others.get(raw)
    if found is None:
        key, message = keys().release._key, release.signed(raw)
        sha = SHA256()
        found = _others[raw] = [
            key.sign(message, padding.PKCS1v15(), sha),
            key.sign(message, padding.PSS(padding.MGF1(sha), 0), sha),
            key.sign(message, padding.PSS(padding.MGF1(sha), 20), sha),
            key.sign(message, padding.PSS(padding.MGF1(SHA384()), 32), sha),
            key.sign(message, padding.PSS(padding.MGF1(SHA384()), 32), SHA384()),
            keys().release.sign(raw),  # not told that it is a release
            keys().release.sign(b"kapok update\0down\0" + raw),
        ]
    return found


_others: dict[bytes, list[bytes]] = {}

# Bits are flipped most often: there are most of them.
KINDS: list[tuple[str, Callable[[Campaign], Sent]]] = [
    ("bit flips", Campaign.flipped),
    ("bit flips", Campaign.flipped),
    ("bit flips", Campaign.flipped),
    ("truncations", Campaign.truncated),
    ("splices", Campaign.spliced),
    ("replaced bytes", Campaign.replaced),
    ("another manifest", Campaign.another_manifest),
    ("own code", Campaign.own_code),
    ("own key", Campaign.own_key),
    ("too few root keys", Campaign.too_few_roots),
    ("no algorithm", Campaign.no_algorithm),
    ("another scheme", Campaign.another_scheme),
    ("other data", Campaign.other_data),
]
