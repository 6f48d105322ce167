"""SIMCom A7670 and A7672, LTE Cat 1. Grammar: A76XX Series AT Command Manual."""

from micropython import const

from node.errors import AtError, SocketError
from node.link import replies
from node.link.modem import SHORT_MS
from node.link.modems.simcom import Simcom

_NETOPEN_MS = const(120_000)  # A76XX AT manual
_SEND_MS = const(10_000)  # CIPSEND: prompt and result together
_PIECE = const(1500)  # bytes of one CIPRXGET, the most: a datagram is read at once
_PORT = const(40_000)  # our own port of UDP socket 0


def _length(header: str) -> "int | None":
    # `+CIPRXGET: 2,<number>,<length>,<bytes left>`: the data follows the line.
    values = replies.fields(header)
    return replies.whole(values[2]) if len(values) == 4 else None


class A7670(Simcom):
    """Sockets need NETOPEN; with CIPRXGET=1 the modem keeps what comes until it is fetched.

    CPSI's levels are left alone: firmwares differ in their order and unit. CESQ has them.
    """

    MAX_SEND = 1024  # 1500 at most
    SOCKET_IDS = (0, 1, 2, 3)
    WAKE_TRIES = 40  # 20 s: its UART answers 11 s after power
    ICCID = ("AT+CICCID", "+ICCID:")
    FOTA = 'AT+CFOTA=0,1,"%s",kapok,kapok'  # by HTTP; a name and a password must be there
    OFF = "AT+CPOF"
    NETWORK_TIME = "AT+CTZU=1"
    CLOSE = "AT+CIPCLOSE"
    CLOSED = "+CIPCLOSE:"
    RESET_MS = 2500  # 2 s to 5 s (hardware design)
    PWRKEY_MS = 600  # 50 ms switch on; 2.5 s would switch off

    def __init__(self, uart, pins=None) -> None:
        super().__init__(uart, pins)
        self._got = 0  # bytes that the running CIPRXGET brought
        self.at.on_urc("+CIPRXGET: 1,", self._on_arrival)
        self.at.on_urc("+CIPRXGET: 2,", self._on_data, _length)
        self.at.on_urc("+IPCLOSE:", self._on_closed)
        self.at.on_urc("+CIPEVENT:", self._on_event)

    async def _open(self, number: int, host: str, port: int) -> None:
        await self._open_as('AT+CIPOPEN=%d,"TCP","%s",%d' % (number, host, port), number)

    async def _open_udp(self, number: int, host: str, port: int) -> None:
        await self._open_as('AT+CIPOPEN=%d,"UDP",,,%d' % (number, _PORT + number), number)

    async def _offer(self, number: int, part: bytes) -> int:
        return await self._send("AT+CIPSEND=%d,%d" % (number, len(part)), number, part)

    async def _send_udp(self, number: int, host: str, port: int, data, release: int) -> None:
        text = 'AT+CIPSEND=%d,%d,"%s",%d' % (number, len(data), host, port)
        if await self._send(text, number, data) != len(data):
            raise SocketError("the modem did not take the datagram")

    async def _send(self, text: str, number: int, data) -> int:
        # `+CIPSEND: <number>,<asked>,<taken>`; taken is -1 when the connection is lost.
        prefix = "+CIPSEND: %d," % number
        try:
            lines = await self.at.command(text, _SEND_MS, until=(prefix,), data=data)
        except AtError as e:
            raise SocketError("CIPSEND: error %d" % e.cause, e.cause)
        taken = replies.whole(replies.fields(lines[-1])[-1])
        if taken is None or not 0 <= taken <= len(data):
            raise SocketError("the modem lost the connection: " + lines[-1])
        return taken

    async def _pull(self, number: int) -> None:
        while number in self._sockets:
            self._got = 0
            # Without data it says `+IP ERROR: No data` and ERROR.
            await self.at.command("AT+CIPRXGET=2,%d,%d" % (number, _PIECE), SHORT_MS)
            if not self._got:
                return

    def _on_data(self, line: str, payload) -> None:
        self._got = len(payload or b"")
        values = replies.fields(line)
        socket = self._sockets.get(replies.whole(values[1]))
        if socket is not None and (payload is None or self._got):
            socket.on_data(payload)

    def _on_arrival(self, line: str, payload) -> None:
        self.announce(replies.whole(replies.fields(line)[1]))

    def _on_closed(self, line: str, payload) -> None:
        self.ended(replies.whole(replies.fields(line)[0]))

    def _on_event(self, line: str, payload) -> None:
        # NETWORK CLOSED UNEXPECTEDLY
        self.lose_sockets("the network took the PDP context away")

    async def _refusal(self) -> int:
        # `+CEER: "11 PLMN not allowed"`; 31 is "normal, unspecified".
        text = replies.fields(await self.line("AT+CEER", "+CEER:"))[0]
        cause = replies.whole(text.split(" ")[0])
        return 0 if cause is None or cause == 31 else cause

    async def _use_apn(self, apn: str) -> None:
        values = replies.fields(await self.line("AT+CGDCONT?", "+CGDCONT: 1,"))
        if len(values) > 2 and values[2].lower() == apn.lower():
            return
        await self.at.command('AT+CGDCONT=1,"IP","%s"' % apn, SHORT_MS)

    async def _activate(self) -> None:
        await self.at.command("AT+CIPRXGET=1", SHORT_MS)
        await self._quietly("AT+CIPCCFG=,,,,,,,1")  # <udpRecvmode>: datagram by datagram
        if await self.line("AT+NETOPEN?", "+NETOPEN: 1"):
            return
        lines = await self.at.command("AT+NETOPEN", _NETOPEN_MS, until=("+NETOPEN:",))
        result = replies.whole(replies.fields(lines[-1])[0])
        if result:
            raise AtError("NETOPEN: result %d" % result, result)


DRIVER = A7670
