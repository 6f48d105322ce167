"""Per-node HMAC keys: by which a node tells an assignment of its fleet from any other text."""

import secrets
import time
from collections.abc import Iterable

import structlog
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from fleet.identity.errors import IdentityError
from fleet.identity.secret import SecretBytes
from fleet.identity.token_tables import NodeHmacKey
from fleet.identity.wrapping import Wrapper

KEY_BYTES = 32
log = structlog.get_logger("identity")


def next_key(session: Session, wrapper: Wrapper, node_id: str) -> SecretBytes:
    """The key that a node is to change to, made where there is none.

    One that was made before is given again: the board may hold it already.
    """
    waiting = session.scalar(select(NodeHmacKey).where(NodeHmacKey.next_for == node_id))
    if waiting is not None:
        return wrapper.unwrap(waiting.secret, _binding(node_id))
    key = SecretBytes(secrets.token_bytes(KEY_BYTES))
    session.add(
        NodeHmacKey(
            node_id=node_id,
            next_for=node_id,
            secret=wrapper.wrap(key, _binding(node_id)),
            created_us=time.time_ns() // 1000,
        )
    )
    session.flush()
    return key


def promote(session: Session, node_id: str) -> None:
    """The node has the key that it was to change to: the old one goes."""
    waiting = session.scalar(
        select(NodeHmacKey).where(NodeHmacKey.next_for == node_id).with_for_update()
    )
    if waiting is None:
        return
    session.execute(delete(NodeHmacKey).where(NodeHmacKey.current_for == node_id))
    waiting.current_for, waiting.next_for = node_id, None
    session.flush()


def keys(session: Session, wrapper: Wrapper, node_id: str) -> list[SecretBytes]:
    """The keys that the node may hold: current first, then the one that it is to change to."""
    rows = session.scalars(
        select(NodeHmacKey)
        .where(NodeHmacKey.node_id == node_id)
        .order_by(NodeHmacKey.current_for.is_(None))
    )
    return [wrapper.unwrap(row.secret, _binding(node_id)) for row in rows]


def current(session: Session, wrapper: Wrapper, node_ids: Iterable[str]) -> dict[str, SecretBytes]:
    """The keys by which nodes check what they are told now; a key that cannot be unwrapped is
    left out: it must not cost a node the receipt of its readings.
    """
    rows = session.execute(
        select(NodeHmacKey.node_id, NodeHmacKey.secret).where(
            NodeHmacKey.current_for.in_(list(node_ids))
        )
    )
    found = {}
    for node_id, secret in rows:
        try:
            found[node_id] = wrapper.unwrap(secret, _binding(node_id))
        except IdentityError as e:
            log.error("a key for commands cannot be had", node=node_id, reason=str(e))
    return found


def holders(session: Session, node_ids: Iterable[str]) -> set[str]:
    """Those of `node_ids` that have a key."""
    query = select(NodeHmacKey.node_id).where(NodeHmacKey.current_for.in_(list(node_ids)))
    return set(session.scalars(query))


def revoke(session: Session, node_id: str) -> None:
    """Forget every key of a node."""
    session.execute(delete(NodeHmacKey).where(NodeHmacKey.node_id == node_id))


def _binding(node_id: str) -> bytes:
    return b"hmac\0" + node_id.encode()
