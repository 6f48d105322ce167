"""Quectel BC95-G and BC28, NB-IoT, in the Neul grammar: no blanks, few quotes, payloads in hex.

Grammar: BC95-G&BC68 and BC28 AT Commands Manuals. Sockets take addresses, no names, and the modem
chooses their numbers.
"""

from binascii import hexlify, unhexlify

from micropython import const

from node.errors import AtError, AtTimeout, SocketError
from node.link import replies
from node.link.modem import CFUN_MS, SHORT_MS
from node.link.modems.pulled import Pulled

_CONNECT_MS = const(60_000)  # NSOCO answers when TCP's handshake is done, 2 s to 22 s in the field
_SEND_MS = const(10_000)
_DNS_MS = const(60_000)  # QDNS asks two servers
_FULL = const(159)  # +CME ERROR: uplink busy, or flow control
_NO_SOCKET = const(531)  # +CME ERROR: there is no such socket
_LONGEST = const(1358)  # bytes of a datagram
_PIECE = const(256)  # bytes of one NSORF: as hex and with its header it is a line of 560
# <flag> of NSOSTF: release after this datagram, after its answer (BC95-G&BC68 AT manual, NSOSTF).
_RELEASES = ("0x000", "0x200", "0x400")


def _bytes(text: str, length) -> "bytes | None":
    # What `length` bytes in hex stand for; None where they do not.
    try:
        raw = unhexlify(text)
    except ValueError:
        return None
    return raw if len(raw) == length else None


class Bc95(Pulled):
    """The default bearer is context 0. The modem falls asleep by itself and wakes on any byte.

    New firmware comes to it from the operator's platform (LwM2M) or by its UART: no FOTA here.
    """

    MAX_SEND = 512  # NSOSD takes 1358; a line of twice that is heap
    MAX_DATAGRAM = 512
    SOCKET_IDS = (0, 1, 2, 3, 4, 5, 6)
    PSM = True
    EDRX = True
    RELEASE = True
    RADIO = 9
    BANDS = "AT+NBAND"
    WAKE_TRIES = 24  # 12 s: it takes commands within 10 s of a reset
    IMEI = "AT+CGSN=1"
    ICCID = ("AT+NCCID", "+NCCID:")
    CLOCK_UTC = True
    RESET_MS = 200  # at least 100 ms

    def __init__(self, uart, pins=None) -> None:
        super().__init__(uart, pins)
        self.at.on_urc("+NSONMI:", self._on_arrival)
        self.at.on_urc("+NSOCLI:", self._on_closed)
        self.at.on_urc("REBOOT", self._on_restart)  # REBOOTING, and REBOOT_CAUSE_... of the next

    def _on_restart(self, line: str, payload) -> None:
        # The banner's last line is OK: it must not be taken for the running command's.
        super()._on_restart(line, payload)
        self.at.interrupt()

    async def _search(self) -> None:
        await super()._search()
        await self._quietly("AT+CGATT=1")  # an error where AUTOCONNECT has done it already

    async def release(self, number: int) -> None:
        """NSOCL."""
        await self.at.command("AT+NSOCL=%d" % number, SHORT_MS)

    async def _open(self, number: int, host: str, port: int) -> None:
        address = await self.resolve(host, _DNS_MS)
        number = await self._create(number, "STREAM,6")
        try:
            await self.at.command("AT+NSOCO=%d,%s,%d" % (number, address, port), _CONNECT_MS)
        except AtError as e:
            await self._quietly("AT+NSOCL=%d" % number)
            raise SocketError("%s:%d: NSOCO error %d" % (host, port, e.cause), e.cause)
        except AtTimeout:
            raise SocketError("%s:%d: no answer to NSOCO" % (host, port))

    async def _open_udp(self, number: int, host: str, port: int) -> None:
        await self._create(number, "DGRAM,17")

    async def _offer(self, number: int, part: bytes) -> int:
        hexed = hexlify(part).decode()
        taken = await self._send("AT+NSOSD=%d,%d,%s" % (number, len(part), hexed))
        return len(part) if taken else 0

    async def _send_udp(self, number: int, host: str, port: int, data, release: int) -> None:
        socket = self._sockets.get(number)
        if socket is not None and socket.sent:
            # It may have gone to PSM since the last one, which no host can forbid: then it
            # swallows the next command, and its sockets are gone.
            await self.at.sync(self.WAKE_TRIES)
        text = ",%s,%d,%s%d,%s" % (
            host,
            port,
            _RELEASES[release] + "," if release else "",
            len(data),
            hexlify(data).decode(),
        )
        command = "AT+NSOSTF=%d" if release else "AT+NSOST=%d"
        try:
            taken = await self._send(command % number + text)
        except SocketError as e:
            if e.cause != _NO_SOCKET:
                raise
            number = await self._create(number, "DGRAM,17")
            taken = await self._send(command % number + text)
        if not taken:
            raise SocketError("the modem did not take the datagram")

    async def _send(self, text: str) -> bool:
        try:
            await self.at.command(text, _SEND_MS)
        except AtError as e:
            if e.cause == _FULL:
                return False
            raise SocketError("%s: error %d" % (text[:10], e.cause), e.cause)
        return True

    async def _create(self, guess: int, kind: str) -> int:
        """The number that the modem gave; the socket that was to be `guess` has it from now on."""
        given = await self._numbered(kind)
        if given is None:
            # Sockets of the life before hold every number: the modem stays on through our sleep.
            for number in self.SOCKET_IDS:
                if number == guess or number not in self._sockets:
                    await self._quietly("AT+NSOCL=%d" % number)
            given = await self._numbered(kind)
        if given is None:
            raise SocketError("NSOCR gave no socket")
        if given != guess:
            socket = self._sockets.pop(guess, None)
            if socket is None:
                raise SocketError("the modem restarted")
            if given in self._sockets:
                self._sockets[given].fail(SocketError("the modem gave its number away"))
            socket.number = given
            self._sockets[given] = socket
        return given

    async def _numbered(self, kind: str) -> "int | None":
        try:
            lines = await self.at.command("AT+NSOCR=%s,0,1" % kind, SHORT_MS)
        except AtError:
            return None
        for line in lines:
            # A bare number; newer firmware puts the command's name before it.
            given = replies.whole(line[7:] if line.startswith("+NSOCR:") else line)
            if given in self.SOCKET_IDS:
                return given
        return None

    async def _pull(self, number: int) -> None:
        held = b""
        while number in self._sockets:
            lines = await self.at.command("AT+NSORF=%d,%d" % (number, _PIECE), SHORT_MS)
            values = []
            for line in lines:
                # <socket>,<address>,<port>,<length>,<data>,<bytes left>
                found = replies.fields(line)
                if len(found) == 6 and replies.whole(found[0]) == number:
                    values = found
            if not values or values[3] == "0" or number not in self._sockets:
                return
            socket = self._sockets[number]
            piece = _bytes(values[4], replies.whole(values[3]))
            left = replies.whole(values[5])
            if piece is None or left is None:
                socket.on_data(None)
                return
            if socket.STREAM or values[1:3] == [socket.host, str(socket.port)]:
                held = held + piece if held else piece
            if held and (socket.STREAM or left <= 0 or len(held) > _LONGEST):
                socket.on_data(held)  # a stream as it comes, a datagram in one piece
                held = b""

    def _on_arrival(self, line: str, payload) -> None:
        values = replies.fields(line)
        number = replies.whole(values[0])
        if len(values) == 2:
            self.announce(number)
        elif number in self._sockets and len(values) >= 3:
            # NSONMI=2 or 3 was left on: the data is on the line, with or without its sender.
            self._sockets[number].on_data(_bytes(values[-1], replies.whole(values[-2])))

    def _on_closed(self, line: str, payload) -> None:
        self.ended(replies.whole(replies.fields(line)[0]))

    async def _resolve(self, host: str) -> str:
        try:
            lines = await self.at.command("AT+QDNS=0,%s" % host, _DNS_MS, until=("+QDNS:",))
        except AtError as e:
            raise SocketError("%s: QDNS error %d" % (host, e.cause), e.cause)
        return replies.fields(lines[-1])[0]

    async def _use_apn(self, apn: str) -> None:
        try:
            lines = await self.at.command("AT+CGDCONT?", SHORT_MS, expect="+CGDCONT:")
        except AtError:
            lines = []
        for line in lines:
            values = replies.fields(line)
            # Once attached, the network's ".mnc011.mcc460.gprs" stands behind it.
            known = values[2].lower().split(".mnc")[0] if len(values) > 2 else ""
            if values[0] == "0" and known == apn.lower():
                return
        await self.at.command("AT+CFUN=0", CFUN_MS)
        await self.at.command('AT+CGDCONT=0,"IP","%s"' % apn, SHORT_MS)

    async def _doze(self) -> None:
        """Nothing to do: PSM or idle, it sleeps by itself, and stays registered."""

    async def _engine(self) -> dict:
        # Lines of a name and a number, in tenths of dB where it is a level. Between them stands a
        # colon or a comma, before them firmware may put NUESTATS: or quotes.
        try:
            lines = await self.at.command("AT+NUESTATS", SHORT_MS)
        except AtError:
            return {}
        found = {}
        for line in lines:
            words = line.replace('"', "").replace(",", ":").split(":")
            n = replies.whole(words[-1])
            if n is not None and len(words) > 1 and n != -32768:
                found[words[-2].strip().upper()] = n
        power = found.get("SIGNAL POWER")
        return {
            "rsrp_dbm": None if power is None else power // 10,
            "rsrq_ddb": found.get("RSRQ"),
            "snr_ddb": found.get("SNR"),
            "ecl": found.get("ECL"),
            "cell": found.get("CELL ID"),
            "earfcn": found.get("EARFCN"),
            "pci": found.get("PCI"),
            "band": found.get("CURRENT BAND") or None,
        }


DRIVER = Bc95
