"""Quectel EC200 and its like (EC800, EG91x), LTE Cat 1. Grammar: EC2x TCP/IP Application Note."""

from micropython import const

from node.errors import AtError
from node.link import replies
from node.link.modem import SHORT_MS
from node.link.modems.quectel import Quectel

_ACTIVATE_MS = const(150_000)  # EC2x TCP/IP application note
_OFF_MS = const(15_000)  # EC2x AT manual: CFUN


class Ec200(Quectel):
    """Sockets need context 1, set by QICSGP and activated by QIACT."""

    MAX_SEND = 1460
    MAX_DATAGRAM = 1460
    SOCKET_IDS = (0, 1, 2, 3, 4, 5)
    CONTEXT = 1
    RECV_COMMAS = 0
    WAKE_TRIES = 40  # 20 s: its UART answers about 12 s after power
    PPP = True
    BANDS = 'AT+QCFG="band"'
    CLOCK = ("AT+QLTS=1", "+QLTS:")  # the network's time carried on, in UTC
    CLOCK_UTC = True
    FOTA = 'AT+QFOTADL="http://%s",1,50'  # it restarts by itself; 50 s of silence
    OFF = "AT+QPOWD=1"
    RESET_MS = 300
    PWRKEY_MS = 600  # at least 500 ms

    async def _rouse(self) -> None:
        if "dtr" in self._pins:
            self._pins["dtr"].value(0)

    async def _set_up(self) -> None:
        await super()._set_up()
        await self._quietly("AT+QSCLK=0")

    async def _doze(self) -> None:
        if "dtr" in self._pins:
            # It stays registered and sleeps while DTR is high.
            await self.at.command("AT+QSCLK=1", SHORT_MS)
            self._pins["dtr"].value(1)
        else:
            # Without DTR nothing could wake it from sleep: the radio goes off instead.
            await self.at.command("AT+CFUN=0", _OFF_MS)

    async def _use_apn(self, apn: str) -> None:
        values = replies.fields(await self.line("AT+QICSGP=1", "+QICSGP:"))
        if len(values) > 1 and values[1].lower() == apn.lower():
            return
        await self.at.command('AT+CGDCONT=1,"IP","%s"' % apn, SHORT_MS)
        await self.at.command('AT+QICSGP=1,1,"%s","","",0' % apn, SHORT_MS)

    async def _activate(self) -> None:
        try:
            lines = await self.at.command("AT+QIACT?", SHORT_MS, expect="+QIACT:")
        except AtError:
            lines = []
        for line in lines:
            if replies.fields(line)[:2] == [str(self.CONTEXT), "1"]:
                return
        await self.at.command("AT+QIACT=%d" % self.CONTEXT, _ACTIVATE_MS)

    async def _engine(self) -> dict:
        from node.link import cell

        # "servingcell",<state>,"LTE",<is_tdd>,<MCC>,<MNC>, then what is named, and bandwidths.
        line = await self.line('AT+QENG="servingcell"', '+QENG: "servingcell",')
        if '"LTE"' not in line:
            return {}
        told = cell.pick(line, "- - - - - - cell pci earfcn band - - tac rsrp rsrq")
        values = replies.fields(line)
        if len(values) > 5:
            told["plmn"] = cell.network(values[4], values[5])
        sinr = replies.whole(values[16]) if len(values) > 16 else None
        if sinr is not None and 0 <= sinr <= 250:
            told["snr_ddb"] = 2 * sinr - 200  # fifths of a dB above -20 dB (EC2x AT manual)
        return told


DRIVER = Ec200
