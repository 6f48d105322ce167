"""What nodes say became of their items: records of the quantities 900 to 902, in the caller's
transaction. A result is believed only of an item that was handed over.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from fleet.control import desired, ends
from fleet.control.command_tables import Delivery
from fleet.control.operations import CONFIG
from fleet.control.tables import Downlink
from fleet.registry.operations import now_us
from fleet.wire import command

ITEM, RESULT, DETAIL = 900, 901, 902  # quantities: number of the item, a result, what it says more
QUANTITIES = range(ITEM, DETAIL + 1)
_RESULTS = range(256)

log = structlog.get_logger("control")


class Words(Protocol):
    """As much of fleet.uplink.own_words.Words as is read here."""

    @property
    def node_id(self) -> str:
        """Who says so."""

    @property
    def values(self) -> Mapping[int, int]:
        """By quantity."""

    @property
    def trust(self) -> int:
        """As of a reading (fleet.telemetry.operations)."""


def told(session: Session, words: Sequence[Words]) -> None:
    """Note what became of the items that `words` name. Of a command the first result counts, of
    a configuration the last: a node that cannot reach its fleet by a new one goes back.
    """
    for one in words:
        number, result = one.values.get(ITEM, 0), one.values.get(RESULT, -1)
        if result not in _RESULTS or not 0 < number < 1 << 31:
            continue
        kind = session.scalar(
            update(Downlink)
            .where(
                Downlink.node_id == one.node_id,
                Downlink.number == number,
                Downlink.handed_us.is_not(None),
            )
            .values(
                result=result, detail=one.values.get(DETAIL, 0), refused=result != command.DONE
            )
            .returning(Downlink.kind)
            .execution_options(synchronize_session=False)
        )
        if kind is None:
            # Of an item that this database never gave, as one that was restored from a backup.
            log.warning("a result of an unknown item", node=one.node_id, number=number)
        elif kind == CONFIG:
            desired.told(session, [one.node_id])
        else:
            _settle(session, one, number, result)


def state_of(result: int) -> str:
    """The state that a node's result makes of a command."""
    if result == command.DONE:
        return ends.EXECUTED
    return ends.EXPIRED if result == command.EXPIRED else ends.REFUSED


def _settle(session: Session, one: Words, number: int, result: int) -> None:
    mine = (Delivery.node_id == one.node_id) & (Delivery.number == number)
    found = session.execute(
        select(Delivery.command_id, Delivery.state, Delivery.result).where(mine).with_for_update()
    ).first()
    if found is None:
        return  # an item that is no command
    if found.result is not None:
        log.warning("a command has two results", node=one.node_id, number=number, second=result)
        return
    session.execute(
        update(Delivery)
        .where(mine)
        .values(
            state=state_of(result), why="", result=result, detail=one.values.get(DETAIL, 0),
            trust=one.trust, ended_us=now_us(),
        )
        .execution_options(synchronize_session=False)
    )  # fmt: skip
    if found.state in ends.OPEN:
        ends.count_ended(session, found.command_id, 1)
