"""Quectel BC660K-GL, NB-IoT. Grammar: its AT Commands Manual and TCP/IP Application Note."""

from micropython import const

from node.errors import AtError
from node.link import replies
from node.link.modem import CFUN_MS, SHORT_MS
from node.link.modems.quectel import Quectel, payload_length

_ENGINE_MS = const(15_000)  # AT manual, 4.8
_HEX_MOST = const(200)  # bytes as hex on QISEND's line: no manual tells how long a line may be


class Bc660k(Quectel):
    """The default bearer is context 0, and it comes up with the attach."""

    MAX_SEND = 1024
    SOCKET_IDS = (0, 1, 2, 3, 4)
    CONTEXT = 0
    RECV_COMMAS = 3
    WAKE_TRIES = 24  # 12 s: RDY comes within 6 s of a reset, 9 s after QRST
    PSM = True
    EDRX = True
    RELEASE = True
    RADIO = 9
    BANDS = "AT+QBAND"
    IMEI = "AT+CGSN=1"
    CLOCK_UTC = True  # the clock runs in UTC, its zone is only told along
    FOTA = 'AT+QFOTADL="http://%s"'
    OFF = "AT+QPOWD=0"
    RESET_MS = 100  # at least 50 ms

    def __init__(self, uart, pins=None) -> None:
        super().__init__(uart, pins)
        # Some firmware puts received data behind the URC's line, as the other families do.
        self.at.on_urc('+QIURC: "recv",', self._on_recv, payload_length)
        self.at.on_urc("CLOSE OK", lambda line, payload: None)  # behind QICLOSE's OK, some time

    async def _rouse(self) -> None:
        if "psm_exit" in self._pins:
            await self._pulse("psm_exit", 20)  # 1 ms to 50 ms

    async def _set_up(self) -> None:
        await super()._set_up()
        await self._quietly("AT+QSCLK=0")  # no sleep while there is work

    async def _doze(self) -> None:
        # Light and deep sleep: it falls asleep by itself, stays registered, drops every socket.
        await self._quietly("AT+QSCLK=1")

    async def _sleep_soon(self) -> None:
        # It stays awake for 10 s behind the last command by default. In flash: written once.
        told = replies.fields(await self.line('AT+QCFG="slplocktimes"', "+QCFG:"))
        if len(told) > 1 and told[1] != "1":
            await self._quietly('AT+QCFG="slplocktimes",1')

    async def _use_apn(self, apn: str) -> None:
        values = replies.fields(await self.line("AT+QCGDEFCONT?", "+QCGDEFCONT:"))
        # The modem reads APNs back in upper case. A firmware without the command has no say.
        if not values[0] or (len(values) > 1 and values[1].lower() == apn.lower()):
            return
        await self.at.command("AT+CFUN=0", CFUN_MS)
        await self.at.command('AT+QCGDEFCONT="IP","%s"' % apn, SHORT_MS)
        # Stored in the modem's flash, and in force after a restart only.
        await self.at.command("AT+QRST=1", SHORT_MS)
        await self.at.sync(self.WAKE_TRIES)
        await self._set_up()

    async def _send_udp(self, number: int, host: str, port: int, data, release: int) -> None:
        if not release:
            await self.transmit(number, data)
        elif len(data) > _HEX_MOST or not await self._takes_hex():
            await self.transmit(number, data)
            # Too long for one line: another packet, empty, tells it behind this one. 2 has no
            # such means: the network would release before the answer.
            if release == 1:
                await self._quietly("AT+QNBIOTRAI=1")
        else:
            # <rai_mode> only goes with data on the command's line, and there only hex is safe.
            try:
                text = "AT+QISEND=%d,%d,%s,%d"
                await self._send(text % (number, len(data), bytes(data).hex(), release), None)
            finally:
                await self._quietly('AT+QICFG="dataformat",0,0')

    async def _takes_hex(self) -> bool:
        try:
            await self.at.command('AT+QICFG="dataformat",1,0', SHORT_MS)
        except AtError:
            return False
        return True

    async def _engine(self) -> dict:
        from node.link import cell

        # The first field is 0; between them stand the EARFCN's offset and the RSSI.
        line = await self.line("AT+QENG=0", "+QENG: 0", _ENGINE_MS)
        return cell.pick(line, "- earfcn - pci cell rsrp rsrq - snr band tac ecl")


DRIVER = Bc660k
