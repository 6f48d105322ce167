"""What nodes say became of their items: records of the quantities 900 to 902, in the caller's
transaction. A result is believed only of an item that was handed over.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from fleet import schema
from fleet.control import desired, ends
from fleet.control.command_tables import Delivery
from fleet.control.operations import CONFIG
from fleet.control.tables import Downlink
from fleet.registry.operations import now_us
from fleet.wire import command

ITEM, RESULT, DETAIL = 900, 901, 902  # quantities: number of the item, a result, what it says more
QUANTITIES = range(ITEM, DETAIL + 1)
_RESULTS = range(256)
KEY_RESULTS = range(schema.UNKNOWN, schema.BOARDS + 1)  # the detail is the CRC-32 of a key's name
MOST_TOLD = 16  # of one item

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

    FORGED ends nothing: the node has not taken the number, and is given the item again. Whoever
    can put a forged item on its way could else hide that the true one was done.
    """
    for one in words:
        number, result = one.values.get(ITEM, 0), one.values.get(RESULT, -1)
        if result not in _RESULTS or not 0 < number < 1 << 31:
            continue
        kind = _note(session, one, number, result)
        if kind is None:
            # Of an item that this database never gave, as one that was restored from a backup.
            log.warning("a result of an unknown item", node=one.node_id, number=number)
        elif kind == CONFIG:
            desired.told(session, [one.node_id])
        else:
            _settle(session, one, number, result)


def _note(session: Session, one: Words, number: int, result: int) -> int | None:
    """Keep what was told of an item that was handed over; its kind, None when there is none."""
    mine = (Downlink.node_id == one.node_id) & (Downlink.number == number)
    found = session.execute(
        select(Downlink.kind, Downlink.told)
        .where(mine, Downlink.handed_us.is_not(None))
        .with_for_update()
    ).first()
    if found is None:
        return None
    said = [result, one.values.get(DETAIL, 0)]
    told = json.loads(found.told) if found.told is not None else []
    # Wrong keys come one by one; whatever else comes is the whole story.
    of_keys = result in KEY_RESULTS
    kept = [each for each in told if of_keys and each[0] in KEY_RESULTS and each != said]
    session.execute(
        update(Downlink)
        .where(mine)
        .values(
            told=json.dumps([*kept[: MOST_TOLD - 1], said]),
            refused=result not in (command.DONE, command.FORGED),
        )
        .execution_options(synchronize_session=False)
    )
    return int(found.kind)


def state_of(result: int) -> str:
    """The state that a node's result makes of a command."""
    if result == command.DONE:
        return ends.EXECUTED
    return ends.EXPIRED if result == command.EXPIRED else ends.REFUSED


def _settle(session: Session, one: Words, number: int, result: int) -> None:
    mine = (Delivery.node_id == one.node_id) & (Delivery.number == number)
    found = session.execute(
        select(Delivery.command_id, Delivery.state, Delivery.result, Delivery.detail)
        .where(mine)
        .with_for_update()
    ).first()
    if found is None:
        return  # an item that is no command
    if found.result not in (None, command.FORGED):
        log.warning("a command has two results", node=one.node_id, number=number, second=result)
        return
    values: dict[str, object] = {"result": result, "trust": one.trust}
    if result == command.FORGED:
        values["detail"] = (found.detail or 0) + 1  # how often: it is signed by another key then
    else:
        values["detail"] = one.values.get(DETAIL, 0)
        values |= {"state": state_of(result), "why": "", "ended_us": now_us()}
    session.execute(
        update(Delivery).where(mine).values(**values).execution_options(synchronize_session=False)
    )
    if result == command.FORGED:
        log.warning("a node was given a forged command", node=one.node_id, number=number)
    elif found.state in ends.OPEN:
        ends.count_ended(session, found.command_id, 1)
