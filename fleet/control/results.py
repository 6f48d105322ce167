"""What nodes say became of their items: records of the quantities 900 to 902, in the caller's
transaction. A result is believed only of an item that was handed over.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from sqlalchemy import update
from sqlalchemy.orm import Session

from fleet.control.tables import Downlink
from fleet.wire import command

ITEM, RESULT, DETAIL = 900, 901, 902  # quantities: number of the item, a result, what it says more
QUANTITIES = range(ITEM, DETAIL + 1)


class Words(Protocol):
    """As much of fleet.uplink.own_words.Words as is read here."""

    @property
    def node_id(self) -> str:
        """Who says so."""

    @property
    def values(self) -> Mapping[int, int]:
        """By quantity."""


def told(session: Session, words: Sequence[Words]) -> None:
    """Note what became of the items that `words` name."""
    for one in words:
        if ITEM not in one.values or RESULT not in one.values:
            continue
        if one.values[RESULT] != command.DONE:
            session.execute(
                update(Downlink)
                .where(
                    Downlink.node_id == one.node_id,
                    Downlink.number == one.values[ITEM],
                    Downlink.handed_us.is_not(None),
                )
                .values(refused=True)
            )
