"""The twin of Quectel's BC660K-GL (NB-IoT)."""

import random
from typing import TYPE_CHECKING, ClassVar

from hil.virtual.modem.clock import written
from hil.virtual.modem.family import Reply, Table, command
from hil.virtual.modem.fotacommands import NbiotUpdating
from hil.virtual.modem.grammar import Command, GrammarError, Op
from hil.virtual.modem.nbpower import QuectelPowerSaving
from hil.virtual.modem.quectel import DNS_FAILED, Quectel, Source

if TYPE_CHECKING:
    from hil.virtual.modem.engine import ModemTwin

SLEEP_MODES = (0, 1, 2)
BANDS = (1, 2, 3, 4, 5, 8, 12, 13, 17, 18, 19, 20, 25, 28, 66, 70, 85)


class Bc660k(NbiotUpdating, Quectel, QuectelPowerSaving):
    """Context 0 comes up with the attach; deep sleep takes the sockets and keeps registration."""

    inline_sends = True
    unset_clock = "00/01/01,00:00:09+00"
    table: ClassVar[Table] = Table(
        name="bc660k",
        model="BC660K-GL",
        firmware="BC660KGLAAR01A05",
        technology=9,
        boot_s=(1.5, 6.0),  # RDY comes within 6 s of a reset
        boot_noise=(b"\x00\xff\r\n", b"\r\nRDY\r\n", b"\r\n+CFUN: 1\r\n", b"\r\n+CPIN: READY\r\n"),
        context=0,
        socket_ids=5,
        send_most=1024,
        recv_most=1024,
        sleep_after_s=10.0,  # slplocktimes, default
        wake_s=(0.05, 1.817),  # 1.817 s in a recorded transcript
        apn="NBIOT",
        chatter=("+CSCON: 1", "+CSCON: 0", '+QNBIOTEVENT: "EXIT PSM"'),
    )

    def __init__(self, modem: "ModemTwin", rng: random.Random) -> None:
        super().__init__(modem, rng)
        self.sleep_mode = 1
        self.stored_apn = self.table.apn

    def may_sleep(self) -> bool:
        """QSCLK=1 is the default: only a host that is at work forbids it."""
        return self.sleep_mode == 1

    def on_pin(self, name: str, level: int) -> None:
        """PSM_EXIT wakes without any byte."""
        if name == "psm_exit" and level:
            self.modem.wake()

    def on_sleep(self) -> None:
        """Deep sleep: the TCP stack is gone, the registration is not."""
        self.modem.bridge.drop()

    def on_reset(self) -> None:
        """As Family.on_reset; the default APN is in flash, and comes into force now."""
        super().on_reset()
        self.sleep_mode = 1
        self.contexts = {self.table.context: ("IP", self.stored_apn)}

    def on_registration(self) -> None:
        """As Family.on_registration; with the attach comes the address."""
        super().on_registration()
        if self.modem.network.registered:
            self.modem.urc(f"+IP: {self.address}")

    def received(self, number: int, length: int, text: bytes, source: Source | None) -> bytes:
        """The data stands on the URC's own line."""
        sender = b'"%s",%d,' % (source[0].encode(), source[1]) if source is not None else b""
        return b'\r\n+QIURC: "recv",%d,%d,%s%s\r\n' % (number, length, sender, text)

    def resolved(self, address: str | None) -> None:
        """One line, with the result code where there is no address."""
        self.modem.urc(f"+QIDNSGIP: {address or DNS_FAILED}")

    def took(self) -> tuple[str, ...]:
        """OK for the command, then the result."""
        return ("OK", "SEND OK")

    @command("+QICLOSE", Op.SET)
    def _close(self, command: Command) -> Reply:
        self.modem.bridge.close(command.number(0, 0, self.table.socket_ids - 1))
        return Reply(then=lambda: self.modem.answer("CLOSE OK"))

    @command("+CGSN", Op.SET)
    @command("+CGSN", Op.EXECUTE)
    def _serial(self, _: Command) -> Reply:
        return Reply((f"+CGSN: {self.imei}",))

    @command("+QSCLK", Op.SET)
    def _set_sleep(self, command: Command) -> Reply:
        self.sleep_mode = command.number(0, 0, max(SLEEP_MODES))
        return Reply()

    @command("+QSCLK", Op.READ)
    def _sleep(self, _: Command) -> Reply:
        return Reply((f"+QSCLK: {self.sleep_mode}",))

    @command("+QCGDEFCONT", Op.SET)
    def _set_default_context(self, command: Command) -> Reply:
        command.text(0)
        self.stored_apn = command.text(1, "").upper()
        return Reply()

    @command("+QCGDEFCONT", Op.READ)
    def _default_context(self, _: Command) -> Reply:
        return Reply((f'+QCGDEFCONT: "IP","{self.stored_apn}"',))

    @command("+CGDCONT", Op.READ)
    def _context(self, _: Command) -> Reply:
        address = f',"{self.address}"' if self.modem.network.registered else ""
        return Reply((f'+CGDCONT: 0,"IP","{self.apn}"{address}',))

    @command("+CCLK", Op.READ)
    def _clock(self, _: Command) -> Reply:
        # UTC and without quotes; the zone is only told along.
        known = self.modem.network.time_known
        text = f"{written(self.modem.now_s())[2:]}{self.modem.zone}" if known else self.unset_clock
        return Reply((f"+CCLK: {text}",))

    @command("+QBAND", Op.READ)
    def _bands(self, _: Command) -> Reply:
        bands = sorted(self.modem.surroundings.bands) or BANDS
        return Reply((self.line("+QBAND", *bands),))

    @command("+QBAND", Op.SET)
    def _use_bands(self, command: Command) -> Reply:
        count = command.number(0, 0, len(BANDS))
        bands = frozenset(command.number(1 + at, 1, max(BANDS)) for at in range(count))
        if len(command.args) != 1 + count or not bands <= set(BANDS):
            raise GrammarError("+QBAND")
        every = bands == set(BANDS)
        return Reply(
            then=lambda: self.modem.surroundings.restrict(frozenset() if every else bands)
        )

    @command("+QENG", Op.SET)
    def _engineering(self, command: Command) -> Reply:
        command.number(0, 0, 0)
        signal, cell = self.modem.signal(), self.modem.network.cell
        if signal is None or cell is None:
            return Reply(("+QENG: 0",))
        place = f'{cell.earfcn},2,{cell.pci},"{self.cell}"'
        levels = (signal.rsrp_dbm, signal.rsrq_db, signal.narrow_rssi_dbm, signal.snr_db)
        line = f'+QENG: 0,{place},{",".join(map(str, levels))},{cell.band},"{self.area}"'
        return Reply((f"{line},{signal.ecl},{signal.tx_dbm},2",))

    @command("+QRST", Op.SET)
    def _restart(self, command: Command) -> Reply:
        command.number(0, 1, 1)
        return Reply(then=self.modem.restart)

    @command("+QPOWD", Op.SET)
    def _power_down(self, command: Command) -> Reply:
        command.number(0, 0, 1)
        return Reply(then=self.modem.shut_down)
