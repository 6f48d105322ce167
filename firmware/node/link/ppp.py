"""PPP over a modem that has it: the chip's own TCP/IP, and a bearer on top of it.

ATD*99***<cid># and NO CARRIER: 3GPP TS 27.007, 10.2.1.1; V.250, 6.3. network.PPP as from
MicroPython 1.27 on. Imported where the configuration's bearers name it.
"""

import asyncio
import errno
import select
import socket
import time

import network
from micropython import const

from node.errors import AtError, ConfigError, LinkError, ModemMute, SocketError
from node.link import dns

_DNS_MS = const(30_000)
_DIAL_MS = const(60_000)  # CONNECT comes at once; LCP and IPCP repeat every 3 s, ten times
_END_MS = const(7_000)  # two Terminate-Requests, 3 s each
_STEP_MS = const(50)
_BACK_MS = const(300)  # from the end of the link to NO CARRIER
_AT_TRIES = const(2)
_OPEN = const(3)  # of PPP.status(): connecting; below it there is no link any more


async def open_bearer(modem, config: dict):
    """A Bearer to `config`'s host; LinkError says why not, and the modem takes commands again."""
    # The chip's own resolver stops everything for up to 14 s, and has no deadline.
    address = await dns.resolve(modem, config["host"], _DNS_MS)
    await dial(modem, _DIAL_MS)
    return Bearer(modem, config["host"], address)


async def dial(modem, deadline_ms: int) -> None:
    """Bring IP up over the modem's data connection; the UART is PPP's until `hang_up`.

    AtError: the modem refused (`cause`: its number). SocketError: the link did not come up
    (`cause`: lwIP's PPPERR number, 0 for the deadline). The modem's own sockets are lost.
    """
    if not modem.PPP:
        raise ConfigError("this modem has no PPP")
    start = time.ticks_ms()
    modem.lose_sockets("PPP takes the UART")
    text = "ATD*99***%d#" % modem.CONTEXT
    lines = await modem.at.command(text, deadline_ms, until=("CONNECT", "CONNECT ", "NO CARRIER"))
    if lines[-1] == "NO CARRIER":
        raise AtError("%s: no carrier" % text)
    modem.at.stop()
    modem.ppp = ppp = network.PPP(modem.at.uart)
    up = False
    try:
        ppp.connect()
        while not ppp.isconnected():
            if ppp.status() < _OPEN:
                raise SocketError("PPP: error %d" % -ppp.status(), -ppp.status())
            if time.ticks_diff(time.ticks_ms(), start) > deadline_ms:
                raise SocketError("PPP: no link in %d ms" % deadline_ms)
            await asyncio.sleep_ms(_STEP_MS)
        up = True
    except SocketError:
        await hang_up(modem)
        raise
    finally:
        if not up:
            _let_go(modem)


async def hang_up(modem) -> None:
    """End the link and the call; the modem takes commands again. ModemMute when it does not."""
    ppp = modem.ppp
    if ppp is None:
        return
    try:
        ppp.disconnect()
        # Who leaves data mode earlier crashes some versions of MicroPython.
        left_ms = _END_MS
        while ppp.status() >= _OPEN and left_ms > 0:
            await asyncio.sleep_ms(_STEP_MS)
            left_ms -= _STEP_MS
    finally:
        _let_go(modem)
    await asyncio.sleep_ms(_BACK_MS)
    try:
        await modem.at.sync(_AT_TRIES)
    except ModemMute:  # it has not noticed, and still takes AT for data
        from node.link import ladder

        await ladder.escape(modem)
        await modem.at.command("ATH", _END_MS)


def _let_go(modem) -> None:
    # Whatever it was doing: the UART is free afterwards.
    ppp, modem.ppp = modem.ppp, None
    if ppp is not None:
        ppp.active(False)


class Bearer:
    """`host` was found at `address`; other names are not looked up any more."""

    def __init__(self, modem, host: str, address: str) -> None:
        self._modem = modem
        self._host = host
        self._address = address

    async def connect(self, host: str, port: int, deadline_ms: int):
        """An IpSocket; SocketError.cause is the chip's errno, 0 for the deadline."""
        address = self._address if host == self._host else host
        if not dns.is_address(address):
            raise SocketError("%s: no address" % host)
        raw = socket.socket()
        done = False
        try:
            raw.setblocking(False)
            try:
                raw.connect(socket.getaddrinfo(address, port)[0][-1])
            except OSError as e:
                if e.errno != errno.EINPROGRESS:
                    raise
            await self._opened(raw, deadline_ms)
            done = True
        except OSError as e:
            raise SocketError("%s:%d: %s" % (host, port, e), e.errno or 0)
        finally:
            if not done:
                dns.drop(self._modem, host)
                raw.close()
        return IpSocket(raw)

    async def close(self) -> None:
        """Hang up. Never raises a LinkError: the next wake begins with the ladder."""
        try:
            await hang_up(self._modem)
        except LinkError:
            pass

    async def _opened(self, raw, deadline_ms: int) -> None:
        poll = select.poll()
        poll.register(raw, select.POLLOUT)
        start = time.ticks_ms()
        while True:
            for _, flags in poll.ipoll(0):
                if flags & (select.POLLERR | select.POLLHUP):
                    raw.recv(1)  # tells the error
                    raise SocketError("no connection")
                return
            if time.ticks_diff(time.ticks_ms(), start) > deadline_ms:
                raise SocketError("no connection in %d ms" % deadline_ms)
            await asyncio.sleep_ms(_STEP_MS)


class IpSocket:
    """A TCP connection of the chip's, with the methods of the modem's Socket (link/socket.py)."""

    def __init__(self, raw) -> None:
        self.sent = 0
        self.received = 0
        self._raw = raw
        self._reader = asyncio.StreamReader(raw)
        self._writer = asyncio.StreamWriter(raw, {})

    async def send(self, buf) -> None:
        """All of `buf`; SocketError when the connection is lost. The caller sets the deadline."""
        try:
            self._writer.write(buf)
            await self._writer.drain()
        except OSError as e:
            raise SocketError("send: %s" % e, e.errno or 0)
        self.sent += len(buf)

    async def recv(self, n: int) -> bytes:
        """As Socket.recv."""
        try:
            data = await self._reader.read(n)
        except OSError as e:
            raise SocketError("recv: %s" % e, e.errno or 0)
        self.received += len(data)
        return data

    async def close(self) -> None:
        """Close it; twice does nothing."""
        raw, self._raw = self._raw, None
        if raw is not None:
            raw.close()
