"""The queues of nodes, as rollouts put offers into them."""

from collections.abc import Iterable

from sqlalchemy.orm import Session

from fleet.identity.wrapping import Wrapper
from fleet.rollouts.tables import Update
from fleet.updates import offers


class Queue:
    """An Offerer (offering.py) over fleet.updates."""

    def __init__(self, wrapper: Wrapper) -> None:
        self._wrapper = wrapper

    def offer(self, session: Session, updates: Iterable[Update], now_us: int) -> dict[int, int]:
        """Numbers of the items, by update; who gets none is left out."""
        return offers.offer(session, self._wrapper, updates, now_us)

    def withdraw(self, session: Session, updates: Iterable[Update], now_us: int) -> None:
        """Take back what was offered."""
        offers.withdraw(session, updates, now_us)
