"""The twin of SIMCom's A7670 and A7672 (LTE Cat 1).

Source: A76XX Series AT Command Manual V1.09.
"""

from typing import ClassVar

from hil.virtual.modem.cipsockets import CipSockets
from hil.virtual.modem.family import Reply, Table, command
from hil.virtual.modem.fotacommands import CfotaUpdating
from hil.virtual.modem.grammar import Command, Op, Style

# Reports of +CEER: a number and a text; the texts are those of 3GPP TS 24.301 annex A.
CAUSES = {
    3: "Illegal UE",
    6: "Illegal ME",
    7: "EPS services not allowed",
    8: "EPS services and non-EPS services not allowed",
    11: "PLMN not allowed",
    12: "Tracking area not allowed",
    13: "Roaming not allowed in this tracking area",
    15: "No suitable cells in tracking area",
    22: "Congestion",
}
UNSPECIFIED = "Protocol error, unspecified"
NOTHING = "31 Normal unspecified"


class A7670(CfotaUpdating, CipSockets):
    """Its clock follows the network after CTZU=1 only; it sleeps by CSCLK, with DTR or without."""

    time_update_default = False
    sleep_modes: ClassVar[tuple[int, ...]] = (0, 1, 2)
    table: ClassVar[Table] = Table(
        name="a7670",
        vendor="INCORPORATED",
        model="A7670E-LASE",
        firmware="A011B09A7670M7",
        technology=7,
        boot_s=(4.0, 12.0),
        boot_noise=(
            b"\r\n*ATREADY: 1\r\n",
            b"\r\n+CPIN: READY\r\n",
            b"\r\nSMS DONE\r\n",
            b"\r\nPB DONE\r\n",
        ),
        context=1,
        socket_ids=10,
        send_most=1500,
        recv_most=1500,
        sleep_after_s=5.0,
        wake_s=(0.02, 0.1),
        chatter=("+CGEV: EPS PDN ACT 1", "+CTZV: +32,26/01/01,00:00:00", "*ISIMAID: 0"),
        style=Style(address_quote=""),
        registration_modes=(0, 1, 2),
    )

    def may_sleep(self) -> bool:
        """CSCLK=1 with DTR high, or CSCLK=2 and a silent UART."""
        return super().may_sleep() or self.sleep_mode == 2

    @command("+CIPTIMEOUT", Op.SET)
    @command("+CIPSENDMODE", Op.SET)
    @command("+CIPSRIP", Op.SET)
    @command("+CIPHEAD", Op.SET)
    @command("+CTCPKA", Op.SET)
    @command("+CDNSCFG", Op.SET)
    @command("+CSOCKSETPN", Op.SET)
    def _setting(self, command: Command) -> Reply:
        command.text(0)
        return Reply()

    @command("+CIPMODE", Op.SET)
    def _set_mode(self, command: Command) -> Reply:
        command.number(0, 0, 0)
        return Reply()

    @command("+CICCID", Op.EXECUTE)
    def _card(self, _: Command) -> Reply:
        self.card()
        return Reply((self.line("+ICCID", self.iccid),))

    @command("+CGMR", Op.EXECUTE)
    def _revision(self, _: Command) -> Reply:
        return Reply((self.line("+CGMR", self.modem.fota.version),))

    @command("+CPSI", Op.READ)
    def _system(self, _: Command) -> Reply:
        signal, place = self.modem.signal(), self.place()
        if signal is None or place is None:
            mode = "Online" if self.modem.radio else "Low Power Mode"
            return Reply((f"+CPSI: NO SERVICE,{mode}",))
        # Report values, not dBm: RSRQ n/2-20, RSRP n-140, RSSI n-110 (chapter 4.2.9).
        rsrp = max(0, min(97, signal.rsrp_dbm + 140))
        rssi = max(0, min(255, signal.rssi_dbm + 110))
        levels = (signal.cesq_rsrq, rsrp, rssi, signal.snr_db)
        return Reply((self.line("+CPSI", "LTE", "Online", *place, 5, 0, *levels),))

    @command("+CEER", Op.EXECUTE)
    def _last_failure(self, _: Command) -> Reply:
        # The only place where this family tells why the network refused it.
        cause = self.modem.network.cause
        report = f"{cause} {CAUSES.get(cause, UNSPECIFIED)}" if cause else NOTHING
        return Reply((self.line("+CEER", f'"{report}"'),))

    @command("+CPOF", Op.EXECUTE)
    def _power_off(self, _: Command) -> Reply:
        return Reply(then=self.modem.shut_down)

    @command("+CRESET", Op.EXECUTE)
    def _restart(self, _: Command) -> Reply:
        return Reply(then=self.modem.restart)
