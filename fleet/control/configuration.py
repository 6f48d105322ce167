"""Configuration of a node over the air: patches that are queued, and what is in force of them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.control.errors import ControlError
from fleet.control.operations import CONFIG, enqueue
from fleet.control.tables import Downlink, DownlinkProgress
from fleet.wire import cbor

MAX_PATCH = 512  # bytes: it fits into a receipt


class Applied(NamedTuple):
    """`number` of the newest patch in force, 0: none; `values`: all patches up to it, merged."""

    number: int
    values: dict[str, Any]


def configure(
    session: Session, node_id: str, patch: Mapping[str, Any], expires_us: int | None = None
) -> int:
    """Queue a patch: keys that the node sets, or deletes where the value is None; its number.

    ControlError for a value that cannot be sent: integers of 64 bits, texts, lists, maps,
    true and false can.
    """
    if not patch:
        raise ControlError("a configuration patch without keys")
    for key in patch:
        if not 0 < len(key) <= 32 or not key.isascii() or not key.isprintable():
            raise ControlError(f"configuration key {key[:40]!r}: 1 to 32 printable ASCII signs")
    try:
        payload = cbor.encode(dict(patch))
        cbor.decode(payload)  # as the node will: it takes integers of one bit less
    except (cbor.CborError, UnicodeError) as e:
        raise ControlError(
            f"a configuration value cannot be sent: {e}; integers, texts, lists, maps can"
        ) from None
    if len(payload) > MAX_PATCH:
        raise ControlError(f"a patch of {len(payload)} bytes: {MAX_PATCH} at most, make it two")
    return enqueue(session, node_id, CONFIG, payload, expires_us)


def applied(session: Session, node_id: str) -> Applied:
    """What of its patches a node says to have in force; the configuration below is not in it."""
    row = session.get(DownlinkProgress, node_id, populate_existing=True)
    number, base = (row.applied, row.base) if row is not None else (0, 0)
    payloads = session.scalars(
        select(Downlink.payload)
        .where(
            Downlink.node_id == node_id,
            Downlink.kind == CONFIG,
            Downlink.number > base,
            Downlink.number <= number,
            Downlink.settled_us.is_not(None),
            Downlink.refused.is_(False),
            # What ended before it was handed over was never the node's, whatever came later.
            Downlink.handed_us.is_not(None) | Downlink.expires_us.is_(None),
        )
        .order_by(Downlink.number)
    )
    values: dict[str, Any] = {}
    for payload in payloads:
        patch = cbor.decode(payload)
        if isinstance(patch, dict):
            values.update(patch)
    return Applied(number, {key: value for key, value in values.items() if value is not None})
