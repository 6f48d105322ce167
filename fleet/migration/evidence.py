"""Evidence: facts in one chain of SHA-256 digests, signed by the fleet's key at each transaction's
end. A signature over a digest vouches for all before it.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from fleet.migration.breaches import Breach, LedgerError
from fleet.migration.ledger_tables import Evidence
from fleet.releases.signers import Signer

_LABEL: Final = b"kapok evidence 1\n"
_GENESIS: Final = bytes(32)
_PAGE: Final = 5000
_HEAD: Final = re.compile(r"([0-9]{1,12}):([0-9a-f]{64})")


class Fact(NamedTuple):
    """What is on record. `item_id` and `asset_id` None: of none; times in us."""

    id: int
    previous: bytes | None
    digest: bytes
    at_us: int
    actor: str
    person: str
    kind: str
    item_id: int | None
    asset_id: int | None
    body: str


class Chain:
    """What one transaction puts on record, behind what is there."""

    def __init__(self, session: Session, signer: Signer) -> None:
        self._session = session
        self._signer = signer
        self._facts: list[Fact] = []
        self._head: tuple[int, bytes | None] | None = None

    def note(
        self, kind: str, at_us: int, actor: str, person: str, body: Mapping[str, Any], *,
        item_id: int | None = None, asset_id: int | None = None,
    ) -> int:  # fmt: skip
        """Put a fact on record; its id. It is stored by `write`, before whatever refers to it."""
        if self._head is None:
            self._head = _head(self._session)
        last, previous = self._head
        fact = Fact(
            last + 1, previous, b"", at_us, actor, person, kind, item_id, asset_id, canonical(body)
        )
        fact = fact._replace(digest=digest_of(fact))
        self._facts.append(fact)
        self._head = (fact.id, fact.digest)
        return fact.id

    def write(self) -> None:
        """Store what was noted since, the last of it signed."""
        if not self._facts:
            return
        rows = [{**fact._asdict(), "key_id": None, "signature": None} for fact in self._facts]
        rows[-1]["key_id"] = key_id(self._signer.modulus)
        rows[-1]["signature"] = self._signer.sign(_LABEL + self._facts[-1].digest)
        # One after the other: each row refers to the one before it.
        self._session.execute(insert(Evidence), rows)
        self._facts.clear()


def canonical(body: Mapping[str, Any]) -> str:
    """JSON, always the same for the same."""
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def key_id(modulus: bytes) -> bytes:
    """The eight bytes by which a key is known."""
    return hashlib.sha256(modulus).digest()[:8]


def digest_of(fact: Fact) -> bytes:
    """SHA-256 over the digest before it and all that the fact says."""
    said = [
        fact.id, fact.at_us, fact.actor, fact.person, fact.kind, fact.item_id, fact.asset_id,
        fact.body,
    ]  # fmt: skip
    raw = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    return hashlib.sha256(_LABEL + (fact.previous or _GENESIS) + raw).digest()


def verify(session: Session, keys: Mapping[bytes, bytes]) -> Breach | None:
    """The first thing that is wrong with the chain; `keys`: trusted moduli by their ids."""
    previous: bytes | None = None
    number = 0
    signature: tuple[bytes | None, bytes | None] = (None, None)
    for fact, *seal in facts(session):
        number += 1
        if fact.id != number:
            return _breach(f"fact {number} is missing", fact)
        if fact.previous != previous:
            return _breach(f"fact {fact.id} does not follow the one before it", fact)
        if digest_of(fact) != fact.digest:
            return _breach(f"fact {fact.id} ({fact.kind}) was changed", fact)
        previous, signature = fact.digest, (seal[0], seal[1])
    if previous is None:
        return None
    key, made = signature
    if key is None or made is None:
        return _breach(f"fact {number} is the last one and not signed")
    if key not in keys:
        return _breach(f"fact {number} is signed by an unknown key {key.hex()}: pki/evidence.key")
    if not is_signed(keys[key], previous, made):
        return _breach(f"the signature of fact {number} is wrong")
    return None


def head(session: Session) -> str:
    """The last fact, ID:DIGEST in hexadecimal; empty: there is none. Who keeps it elsewhere sees
    later whether anything up to it was cut off, which the chain itself cannot tell.
    """
    number, digest = _head(session)
    return f"{number}:{digest.hex()}" if digest is not None else ""


def read_head(text: str) -> tuple[int, bytes]:
    """Id and digest of what `head` wrote; LedgerError."""
    found = _HEAD.fullmatch(text.strip())
    if found is None:
        raise LedgerError(
            f"{text[:20]!r} is no head of evidence: ID:DIGEST, as kapok migrate audit told it"
        )
    return int(found[1]), bytes.fromhex(found[2])


def has(session: Session, number: int, digest: bytes) -> bool:
    """Whether that fact is on record."""
    return session.scalar(select(Evidence.digest).where(Evidence.id == number)) == digest


def is_signed(modulus: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether the key of this modulus signed a fact's digest (RSA-PSS, SHA-256)."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
    from cryptography.hazmat.primitives.hashes import SHA256

    from fleet.releases.verify import EXPONENT, PSS

    try:
        key = RSAPublicNumbers(EXPONENT, int.from_bytes(modulus, "big")).public_key()
        key.verify(signature, _LABEL + digest, PSS, SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def facts(session: Session) -> Iterator[tuple[Fact, bytes | None, bytes | None]]:
    """All, oldest first, with key id and signature; a page at a time."""
    after = 0
    columns = [getattr(Evidence, name) for name in (*Fact._fields, "key_id", "signature")]
    while True:
        rows = session.execute(
            select(*columns).where(Evidence.id > after).order_by(Evidence.id).limit(_PAGE)
        ).all()
        for row in rows:
            yield Fact(*row[:-2]), row[-2], row[-1]
        if len(rows) < _PAGE:
            return
        after = rows[-1][0]


def of_item(session: Session, item_id: int) -> list[Fact]:
    """What is on record of an item, oldest first."""
    columns = [getattr(Evidence, name) for name in Fact._fields]
    rows = session.execute(
        select(*columns).where(Evidence.item_id == item_id).order_by(Evidence.id)
    )
    return [Fact(*row) for row in rows]


def _head(session: Session) -> tuple[int, bytes | None]:
    row = session.execute(
        select(Evidence.id, Evidence.digest).order_by(Evidence.id.desc()).limit(1)
    ).first()  # two writers at once meet the primary key: one of them tries again
    return (0, None) if row is None else (row.id, row.digest)


def _breach(text: str, fact: Fact | None = None) -> Breach:
    return Breach("E", fact.asset_id if fact else None, None, text)
