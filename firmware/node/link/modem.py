"""What every modem can do, by 3GPP TS 27.007, and the sockets that it hands out.

A family (link/modems/) adds what 27.007 leaves open. Every wait has a deadline: a modem that goes
mute ends in ModemMute, whatever it was doing.
"""

import asyncio

from micropython import const

from node.errors import AtError, AttachTimeout, ConfigError, ModemMute, SocketError
from node.link import replies
from node.link.at import At
from node.link.registration import Registration
from node.link.socket import Socket

SHORT_MS = const(5_000)  # commands that only touch the modem itself
CFUN_MS = const(25_000)  # BC660K manual; EC2x need 15 s
_PULSE_MS = const(100)
_TEXT_MOST = const(150)


def quotable(text: str, name: str) -> str:
    """`text` where it can stand between quotes in an AT command; ConfigError where it cannot."""
    if len(text) > _TEXT_MOST:
        raise ConfigError("%s is longer than %d" % (name, _TEXT_MOST))
    for c in text:
        if not " " < c < "\x7f" or c == '"':
            raise ConfigError("%s has a character that AT commands cannot carry" % name)
    return text


class Modem:
    """`uart` as in At. `pins`: "reset", "pwrkey", "dtr", "psm_exit" -> object with value(level).

    All are optional. Level 1 means active: the board's wiring inverts where the module wants low.
    """

    MAX_SEND = 1024  # bytes of one send
    SOCKET_IDS = (0,)
    WAKE_TRIES = 24  # of 500 ms
    IMEI = "AT+CGSN"
    ENGINE = ""  # what tells the coverage enhancement level
    RESET_MS = _PULSE_MS  # how long the reset pin is held
    PWRKEY_MS = 600

    def __init__(self, uart, pins=None) -> None:
        self.at = At(uart)
        self._pins = pins or {}
        self._sockets = {}
        self._awake = False
        self._registration = Registration(self.at)
        self.at.on_urc("RDY", self._on_restart)

    # -- for the link ---------------------------------------------------------------------------

    async def wake(self) -> None:
        """Bring the modem to where it takes commands; ModemMute when it cannot be reached.

        At most WAKE_TRIES x 500 ms, twice that with a reset or power pin, and the settings.
        """
        self._awake = False
        await self._rouse()
        try:
            await self.at.sync(self.WAKE_TRIES)
        except ModemMute:
            if not await self._force():
                raise
            await self.at.sync(self.WAKE_TRIES)
        await self._set_up()
        self._awake = True

    async def attach(self, apn: str, deadline_ms: int) -> None:
        """Register and get a data connection; an empty `apn` takes what the network gives.

        AttachRefused.cause and AttachTimeout.cause are the EMM cause, 0 where none was given.
        """
        quotable(apn, "apn")
        try:
            await asyncio.wait_for_ms(self._attach(apn), deadline_ms)
        except asyncio.TimeoutError:
            raise AttachTimeout("not attached in %d ms" % deadline_ms, self._registration.cause)

    async def network_time(self) -> "int | None":
        """Seconds since 1970 UTC; None before the network has told the time."""
        written = replies.written_time(await self.line("AT+CCLK?", "+CCLK:"))
        if written is None:
            return None
        seconds, quarters = written
        return seconds - quarters * 900  # 27.007: local time, and its zone

    async def connect(self, host: str, port: int, deadline_ms: int) -> Socket:
        """A TCP connection; SocketError.cause is the modem's result code, 0 for the deadline."""
        quotable(host, "host")
        number = None
        for candidate in self.SOCKET_IDS:
            if candidate not in self._sockets:
                number = candidate
                break
        if number is None:
            raise SocketError("all %d sockets are open" % len(self.SOCKET_IDS))
        socket = Socket(self, number)
        self._sockets[number] = socket  # the first bytes may come right behind the result
        opened = False
        try:
            await asyncio.wait_for_ms(self._open(number, host, port), deadline_ms)
            opened = True
        except asyncio.TimeoutError:
            raise SocketError("%s:%d: no connection in %d ms" % (host, port, deadline_ms))
        finally:
            if not opened:
                self.forget(socket)
        return socket

    async def sleep(self) -> None:
        """Close what is open and let the modem sleep. The UART is free afterwards."""
        try:
            if self._awake:
                self._awake = False
                for socket in list(self._sockets.values()):
                    await socket.close()
                await self._doze()
        finally:
            self._awake = False
            self.lose_sockets("the modem sleeps")
            self.at.stop()

    async def identity(self) -> dict:
        """imei, imsi, iccid, model, firmware: texts, None where the modem does not tell."""
        from node.link import diagnosis

        return await diagnosis.identity(self)

    async def signal(self) -> dict:
        """rssi_dbm, rsrp_dbm, rsrq_ddb (tenths of dB), ecl 0..2: integers, None where unknown."""
        from node.link import diagnosis

        return await diagnosis.signal(self)

    # -- for the sockets ------------------------------------------------------------------------

    async def transmit(self, number: int, part: bytes) -> None:
        """Hand at most MAX_SEND bytes to the modem's TCP; SocketError when it refuses them."""
        raise NotImplementedError

    async def release(self, number: int) -> None:
        """Free the modem's socket `number`; what it holds of it is lost."""
        raise NotImplementedError

    def holds(self, socket: Socket) -> bool:
        """Whether the modem still has a socket behind `socket`."""
        return self._sockets.get(socket.number) is socket

    def forget(self, socket: Socket) -> None:
        """`socket` is closed, its number may be used again."""
        if self.holds(socket):
            del self._sockets[socket.number]

    def lose_sockets(self, why: str) -> None:
        """Every socket is gone without a word to its peer."""
        for socket in list(self._sockets.values()):
            socket.fail(SocketError(why))
        self._sockets.clear()

    async def _attach(self, apn: str) -> None:
        if apn:
            await self._use_apn(apn)
        if await self._registration.denied():
            # A refusal stands until the radio was off: what caused it may be mended by now.
            await self.at.command("AT+CFUN=0", CFUN_MS)
        if replies.whole(await self.value("AT+CFUN?", "+CFUN:") or "") != 1:
            await self.at.command("AT+CFUN=1", CFUN_MS)
        await self._registration.wait()
        await self._activate()

    def _on_restart(self, line: str, payload) -> None:
        # Boot noise on a first start; in the middle of a contact it is a brown-out of the modem.
        self.lose_sockets("the modem restarted")

    # -- for the family -------------------------------------------------------------------------

    async def _open(self, number: int, host: str, port: int) -> None:
        raise NotImplementedError

    async def _use_apn(self, apn: str) -> None:
        """Make `apn` (not empty) the one to attach with."""

    async def _activate(self) -> None:
        """After registration: what the family needs before a socket can be opened."""

    async def _doze(self) -> None:
        """Let the modem go to its lowest consumption."""
        await self.at.command("AT+CFUN=0", CFUN_MS)

    async def _rouse(self) -> None:
        """Before the first AT: pins that end the modem's sleep."""

    async def _set_up(self) -> None:
        await self.at.command("ATE0", SHORT_MS)
        await self.at.command("AT+CMEE=1", SHORT_MS)

    async def _force(self) -> bool:
        # The last means against a mute modem; False when no pin is wired for it.
        for name, hold_ms in (("reset", self.RESET_MS), ("pwrkey", self.PWRKEY_MS)):
            if name in self._pins:
                await self._pulse(name, hold_ms)
                return True
        return False

    async def _pulse(self, name: str, hold_ms: int) -> None:
        pin = self._pins[name]
        pin.value(1)
        try:
            await asyncio.sleep_ms(hold_ms)
        finally:
            pin.value(0)

    async def line(self, command: str, prefix: str) -> str:
        # The first line of the answer, empty where the modem does not know the command.
        try:
            lines = await self.at.command(command, SHORT_MS, expect=prefix)
        except AtError:
            return ""
        return lines[0] if lines else ""

    async def value(self, command: str, prefix: str) -> "str | None":
        # What the answer says; a line of another kind (a URC that nobody handles) does not count.
        try:
            lines = await self.at.command(command, SHORT_MS)
        except AtError:
            return None
        for line in lines:
            if prefix and line.startswith(prefix):
                return line[len(prefix) :].strip().strip('"')
            if line[0] not in "+*^":
                return line
        return None
