"""SIMCom SIM7080, LTE-M and NB-IoT. Grammar: SIM7070_SIM7080_SIM7090 Series AT Command Manual."""

from micropython import const

from node.errors import AtError, AtTimeout, ModemMute, SocketError
from node.link import replies
from node.link.modem import CFUN_MS, SHORT_MS
from node.link.modems.simcom import Simcom

_ACTIVATE_MS = const(60_000)  # CNACT
_SEND_MS = const(10_000)  # CASEND: prompt and OK together
_FIRST_MS = const(3_000)  # the first try: soon enough to be back before PSM begins
_PIECE = const(1459)  # bytes of one CARECV, the most: a datagram is read at once
_AWAKE_TRIES = const(4)  # of AT, before PWRKEY is tried


class Sim7080(Simcom):
    """Sockets need application network 0, set by CNCFG and activated by CNACT."""

    MAX_SEND = 1024  # 1459 at most
    SOCKET_IDS = (0, 1, 2, 3)
    PSM = True
    EDRX = True
    RELEASE = True
    RADIO = 9  # unless CPSI says CAT-M
    WAKE_TRIES = 24  # 12 s
    ICCID = ("AT+CCID", "")
    FOTA = 'AT+HTTPTOFS="http://%s","/fota/update.zip",300,5'  # 300 s, 5 tries; then AT+CFOTA=1
    OFF = "AT+CPOWD=1"
    NETWORK_TIME = "AT+CLTS=1"
    CLOSE = "AT+CACLOSE"
    RESET_MS = 300  # at least 252 ms (hardware design)
    PWRKEY_MS = 1100  # 1 s switches on and ends PSM, 1.2 s would switch off (hardware design)

    def __init__(self, uart, pins=None) -> None:
        super().__init__(uart, pins)
        self._asked = 0  # number of the running CARECV
        self._got = 0  # bytes that it brought
        self._told_id = False  # CARECV's answer has the socket's number before the length
        self.at.on_urc("+CADATAIND:", self._on_arrival)
        self.at.on_urc("+CASTATE:", self._on_state)
        self.at.on_urc("+APP PDP:", self._on_context)
        self.at.on_urc("+CARECV:", self._on_data, self._short, 1)
        self.at.on_urc("+CARECV:", self._on_data, self._long, 2)

    async def _open(self, number: int, host: str, port: int) -> None:
        await self._open_as('AT+CAOPEN=%d,0,"TCP","%s",%d' % (number, host, port), number)

    async def _open_udp(self, number: int, host: str, port: int) -> None:
        await self._open_as('AT+CAOPEN=%d,0,"UDP","%s",%d' % (number, host, port), number)

    async def _send_udp(self, number: int, host: str, port: int, data, release: int) -> None:
        # <rai> is that of TS 24.301 9.9.4.25, for what is sent from now on. NB-IoT only.
        if release:
            await self._quietly("AT+CRAI=%d" % release)
        await self.transmit(number, data)

    async def _offer(self, number: int, part: bytes) -> int:
        text = "AT+CASEND=%d,%d" % (number, len(part))
        try:
            try:
                await self.at.command(text, _FIRST_MS, data=part)
            except AtTimeout:
                # After sleep the prompt may be missing (LilyGo-T-SIM7080G, issue 48). Whether
                # the modem took anything, our filling at worst, its count of bytes tells.
                if not await self._nothing_taken(number):
                    raise
                await self.at.command(text, _SEND_MS, data=part)
        except AtError as e:
            if e.cause:
                raise SocketError("CASEND: error %d" % e.cause, e.cause)
            return 0  # a bare ERROR: its buffer is full
        return len(part)

    async def _nothing_taken(self, number: int) -> bool:
        socket = self._sockets.get(number)
        told = replies.fields(await self.line("AT+CAACK=%d" % number, "+CAACK:"))
        return socket is not None and replies.whole(told[0]) == socket.sent

    async def _pull(self, number: int) -> None:
        while number in self._sockets:
            self._asked = number
            self._got = 0
            await self.at.command("AT+CARECV=%d,%d" % (number, _PIECE), SHORT_MS)
            if not self._got:
                return

    def _short(self, header: str) -> "int | None":
        # `+CARECV: <length>,<data>`, as modules say it. The manual puts the number before it: no
        # length is 0 where data follows, so that socket 0 tells which of the two this firmware is.
        first = replies.whole(header.split(":", 1)[1])
        if first == 0:
            self._told_id = True
        return None if self._told_id else first

    def _long(self, header: str) -> "int | None":
        return replies.whole(replies.fields(header)[-1]) if self._told_id else None

    def _on_data(self, line: str, payload) -> None:
        self._got = len(payload or b"")
        socket = self._sockets.get(self._asked)
        if socket is not None and (self._got or replies.fields(line)[-1] != "0"):
            socket.on_data(payload)

    def _on_arrival(self, line: str, payload) -> None:
        self.announce(replies.whole(replies.fields(line)[0]))

    def _on_state(self, line: str, payload) -> None:
        values = replies.fields(line)
        if values[-1] == "0":  # 1 connected, 2 listens
            self.ended(replies.whole(values[0]))

    def _on_context(self, line: str, payload) -> bool:
        if line.endswith("DEACTIVE"):
            self.lose_sockets("the network took the PDP context away")
        return False  # CNACT waits for it

    async def _rouse(self) -> None:
        await super()._rouse()
        if "pwrkey" in self._pins:
            try:
                await self.at.sync(_AWAKE_TRIES)
            except ModemMute:
                await self._pulse("pwrkey", self.PWRKEY_MS)  # off, or in PSM: no byte wakes it

    async def _use_apn(self, apn: str) -> None:
        for line in await self._lines("AT+CNCFG?", "+CNCFG:"):
            values = replies.fields(line)
            if values[0] == "0" and len(values) > 2 and values[2].lower() == apn.lower():
                return
        await self.at.command("AT+CFUN=0", CFUN_MS)
        await self.at.command('AT+CGDCONT=1,"IP","%s"' % apn, SHORT_MS)
        await self.at.command('AT+CNCFG=0,1,"%s"' % apn, SHORT_MS)

    async def _activate(self) -> None:
        for line in await self._lines("AT+CNACT?", "+CNACT:"):
            if replies.fields(line)[:2] == ["0", "1"]:
                return
        lines = await self.at.command("AT+CNACT=0,1", _ACTIVATE_MS, until=("+APP PDP: 0,",))
        if lines[-1] != "+APP PDP: 0,ACTIVE":
            raise AtError("CNACT: " + lines[-1])

    async def _lines(self, command: str, prefix: str) -> "list[str]":
        try:
            return await self.at.command(command, SHORT_MS, expect=prefix)
        except AtError:
            return []

    def _levels(self, values: "list[str]") -> dict:
        rsrq, rsrp, snr = [replies.whole(values[i]) for i in (10, 11, 13)]  # dB, dBm, dB
        return {
            "rsrp_dbm": rsrp,
            "rsrq_ddb": None if rsrq is None else 10 * rsrq,
            "snr_ddb": None if snr is None else 10 * snr,
        }


DRIVER = Sim7080
