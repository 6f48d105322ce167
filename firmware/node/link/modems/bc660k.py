"""Quectel BC660K-GL, NB-IoT. Grammar: its AT Commands Manual and TCP/IP Application Note."""

from node.link import replies
from node.link.modem import CFUN_MS, SHORT_MS
from node.link.modems.quectel import Quectel


class Bc660k(Quectel):
    """The default bearer is context 0, and it comes up with the attach."""

    MAX_SEND = 1024
    SOCKET_IDS = (0, 1, 2, 3, 4)
    CONTEXT = 0
    RECV_COMMAS = 3
    WAKE_TRIES = 24  # 12 s: RDY comes within 6 s of a reset, 9 s after QRST
    IMEI = "AT+CGSN=1"
    ENGINE = "AT+QENG=0"
    RESET_MS = 100  # at least 50 ms

    async def network_time(self) -> "int | None":
        """As Modem.network_time. This family's clock runs in UTC; its zone is only told along."""
        written = replies.written_time(await self.line("AT+CCLK?", "+CCLK:"))
        return None if written is None else written[0]

    async def _rouse(self) -> None:
        if "psm_exit" in self._pins:
            await self._pulse("psm_exit", 20)  # 1 ms to 50 ms

    async def _set_up(self) -> None:
        await super()._set_up()
        await self.at.command("AT+QSCLK=0", SHORT_MS)  # no sleep while there is work

    async def _doze(self) -> None:
        # Light and deep sleep: it falls asleep by itself, stays registered, drops every socket.
        await self.at.command("AT+QSCLK=1", SHORT_MS)

    async def _use_apn(self, apn: str) -> None:
        values = replies.fields(await self.line("AT+QCGDEFCONT?", "+QCGDEFCONT:"))
        # The modem reads APNs back in upper case.
        if len(values) > 1 and values[1].lower() == apn.lower():
            return
        await self.at.command("AT+CFUN=0", CFUN_MS)
        await self.at.command('AT+QCGDEFCONT="IP","%s"' % apn, SHORT_MS)
        # Stored in the modem's flash, and in force after a restart only.
        await self.at.command("AT+QRST=1", SHORT_MS)
        await self.at.sync(self.WAKE_TRIES)
        await self._set_up()
