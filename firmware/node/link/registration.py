"""EPS registration: +CEREG polled, and its URC where the modem sends one (TS 27.007, 10.1.22)."""

import asyncio

from micropython import const

from node.errors import AtError, AttachRefused, AtTimeout
from node.link import replies

_SHORT_MS = const(5_000)
_POLL_MS = const(2_000)
_HOME = const(1)
_DENIED = const(3)
_ROAMING = const(5)
# EMM causes that time does not heal: the SIM, the terminal, or their pairing (TS 24.301, 9.9.3.9).
_FINAL = (3, 6, 7, 8, 11)


class Registration:
    """`cause` is the newest EMM cause that the network gave since `denied`, 0 for none."""

    def __init__(self, at) -> None:
        self._at = at
        self._moved = asyncio.Event()  # a URC came
        self.cause = 0
        at.on_urc("+CEREG:", self._on_urc)

    async def denied(self) -> bool:
        """Switch the URC on; whether the modem stands refused, from an attach before this one."""
        try:
            await self._at.command("AT+CEREG=3", _SHORT_MS)  # with reject causes
        except AtError:
            await self._at.command("AT+CEREG=1", _SHORT_MS)
        stat = await self._stat()
        self.cause = 0
        return stat == _DENIED

    async def wait(self) -> None:
        """Until registered. AttachRefused when the network will not have this terminal.

        It waits for as long as the search goes on: the caller sets the deadline.
        """
        while True:
            self._moved.clear()
            stat = await self._stat()
            if stat in (_HOME, _ROAMING):
                return
            if stat == _DENIED or self.cause in _FINAL:
                raise AttachRefused("EMM cause %d" % self.cause, self.cause)
            try:
                await asyncio.wait_for_ms(self._moved.wait(), _POLL_MS)
            except asyncio.TimeoutError:
                pass

    async def _stat(self) -> int:
        stat = 0
        try:
            lines = await self._at.command("AT+CEREG?", _SHORT_MS, expect="+CEREG:")
        except AtTimeout:
            return stat  # busy with the search; the next command finds out whether it is mute
        for line in lines:
            state = replies.registration(line)
            if state is not None:
                self.cause = state[2] or self.cause
                stat = state[1]
        return stat

    def _on_urc(self, line: str, payload) -> bool:
        state = replies.registration(line)
        if state is not None:
            if not state[0]:
                return False  # the answer to our own query
            self.cause = state[2] or self.cause
            self._moved.set()
        return True
