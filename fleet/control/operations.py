"""The downlink queue, in the caller's transaction: what waits for a node until it is settled."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import structlog
from sqlalchemy import ColumnElement, delete, func, insert, select, tuple_, update
from sqlalchemy.orm import Session

from fleet.control.desired_tables import DesiredNode
from fleet.control.ends import PROVISIONED, end_of_node, mark_delivered
from fleet.control.errors import ControlError
from fleet.control.numbers import next_number, take_numbers
from fleet.control.settling import CONFIG, Progress, ahead, progress, settle
from fleet.control.stamping import stamped
from fleet.control.tables import Downlink, DownlinkProgress
from fleet.identity.contexts import Context, next_contexts, rows_of
from fleet.identity.errors import IdentityError
from fleet.identity.operations import live_fingerprints
from fleet.identity.secret import SecretBytes
from fleet.identity.wrapping import Wrapper
from fleet.registry.operations import now_us as clock_us
from fleet.updates import anew as updates
from fleet.updates import stamping as assignments
from fleet.wire import cbor

__all__ = [
    "CERTIFICATE", "COMMAND", "CONFIG", "KEY", "KINDS", "UPDATE", "Item", "Pending", "Progress",
    "ahead", "cancel", "enqueue", "enqueue_key", "enqueue_many", "handed", "is_open", "item",
    "pending", "progress", "settle",
]  # fmt: skip

KEY, COMMAND, UPDATE, CERTIFICATE = 2, 3, 4, 5
KINDS = {
    CONFIG: "config", KEY: "key", COMMAND: "command", UPDATE: "update",
    CERTIFICATE: "certificate",
}  # fmt: skip
_SIGNED = {COMMAND: stamped, UPDATE: assignments.stamped}  # at hand-over, by these
MAX_ITEMS = 8  # of one answer
MAX_PAYLOAD = 8192  # bytes; over 512 a node fetches it in blocks
MAX_OPEN = 64  # items of one node
log = structlog.get_logger("control")


class Item(NamedTuple):
    """What a node is given. The payload of a KEY is a SecretBytes."""

    number: int
    kind: int
    payload: bytes


class Pending(NamedTuple):
    """A node's oldest open items, MAX_ITEMS at most, and how many more wait behind them."""

    items: list[Item]
    waiting: int


def enqueue(
    session: Session, node_id: str, kind: int, payload: bytes, expires_us: int | None = None
) -> int:
    """Queue an item for a node; its number, higher than any that the node ever had.

    ControlError: no such kind, a bad patch, too large, or too many items open. A KEY comes by
    `fleet.identity.oscore.rotate` alone.
    """
    if kind not in KINDS:
        raise ControlError(f"no such kind of downlink: {kind}; one of {', '.join(KINDS.values())}")
    if kind == CONFIG and not _is_patch(payload):
        raise ControlError("a configuration patch is a map in strict CBOR with texts for keys")
    if len(payload) > MAX_PAYLOAD:
        raise ControlError(f"a downlink of {len(payload)} bytes: {MAX_PAYLOAD} at most")
    number = next_number(session, node_id)
    open_items = session.scalar(
        select(func.count()).where(Downlink.node_id == node_id, *_open(clock_us()))
    )
    if (open_items or 0) >= MAX_OPEN:
        raise ControlError(
            f"{open_items} downlinks wait for node {node_id}: see kapok node downlinks {node_id}"
        )
    session.add(
        Downlink(
            node_id=node_id, number=number, kind=kind, payload=bytes(payload),
            created_us=clock_us(), expires_us=expires_us, refused=False,
        )
    )  # fmt: skip
    session.flush()
    return number


def enqueue_many(
    session: Session,
    kind: int,
    payloads: Mapping[str, Sequence[bytes]],
    expires_us: int | None = None,
    spared: Mapping[str, int] | None = None,
) -> dict[str, list[int]]:
    """Queue items for many nodes in a few statements; the numbers of each node that has room.

    `spared`: how many open items of a node are about to be taken back.
    """
    now = clock_us()
    room = _room(session, list(payloads), now)
    sizes = {
        node_id: len(several)
        for node_id, several in payloads.items()
        if len(several) <= room[node_id] + (spared or {}).get(node_id, 0)
    }
    last = take_numbers(session, sizes)
    numbers = {
        node_id: list(range(number - sizes[node_id] + 1, number + 1))
        for node_id, number in last.items()
    }
    rows = [
        {
            "node_id": node_id, "number": number, "kind": kind, "payload": bytes(payload),
            "created_us": now, "expires_us": expires_us, "refused": False,
        }
        for node_id, mine in numbers.items()
        for number, payload in zip(mine, payloads[node_id], strict=True)
    ]  # fmt: skip
    if rows:
        session.execute(insert(Downlink), rows)
    return numbers


def enqueue_key(session: Session, node_id: str, kid: bytes) -> int:
    """Queue the hand-over of the next context `kid`, unless it is queued; the item's number."""
    waits = session.scalar(
        select(Downlink.number).where(
            Downlink.node_id == node_id,
            Downlink.kind == KEY,
            Downlink.payload == kid,
            *_open(clock_us()),
        )
    )
    return enqueue(session, node_id, KEY, kid) if waits is None else waits


def pending(
    session: Session, wrapper: Wrapper, node_ids: Iterable[str], now_us: int
) -> dict[str, Pending]:
    """The open items of those of `node_ids` that have any, oldest first.

    A KEY whose secret cannot be had now, or is not wanted any more, is left out; so is a
    CERTIFICATE that was revoked meanwhile. A COMMAND is signed now, and good for ten minutes, an
    UPDATE for a week.
    """
    order = func.row_number().over(partition_by=Downlink.node_id, order_by=Downlink.number)
    total = func.count().over(partition_by=Downlink.node_id)
    ranked = (
        select(
            Downlink.node_id, Downlink.number, Downlink.kind, Downlink.payload,
            order.label("place"), total.label("total"),
        )
        .where(Downlink.node_id.in_(list(node_ids)), *_open(now_us))
        .subquery()
    )  # fmt: skip
    rows = session.execute(
        select(ranked)
        .where(ranked.c.place <= MAX_ITEMS)
        .order_by(ranked.c.node_id, ranked.c.number)
    ).all()
    keyed = {row.node_id for row in rows if row.kind == KEY}
    contexts = next_contexts(session, wrapper, keyed) if keyed else {}
    renewed = {row.node_id for row in rows if row.kind == CERTIFICATE}
    fingerprints = live_fingerprints(session, renewed) if renewed else set()
    signed = _signed(session, wrapper, rows, now_us)
    found: dict[str, Pending] = {}
    for row in rows:
        of_node = found.setdefault(row.node_id, Pending([], max(0, row.total - MAX_ITEMS)))
        payload = row.payload
        if row.kind == KEY:
            payload = _key(contexts.get(row.node_id), row.payload)
        elif row.kind == CERTIFICATE and _fingerprint(row.payload) not in fingerprints:
            payload = None
        elif row.kind in _SIGNED:
            payload = signed.get((row.node_id, row.number), payload)
        if payload is not None:
            of_node.items.append(Item(row.number, row.kind, payload))
    return {node_id: given for node_id, given in found.items() if any(given)}


def item(
    session: Session, wrapper: Wrapper, node_id: str, number: int, now_us: int
) -> Item | None:
    """One open item of a node, for a node that fetches it; None when there is none."""
    row = session.execute(
        select(Downlink.kind, Downlink.payload).where(
            Downlink.node_id == node_id, Downlink.number == number, *_open(now_us)
        )
    ).first()
    if row is None:
        return None
    if row.kind in _SIGNED:
        waits = _SIGNED[row.kind](session, wrapper, [(node_id, number)], now_us)
        signed = waits.get((node_id, number), row.payload)
        return None if signed is None else Item(number, row.kind, signed)
    if row.kind != KEY:
        return Item(number, row.kind, row.payload)
    payload = _key(next_contexts(session, wrapper, [node_id]).get(node_id), row.payload)
    return None if payload is None else Item(number, KEY, payload)


def is_open(session: Session, node_id: str, number: int) -> bool:
    """Whether an item still waits for its node, handed or not."""
    found = session.scalar(
        select(Downlink.number).where(
            Downlink.node_id == node_id, Downlink.number == number, *_open(clock_us())
        )
    )
    return found is not None


def handed(session: Session, numbers: Mapping[str, Iterable[int]], now_us: int) -> None:
    """Mark items, by node, as put into an answer; the first time counts."""
    keys = [(node_id, number) for node_id, several in numbers.items() for number in several]
    if not keys:
        return
    new = session.execute(
        update(Downlink)
        .where(tuple_(Downlink.node_id, Downlink.number).in_(keys), Downlink.handed_us.is_(None))
        .values(handed_us=now_us)
        .returning(Downlink.node_id, Downlink.number, Downlink.kind)
        .execution_options(synchronize_session=False)
    )
    commands = [(node_id, number) for node_id, number, kind in new if kind == COMMAND]
    if commands:
        mark_delivered(session, commands, now_us)


def _fingerprint(payload: bytes) -> str:
    value = cbor.decode(payload)
    return sha256(value[0]).hexdigest() if isinstance(value, list) else ""


def cancel(session: Session, node_id: str) -> int:
    """Let what waits for a node expire now, as when it is provisioned anew; how many items."""
    changed = session.execute(
        update(Downlink)
        .where(Downlink.node_id == node_id, *_open(clock_us()))
        .values(expires_us=clock_us())
    )
    end_of_node(session, node_id, PROVISIONED)
    updates.provisioned(session, node_id, clock_us())
    # Its configuration is a new one: what was in force, and what was wanted of it, is no more.
    session.execute(
        update(DownlinkProgress)
        .where(DownlinkProgress.node_id == node_id)
        .values(base=DownlinkProgress.last_number)
    )
    session.execute(delete(DesiredNode).where(DesiredNode.node_id == node_id))
    return rows_of(changed)


def _signed(
    session: Session, wrapper: Wrapper, rows: Sequence[Any], now_us: int
) -> dict[tuple[str, int], bytes | None]:
    found: dict[tuple[str, int], bytes | None] = {}
    for kind, sign in _SIGNED.items():
        keys = [(row.node_id, row.number) for row in rows if row.kind == kind]
        if keys:
            found |= sign(session, wrapper, keys, now_us)
    return found


def _is_patch(payload: bytes) -> bool:
    try:
        patch = cbor.decode(payload)
    except cbor.CborError:
        return False
    return isinstance(patch, dict) and all(isinstance(key, str) for key in patch)


def _open(now_us: int) -> tuple[ColumnElement[bool], ...]:
    unexpired = Downlink.expires_us.is_(None) | (Downlink.expires_us > now_us)
    return Downlink.settled_us.is_(None), unexpired


def _room(session: Session, node_ids: Sequence[str], now_us: int) -> dict[str, int]:
    counted = session.execute(
        select(Downlink.node_id, func.count())
        .where(Downlink.node_id.in_(node_ids), *_open(now_us))
        .group_by(Downlink.node_id)
    )
    return {**dict.fromkeys(node_ids, MAX_OPEN), **{row[0]: MAX_OPEN - row[1] for row in counted}}


def _key(context: Context | None, kid: bytes) -> SecretBytes | None:
    if context is None or context.kid != kid:
        return None  # the node uses it already, or was revoked
    try:
        return SecretBytes(cbor.encode([kid, context.secret]))
    except IdentityError as e:  # it must not cost the node the receipt of its readings
        log.error("a key cannot be handed over", node=context.node_id, reason=str(e))
        return None
