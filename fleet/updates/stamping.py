"""The hand-over of assignments: what a node gets is signed at this moment, under its item's
number, and good for seven days. What lies in the queue is good for nothing.
"""

import hmac
from collections.abc import Iterable
from typing import Any

import structlog
from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from fleet.identity import hmac_keys
from fleet.identity.secret import SecretBytes
from fleet.identity.wrapping import Wrapper
from fleet.updates import shelf
from fleet.updates.deadlines import ASSIGNED_S
from fleet.updates.tables import Assigned
from fleet.wire import cbor, release

Key = tuple[str, int]  # node id, number of the item

log = structlog.get_logger("updates")


def stamped(
    session: Session, wrapper: Wrapper, keys: Iterable[Key], now_us: int
) -> dict[Key, bytes | None]:
    """The payloads of those of `keys` that are assignments of `offers`, as of `now_us`.

    None: it may not be handed over now: taken back, its release revoked, or the node's key
    missing. Locks the assignments, so that none is taken back between this and the commit.
    """
    rows = session.execute(
        select(
            Assigned.node_id, Assigned.number, Assigned.sequence, Assigned.digest, Assigned.size,
            Assigned.parts, Assigned.withdrawn_us, Assigned.forged,
        )
        .where(tuple_(Assigned.node_id, Assigned.number).in_(list(keys)))
        .with_for_update()
    ).all()  # fmt: skip
    if not rows:
        return {}
    held = hmac_keys.held(session, wrapper, {row.node_id for row in rows})
    gone = {n for n in {row.sequence for row in rows} if n and not shelf.may_be_given(session, n)}
    found: dict[Key, bytes | None] = {}
    for row in rows:
        may = row.withdrawn_us is None and row.sequence not in gone
        secret = _key(held.get(row.node_id, []), row.forged)
        if may and secret is None:
            log.error("an assignment cannot be signed", node=row.node_id, number=row.number)
        key = (row.node_id, row.number)
        found[key] = _signed(bytes(secret), row, now_us) if may and secret is not None else None
    return found


def parts_of(raw: bytes) -> "list[tuple[int, int, int, bytes]]":
    """The parts that a row holds: (kind, form, bytes, base) each."""
    flat = cbor.decode(raw)
    if not isinstance(flat, list):
        raise ValueError("the parts of an assignment are damaged")
    return [tuple(part) for part in flat]


def _key(held: list[SecretBytes], forged: int) -> SecretBytes | None:
    """As of a command: each time that the node finds a signature wrong, the other key that a
    board which was provisioned anew may hold.
    """
    return held[forged % len(held)] if held else None


def _signed(secret: bytes, row: Any, now_us: int) -> bytes:
    expiry = now_us // 1_000_000 + ASSIGNED_S
    plain = release.Assignment(
        row.sequence, row.digest, expiry, row.size, parts_of(row.parts), bytes(release.MAC)
    )
    text = release.bound(row.node_id, row.number, plain)
    mac = hmac.digest(secret, text, "sha256")[: release.MAC]
    return release.assign(plain._replace(mac=mac))
