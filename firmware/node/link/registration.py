"""One attach: +CEREG polled, and its URC where the modem sends one (TS 27.007, 10.1.22).

The network's cause decides how it goes on. Imported when a contact begins, forgotten behind it.
"""

import asyncio
import os

from micropython import const

from node.errors import AtError, AtTimeout, LinkError
from node.link.modem import CFUN_MS, SHORT_MS, quotable
from node.link.replies import fields, whole

_POLL_MS = const(2_000)
_PAUSE_MS = const(8_000)  # before the first new try of a network that is full, then twice as long
_SIM_TRIES = const(3)  # a card is slow behind CFUN=1: what it says only counts when it repeats it
_HOME = const(1)
_DENIED = const(3)
_ROAMING = const(5)


class AttachTimeout(LinkError):
    """No registration within the deadline."""

    code = 14


class AttachRefused(LinkError):
    """The network refused the terminal; `cause` is the EMM cause (3GPP TS 24.301, 9.9.3.9)."""

    code = 15
    FINAL = (3, 6, 7, 8, 11)  # what time does not heal: the SIM, the terminal, or their pairing


async def attach(modem, apn: str, deadline_ms: int) -> None:
    """Register and get a data connection; an empty `apn` takes what the network gives.

    AttachRefused.cause and AttachTimeout.cause are the EMM cause, 0 where none was given. An
    AtError is the SIM's: `cause` 10 none, 11 wants its PIN, 12 its PUK, 13 broken (27.007 9.2).
    """
    quotable(apn, "apn")
    modem._registration = registration = Registration(modem)
    try:
        await asyncio.wait_for_ms(registration.attach(apn, deadline_ms), deadline_ms)
    except asyncio.TimeoutError:
        error = AttachRefused if registration.refused else AttachTimeout
        raise error("not attached in %d ms" % deadline_ms, registration.cause)
    finally:
        modem._registration = None


class Registration:
    """`cause` is the newest EMM cause of this attach, 0 for none; `refused` once it was denied."""

    def __init__(self, modem) -> None:
        self._modem = modem
        self._at = modem.at
        self._moved = asyncio.Event()  # a URC came
        self.cause = 0
        self.refused = False

    async def attach(self, apn: str, deadline_ms: int) -> None:
        """As `attach`, but it only minds the deadline before it waits for a full network."""
        modem = self._modem
        if apn:
            await modem._use_apn(apn)
        try:
            await self._at.command("AT+CEREG=3", SHORT_MS)  # with reject causes
        except AtError:
            await modem._quietly("AT+CEREG=1")  # without it we ask every two seconds
        if await self._stat() == _DENIED:
            # A refusal stands until the radio was off: what caused it may be mended by now.
            await self._at.command("AT+CFUN=0", CFUN_MS)
        self.cause = 0
        told = fields(await modem.line("AT+CFUN?", "+CFUN:"))[0]
        if told and told != "1":
            await modem._search()
        await self._wait(deadline_ms)
        await modem._activate()

    def on_urc(self, line: str) -> bool:
        """A +CEREG line; False for the answer to a query."""
        state = parse(line)
        if state is not None:
            if not state[0]:
                return False
            self.cause = state[2] or self.cause
            self._moved.set()
        return True

    async def _wait(self, left_ms: int) -> None:
        pause_ms = _PAUSE_MS
        complaints = 0  # of the SIM, one behind the other; -1: it is well
        while True:
            self._moved.clear()
            stat = await self._stat()
            if stat in (_HOME, _ROAMING):
                return
            if stat == _DENIED:
                self.refused = True
                self.cause = self.cause or await self._modem._refusal() or 0
            if self.cause in AttachRefused.FINAL:
                raise AttachRefused("EMM cause %d" % self.cause, self.cause)
            # No suitable cells, congestion: the network asks for patience (24.301, 5.5.1.2.5).
            if stat == _DENIED and self.cause in (15, 22):
                # Up to a half more by chance: the terminals that one cell turned away do not come
                # back as one. A pause that ends behind the deadline is not worth its energy.
                pause_ms += pause_ms * os.urandom(1)[0] // 512
                left_ms -= pause_ms
                if left_ms <= 0:
                    raise AttachRefused("EMM cause %d" % self.cause, self.cause)
                await self._at.command("AT+CFUN=0", CFUN_MS)
                await asyncio.sleep_ms(pause_ms)
                await self._modem._search()
                pause_ms *= 2
                continue
            if complaints >= 0:
                cme = await self._sim()
                complaints = -1 if cme < 0 else complaints + 1 if cme else 0
                if complaints >= _SIM_TRIES:
                    raise AtError("the SIM: CME error %d" % cme, cme)
            try:
                await asyncio.wait_for_ms(self._moved.wait(), _POLL_MS)
            except asyncio.TimeoutError:
                left_ms -= _POLL_MS

    async def _sim(self) -> int:
        # 10..13, the SIM's +CME ERROR (27.007 9.2); -1 for one that is well, 0 for one unknown.
        try:
            lines = await self._ask("AT+CPIN?", "+CPIN:")
        except AtError as e:
            return e.cause if 10 <= e.cause <= 13 else 0
        code = fields(lines[0])[0] if lines else ""
        if code == "SIM PIN":
            return 11
        if code == "SIM PUK":
            return 12
        return -1 if code == "READY" else 0

    async def _stat(self) -> int:
        stat = 0
        for line in await self._ask("AT+CEREG?", "+CEREG:"):
            state = parse(line)
            if state is not None:
                self.cause = state[2] or self.cause
                stat = state[1]
        return stat

    async def _ask(self, command: str, prefix: str) -> "list[str]":
        try:
            return await self._at.command(command, SHORT_MS, expect=prefix)
        except AtTimeout:
            return []  # busy with the search; the next command finds out whether it is mute


def parse(line: str) -> "tuple[bool, int, int] | None":
    """(is it a URC, stat 0..10, EMM cause or 0) of a `+CEREG:` line.

    The query's answer has <n> before <stat>, the URC has not: behind the URC's first number comes
    nothing, or an area code, of four hex digits and without quotes in the Neul grammar. Cause
    type 0 is an EMM cause (27.007 section 10.1.22).
    """
    raw = line.split(":", 1)[-1].split(",")
    first = whole(raw[0])
    second = whole(raw[1]) if len(raw) > 1 and len(raw[1].strip()) < 3 else None
    urc = second is None
    stat = first if urc else second
    if stat is None or not 0 <= stat <= 10:
        return None
    values = fields(line)[1 if urc else 2 :]  # area, cell, technology, cause type, cause
    cause = None
    if len(values) > 4 and values[3] == "0":
        cause = whole(values[4])
    return urc, stat, cause or 0
