"""A step over the connection that a terminal has to `kapok legacy serve`: an order in the
database, and what that process makes of it.
"""

import asyncio

from fleet.db.base import Database
from fleet.legacy import orders
from fleet.legacy.orders import Order
from fleet.migration.plugins import Step
from fleet.migration.sending import Said
from fleet.registry.operations import now_us

_LOOK_S = 0.3
_LATE_US = 5 * 1_000_000  # behind the deadline the serving process notes what it has


class ByConnection:
    """To one terminal, each text within `wait_s` or never."""

    def __init__(self, database: Database, terminal_id: str, person: str, wait_s: float) -> None:
        self._database, self._terminal_id, self._person = database, terminal_id, person
        self._wait_s = wait_s

    async def ask(self, step: Step) -> Said:
        """OrderError while another command has this terminal."""
        now = now_us()
        until = now + round(self._wait_s * 1e6)
        with self._database.begin() as session:
            number = orders.place(
                session, self._terminal_id, step.send, step.expects, self._person, (now, until)
            )
        try:
            order = await self._ended(number, until)
        except BaseException:  # whoever waited gave up: nobody is to send it any more
            self._give_up(number)
            raise
        return self._said(order)

    async def _ended(self, number: int, until: int) -> Order:
        while True:
            with self._database.read() as session:
                order = orders.get(session, number)
            if order.state not in (orders.OPEN, orders.SENT):
                return order
            now = now_us()
            if order.state == orders.OPEN and now >= until:
                self._give_up(number)  # or it is sent just now
            elif now >= until + _LATE_US:
                with self._database.begin() as session:
                    orders.end(session, number, orders.UNKNOWN, "", now)
            else:
                await asyncio.sleep(_LOOK_S)

    def _give_up(self, number: int) -> None:
        with self._database.begin() as session:
            orders.withdraw(session, number, now_us())

    def _said(self, order: Order) -> Said:
        if order.state == orders.WITHDRAWN:
            why = (
                f"not connected to kapok legacy serve, or its line was never free, within "
                f"{self._wait_s:.0f} s (kapok legacy terminals shows who was heard)"
            )
            return Said("", why, was_sent=False)
        if order.state == orders.REFUSED:
            return Said("", order.answer, was_sent=False)
        why = {
            orders.SILENT: f"no answer as expected within {self._wait_s:.0f} s",
            orders.UNKNOWN: "sent, and its end is unknown: the connection or the server went away",
        }.get(order.state, "")
        return Said(order.answer, why)
