"""The hand-over of commands: what a node gets is signed at this moment, under its item's number,
and good for ten minutes. What lies in the queue is good for nothing.
"""

import hmac
import json
from collections.abc import Iterable
from typing import Any

import structlog
from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from fleet.control import catalogue
from fleet.control.command_tables import Command, Delivery
from fleet.control.ends import OPEN
from fleet.identity import hmac_keys
from fleet.identity.wrapping import Wrapper
from fleet.wire import command

Key = tuple[str, int]  # node id, number of the item

log = structlog.get_logger("control")


def stamped(
    session: Session, wrapper: Wrapper, keys: Iterable[Key], now_us: int
) -> dict[Key, bytes | None]:
    """The payloads of those of `keys` that are commands of `commands.ask`, as of `now_us`.

    None: it may not be handed over now: without approval, taken back, or without the node's key.
    Locks the deliveries, so that none is taken back between this and the commit.
    """
    rows = session.execute(
        select(
            Delivery.node_id, Delivery.number, Delivery.state, Command.id, Command.code,
            Command.arguments, Command.until_us, Command.approved_us, Command.approved_by,
            Command.cancelled_by, Command.valve,
        )
        .join(Command, Command.id == Delivery.command_id)
        .where(tuple_(Delivery.node_id, Delivery.number).in_(list(keys)))
        .with_for_update(of=Delivery)
    ).all()  # fmt: skip
    secrets = hmac_keys.current(session, wrapper, {row.node_id for row in rows}) if rows else {}
    found: dict[Key, bytes | None] = {}
    for row in rows:
        approved = row.approved_us is not None and (row.approved_by is not None or not row.valve)
        may = approved and row.cancelled_by is None and row.state in OPEN
        secret = secrets.get(row.node_id)
        if may and secret is None:
            log.error("a command cannot be signed", node=row.node_id, command=row.id)
        found[row.node_id, row.number] = (
            _signed(bytes(secret), row, now_us)
            if may and secret is not None and row.until_us > now_us
            else None
        )
    return found


def _signed(secret: bytes, row: Any, now_us: int) -> bytes:
    now = now_us // 1_000_000
    arguments = [now] if catalogue.is_stamped(row.code) else json.loads(row.arguments)
    # Never beyond the approval: the node itself keeps its end.
    expiry = min(now + command.LONGEST_S, row.until_us // 1_000_000)
    text = command.signed(row.node_id, row.number, row.code, arguments, row.id, expiry)
    mac = hmac.digest(secret, text, "sha256")[: command.MAC]
    return command.encode(row.code, arguments, row.id, expiry, mac)
