"""What SIMCom's families share: opening, CDNSGIP, CPSI, and sleep by DTR."""

from micropython import const

from node.errors import AtError, SocketError
from node.link import replies
from node.link.modem import CFUN_MS, SHORT_MS
from node.link.modems.pulled import Pulled

_OPEN_MS = const(120_000)  # CIPOPEN (A76XX AT manual); that of the SIM7080 gives none
_CLOSE_MS = const(10_000)
_DNS_MS = const(60_000)  # CDNSGIP: ten seconds for each of its tries, and the network's


def _number(text: str) -> "int | None":
    # Decimal, or hexadecimal behind 0x.
    if text[:2] != "0x":
        return replies.whole(text)
    try:
        return int(text[2:10], 16)
    except ValueError:
        return None


class Simcom(Pulled):
    """A family sets these, and what Modem and Pulled leave open."""

    NETWORK_TIME = ""  # makes the clock follow the network
    CLOSE = ""  # the command that closes a socket
    CLOSED = ""  # what its result begins with, where it comes besides OK

    def __init__(self, uart, pins=None) -> None:
        super().__init__(uart, pins)
        self.at.on_urc("*ATREADY", self._on_restart)
        for noise in ("SMS ", "PB DONE", "DST:", "NORMAL POWER DOWN"):
            self.at.on_urc(noise, self._on_noise)

    async def release(self, number: int) -> None:
        """Needed after the peer closed as well."""
        await self._close(number)

    async def _close(self, number: int) -> bool:
        # Whether there was something to close.
        prefix = self.CLOSED and "%s %d," % (self.CLOSED, number)
        text = "%s=%d" % (self.CLOSE, number)
        try:
            lines = await self.at.command(text, _CLOSE_MS, until=(prefix or "OK",))
        except AtError:
            return False
        return not prefix or lines[-1] == prefix + "0"

    async def _open_as(self, text: str, number: int) -> None:
        result = await self._result(text, number)
        if result and await self._close(number):
            # Left open by the life before: the modem stays on through our deep sleep.
            result = await self._result(text, number)
        if result:
            raise SocketError("%s: result %d" % (text, result), result)

    async def _result(self, text: str, number: int) -> int:
        # `+CAOPEN: <number>,<result>` or +CIPOPEN, before or after OK; -1 for ERROR alone.
        prefix = "%s: %d," % (text[2 : text.find("=")], number)
        try:
            lines = await self.at.command(text, _OPEN_MS, until=(prefix,))
        except AtError as e:
            return e.cause or -1
        result = replies.whole(lines[-1][len(prefix) :])
        return -1 if result is None else result

    async def _rouse(self) -> None:
        if "dtr" in self._pins:
            self._pins["dtr"].value(0)

    async def _set_up(self) -> None:
        await super()._set_up()
        await self._quietly("AT+CSCLK=0")  # no sleep while there is work
        await self._quietly(self.NETWORK_TIME)

    async def _doze(self) -> None:
        if "dtr" in self._pins:
            # It stays registered and sleeps while DTR is high.
            await self.at.command("AT+CSCLK=1", SHORT_MS)
            self._pins["dtr"].value(1)
        else:
            # Without DTR nothing could wake it from sleep: the radio goes off instead.
            await self.at.command("AT+CFUN=0", CFUN_MS)

    async def _resolve(self, host: str) -> str:
        # `+CDNSGIP: 1,"<host>","<address>"...` or `+CDNSGIP: 0,<error>`, before or after OK.
        text = 'AT+CDNSGIP="%s"' % host
        try:
            lines = await self.at.command(text, _DNS_MS, until=("+CDNSGIP:",))
        except AtError as e:
            raise SocketError("%s: CDNSGIP error %d" % (host, e.cause), e.cause)
        values = replies.fields(lines[-1])
        if values[0] == "1" and len(values) > 2:
            return values[2]
        cause = replies.whole(values[-1]) or 0
        raise SocketError("%s: CDNSGIP result %d" % (host, cause), cause)

    async def _engine(self) -> dict:
        # System, operation mode, MCC-MNC, TAC, cell, PCI, band, EARFCN, two bandwidths, RSRQ,
        # RSRP, RSSI, SNR.
        from node.link import cell

        values = replies.fields(await self.line("AT+CPSI?", "+CPSI:"))
        if len(values) < 14 or values[0][:3] != "LTE":
            return {}
        told = {
            "radio": 9 if "NB" in values[0] else 7,
            "plmn": cell.network(*(values[2] + "-").split("-")[:2]),
            "tac": _number(values[3]),
            "cell": _number(values[4]),
            "pci": _number(values[5]),
            "band": replies.whole(values[6].replace("EUTRAN-BAND", "")),
            "earfcn": _number(values[7]),
        }
        told.update(self._levels(values))
        return told

    def _levels(self, values: "list[str]") -> dict:
        """RSRP, RSRQ and SNR of CPSI: in units of the family's own."""
        return {}

    def _on_noise(self, line: str, payload) -> None:
        """Said by itself while it starts or stops, and no part of any reply."""
