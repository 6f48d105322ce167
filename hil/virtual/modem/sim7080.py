"""The twin of SIMCom's SIM7080 (NB-IoT and LTE-M).

Sources: SIM7070_SIM7080_SIM7090 AT Command Manual and public logs of the module.
"""

import random
from typing import TYPE_CHECKING, ClassVar

from hil.virtual.modem.casockets import CaSockets
from hil.virtual.modem.family import Reply, Table, command
from hil.virtual.modem.fotacommands import FileUpdating
from hil.virtual.modem.grammar import Command, Op, Style
from hil.virtual.modem.psm import PowerSaving

if TYPE_CHECKING:
    from hil.virtual.modem.engine import ModemTwin


class Sim7080(FileUpdating, CaSockets, PowerSaving):
    """Its clock follows the network after CLTS=1 only; PSM is ended by PWRKEY, not by bytes."""

    time_update_default = False
    unset_clock = "80/01/06,00:00:34+00"
    table: ClassVar[Table] = Table(
        name="sim7080",
        vendor="SIMCOM_Ltd",
        model="SIMCOM_SIM7080",
        firmware="1951B16SIM7080",
        technology=9,
        boot_s=(3.0, 8.0),
        boot_noise=(
            b"\r\n*ATREADY: 1\r\n",
            b"\r\n+CFUN: 1\r\n",
            b"\r\n+CPIN: READY\r\n",
            b"\r\nSMS Ready\r\n",
        ),
        context=1,
        socket_ids=13,
        send_most=1460,
        recv_most=1459,
        sleep_after_s=5.0,
        wake_s=(0.05, 0.2),
        chatter=('*PSUTTZ: 26/01/01,00:00:00","+32",0', "DST: 0", "+CSCON: 1"),
        style=Style(address_quote=""),
        registration_modes=(0, 1, 2, 4),
    )

    def __init__(self, modem: "ModemTwin", rng: random.Random) -> None:
        super().__init__(modem, rng)
        self.tells_psm = False

    # -- power ----------------------------------------------------------------------------------

    def on_reset(self) -> None:
        """As Family.on_reset."""
        super().on_reset()
        self.tells_psm = False

    def on_psm(self, entered: bool) -> None:
        """As Family.on_psm; what is open ends without a word."""
        if self.tells_psm:
            self.urc("+CPSMSTATUS", '"ENTER PSM"' if entered else '"EXIT PSM"')
        if entered:
            self.slept = True
            self.active.clear()
            self.inboxes.clear()
            self.modem.bridge.drop()

    def may_sleep(self) -> bool:
        """In PSM, and as Simcom.may_sleep."""
        return self.modem.saving.in_psm or super().may_sleep()

    def wakes_by_bytes(self) -> bool:
        """The UART is off in PSM too: PWRKEY ends it."""
        return super().wakes_by_bytes() and not self.modem.saving.in_psm

    def on_pin(self, name: str, level: int) -> None:
        """DTR low wakes; PWRKEY let go ends PSM."""
        super().on_pin(name, level)
        if name == "pwrkey" and not level and self.modem.saving.in_psm:
            self.modem.wake()
            self.modem.saving.leave()
            self.modem.air.exchange(1)  # a tracking area update, behind which T3324 begins anew

    @command("+CPSMSTATUS", Op.SET)
    def _tell_psm(self, command: Command) -> Reply:
        self.tells_psm = command.number(0, 0, 1) == 1
        return Reply()

    @command("+CPOWD", Op.SET)
    def _power_down(self, command: Command) -> Reply:
        if command.number(0, 0, 1):
            return Reply(("NORMAL POWER DOWN",), self.modem.shut_down, final="")
        return Reply(then=self.modem.shut_down)

    @command("+CREBOOT", Op.EXECUTE)
    def _reboot(self, _: Command) -> Reply:
        return Reply(then=self.modem.restart)

    @command("+CRAI", Op.SET)
    def _assist_release(self, command: Command) -> Reply:
        # 1: nothing more is coming, 2: one answer is expected; goes with the next packet.
        self.release = command.number(0, 0, 2)
        return Reply()

    @command("+CRAI", Op.READ)
    def _release_assistance(self, _: Command) -> Reply:
        return Reply((self.line("+CRAI", self.release),))

    # -- settings and diagnosis -----------------------------------------------------------------

    @command("+CNMP", Op.SET)
    @command("+CMNB", Op.SET)
    @command("+CACID", Op.SET)
    @command("+CACFG", Op.SET)
    @command("+CASSLCFG", Op.SET)
    def _setting(self, command: Command) -> Reply:
        command.text(0)
        return Reply()

    @command("+CLTS", Op.SET)
    def _follow_time(self, command: Command) -> Reply:
        self.time_update = command.number(0, 0, 1) == 1
        return Reply()

    @command("+CCID", Op.EXECUTE)
    def _card(self, _: Command) -> Reply:
        self.card()
        return Reply((self.iccid,))

    @command("+CGMR", Op.EXECUTE)
    def _revision(self, _: Command) -> Reply:
        return Reply((f"Revision:{self.modem.fota.version}",))

    @command("+CPSI", Op.READ)
    def _system(self, _: Command) -> Reply:
        signal, place = self.modem.signal(), self.place()
        if signal is None or place is None:
            mode = "Online" if self.modem.radio else "Low Power Mode"
            return Reply((f"+CPSI: NO SERVICE,{mode}",))
        levels = (signal.rsrq_db, signal.rsrp_dbm, signal.narrow_rssi_dbm, signal.snr_db)
        return Reply((self.line("+CPSI", "LTE NB-IOT", "Online", *place, 0, 0, *levels),))
