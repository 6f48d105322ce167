"""Families whose modem only announces what came: a task fetches it, socket by socket."""

import asyncio

from micropython import const

from node.errors import AtError, LinkError, SocketError
from node.link.modem import Modem

_FULL_TRIES = const(20)  # the modem's send buffer is full: it has 10 s to get rid of some
_FULL_MS = const(500)


class Pulled(Modem):
    """A family calls `announce` and `ended` from its URCs, and implements

    async _pull(number)   fetch until there is nothing more, on_data for each piece
    async _offer(number, part) -> int   hand data over; how many bytes of it the modem took
    """

    def __init__(self, uart, pins=None) -> None:
        super().__init__(uart, pins)
        self._announced = []  # numbers whose sockets have something
        self._ended = []  # numbers whose peers closed: told once all is fetched
        self._task = None

    async def transmit(self, number: int, part: bytes) -> None:
        """As Modem says; a full send buffer is waited for, at most 10 s."""
        for _ in range(_FULL_TRIES):
            taken = await self._offer(number, part)
            part = part[taken:]
            if not len(part):
                return
            await asyncio.sleep_ms(_FULL_MS)
            if number not in self._sockets:
                break
        raise SocketError("the modem's send buffer stays full")

    def announce(self, number) -> None:
        """The modem holds data for `number` (None or a strange one: nobody's)."""
        if number in self._sockets and number not in self._announced:
            self._announced.append(number)
            if self._task is None:
                self._task = asyncio.create_task(self._fetch())

    def ended(self, number) -> None:
        """The peer of `number` closed; what the modem holds of it can still be fetched."""
        if number in self._sockets and number not in self._ended:
            self._ended.append(number)
            self.announce(number)

    def forget(self, socket) -> None:
        """As Modem.forget; what was told of its number is not told to the next one."""
        super().forget(socket)
        for told in (self._announced, self._ended):
            if socket.number in told:
                told.remove(socket.number)

    def lose_sockets(self, why: str) -> None:
        """As Modem.lose_sockets; nothing is fetched any more."""
        super().lose_sockets(why)
        del self._announced[:]
        del self._ended[:]
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _fetch(self) -> None:
        while self._announced:
            # Taken off first: what comes while we fetch is announced anew.
            number = self._announced.pop(0)
            try:
                if number in self._sockets:
                    await self._pull(number)
            except AtError:
                pass  # nothing (more) to fetch, or the socket is gone: its URC tells
            except LinkError as e:
                if number in self._sockets:
                    self._sockets[number].fail(SocketError("not fetched: %s" % e))
            if number in self._ended and number not in self._announced:
                self._ended.remove(number)
                if number in self._sockets:
                    self._sockets[number].on_close()
        self._task = None

    async def _pull(self, number: int) -> None:
        raise SocketError("nothing can be fetched")

    async def _offer(self, number: int, part: bytes) -> int:
        raise SocketError("nothing can be sent")
