"""The downlinks of a node as people see them."""

from typing import NamedTuple

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from fleet.control.operations import KINDS
from fleet.control.tables import Downlink
from fleet.registry.operations import now_us

PAGE = 1000  # rows of any list at most


class Listed(NamedTuple):
    """`size` of the payload in bytes (a KEY: of its kid); times in us since 1970 UTC."""

    number: int
    kind: str
    state: str
    size: int
    created_us: int
    expires_us: int | None
    handed_us: int | None
    settled_us: int | None
    result: int | None  # as the node told it
    detail: int | None


def list_(session: Session, node_id: str, limit: int = PAGE) -> list[Listed]:
    """A node's newest items, `limit` at most, by number.

    `state` is queued, handed, settled, refused or expired.
    """
    ended = Downlink.expires_us <= now_us()
    state = case(
        (ended & Downlink.handed_us.is_(None), "expired"),  # whatever was settled above it
        (Downlink.refused, "refused"),
        (Downlink.settled_us.is_not(None), "settled"),
        (ended, "expired"),
        (Downlink.handed_us.is_not(None), "handed"),
        else_="queued",
    )
    rows = session.execute(
        select(
            Downlink.number, Downlink.kind, state, func.length(Downlink.payload),
            Downlink.created_us, Downlink.expires_us, Downlink.handed_us, Downlink.settled_us,
            Downlink.result, Downlink.detail,
        )
        .where(Downlink.node_id == node_id)
        .order_by(Downlink.number.desc())
        .limit(min(limit, PAGE))
    ).all()  # fmt: skip
    return [Listed(row[0], KINDS[row[1]], *row[2:]) for row in reversed(rows)]
